"""The server's half of the ratchet: every verdict, its order, its counters, and what it leaves untouched."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fleetroll_common.values.codes import Code
from fleetroll_server.identity.ratchet import (
    Accept,
    Fork,
    HelloFacts,
    IdentityRow,
    Refused,
    Retirement,
    Stale,
    judge,
)

KEY, NEXT_KEY, OLD_KEY = b"k" * 32, b"l" * 32, b"j" * 32
R0, R1, R2, R3 = (bytes([number]) * 32 for number in range(4))
ROW = IdentityRow(public_key=KEY, acked=R1, advances=1, epoch=5, greeted=True)


def _hello(**changes: Any) -> HelloFacts:
    return replace(HelloFacts(nonce_epoch=5, key=KEY, current=R1, next=R2, advances=1), **changes)


def test_the_acknowledged_ratchet_moves_on() -> None:
    verdict = judge(ROW, _hello())
    assert verdict == Accept(replace(ROW, acked=R2, epoch=6), advanced=True, retired_key=None, alert=False)


def test_a_repeat_is_accepted_and_moves_nothing() -> None:
    """The last Welcome was lost, or the host could not write."""
    verdict = judge(ROW, _hello(current=R0, next=R1, advances=0))
    assert isinstance(verdict, Accept)
    assert (verdict.row.acked, verdict.row.epoch, verdict.advanced) == (R1, 6, False)


def test_anything_else_is_a_fork_that_opens_a_quarantined_session() -> None:
    verdict = judge(ROW, _hello(current=R2, next=R3))
    assert verdict == Fork(replace(ROW, quarantined=True, epoch=6), welcome=True, alert=True)


def test_a_late_hello_is_stale_also_when_its_pair_matches() -> None:
    """It would speak of a state that the host has left."""
    for hello in (_hello(nonce_epoch=4), _hello(nonce_epoch=4, current=R0, next=R1), _hello(nonce_epoch=6)):
        assert judge(ROW, hello) == Stale(replace(ROW, stale_streak=1), alert=False)


def test_a_late_hello_that_matches_nothing_is_stale_and_no_fork() -> None:
    assert isinstance(judge(ROW, _hello(nonce_epoch=4, current=R3, next=R3)), Stale)
    assert isinstance(judge(ROW, _hello(nonce_epoch=4, key=OLD_KEY, retired=Retirement.ROTATED)), Stale)


@pytest.mark.parametrize(("before", "alert"), [(0, False), (3, False), (4, True), (9, True)])
def test_the_fifth_stale_hello_in_a_row_alerts(before: int, alert: bool) -> None:
    verdict = judge(replace(ROW, stale_streak=before), _hello(nonce_epoch=1))
    assert verdict == Stale(replace(ROW, stale_streak=before + 1), alert=alert)


def test_an_accepted_hello_ends_the_row_of_stale_ones() -> None:
    for hello in (_hello(), _hello(current=R0, next=R1)):
        verdict = judge(replace(ROW, stale_streak=4), hello)
        assert isinstance(verdict, Accept)
        assert verdict.row.stale_streak == 0


def test_the_fourth_repeat_in_a_row_alerts_and_quarantines_nothing() -> None:
    row, alerts = ROW, []
    for _ in range(5):
        verdict = judge(row, _hello(nonce_epoch=row.epoch, current=R0, next=R1))
        assert isinstance(verdict, Accept)
        row = verdict.row
        alerts.append(verdict.alert)
    assert alerts == [False, False, False, True, True]
    assert not row.quarantined
    moved = judge(row, _hello(nonce_epoch=row.epoch))
    assert isinstance(moved, Accept)
    assert (moved.row.repeat_streak, moved.alert) == (0, False)


def test_a_quarantine_stays_and_is_told_once() -> None:
    """Both hosts go on talking, without updates."""
    quarantined = replace(ROW, quarantined=True)
    again = judge(quarantined, _hello(current=R3, next=R3))
    assert again == Fork(replace(quarantined, epoch=6), welcome=True, alert=False)
    original = judge(quarantined, _hello())
    assert isinstance(original, Accept)
    assert original.row.quarantined


def test_the_welcome_of_a_fork_names_nothing_that_the_copy_proposed() -> None:
    """So that it changes nothing over there."""
    hello = _hello(current=R2, next=R3)
    verdict = judge(ROW, hello)
    assert isinstance(verdict, Fork)
    assert verdict.row.acked != hello.next


def test_both_keys_are_in_force_during_a_rotation_and_the_new_one_ends_the_old() -> None:
    rotating = replace(ROW, next_key=NEXT_KEY)
    with_old = judge(rotating, _hello())
    assert isinstance(with_old, Accept)
    assert (with_old.row.public_key, with_old.row.next_key, with_old.retired_key) == (KEY, NEXT_KEY, None)
    with_new = judge(rotating, _hello(key=NEXT_KEY))
    assert isinstance(with_new, Accept)
    assert (with_new.row.public_key, with_new.row.next_key, with_new.retired_key) == (NEXT_KEY, None, KEY)


def test_a_fork_with_the_new_key_ends_nothing() -> None:
    rotating = replace(ROW, next_key=NEXT_KEY)
    verdict = judge(rotating, _hello(key=NEXT_KEY, current=R3, next=R3))
    assert isinstance(verdict, Fork)
    assert (verdict.row.public_key, verdict.row.next_key) == (KEY, NEXT_KEY)


def test_a_rotated_key_is_a_fork_that_opens_no_session() -> None:
    """Also when its pair matches: the thief may be the one who rotated."""
    verdict = judge(ROW, _hello(key=OLD_KEY, retired=Retirement.ROTATED))
    assert verdict == Fork(replace(ROW, quarantined=True), welcome=False, alert=True)


def test_after_a_readmission_the_wrong_host_is_refused_and_harms_nobody() -> None:
    verdict = judge(ROW, _hello(key=OLD_KEY, retired=Retirement.READMITTED))
    assert verdict == Refused(Code.IDENTITY_FORKED)


def test_a_key_of_nobody_is_refused_and_changes_nothing() -> None:
    """Anybody can send one: it must not count as stale, nor as a fork."""
    for epoch in (5, 4):
        assert judge(ROW, _hello(key=b"x" * 32, nonce_epoch=epoch)) == Refused(Code.IDENTITY_UNKNOWN)


def test_a_revoked_identity_is_refused_whatever_it_shows() -> None:
    revoked = replace(ROW, revoked=True)
    for hello in (_hello(), _hello(nonce_epoch=1), _hello(current=R3, next=R3), _hello(key=b"x" * 32)):
        assert judge(revoked, hello) == Refused(Code.IDENTITY_REVOKED)
