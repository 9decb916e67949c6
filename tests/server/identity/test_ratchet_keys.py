"""Rotation, revocation, readmission as changes of the identity columns."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_server.identity.keys import enrolled, offer_key, readmit, revoke
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

KEY, NEW, OLD = b"k" * 32, b"n" * 32, b"o" * 32
R0, R1, R2 = b"0" * 32, b"1" * 32, b"2" * 32
ROW = IdentityRow(public_key=KEY, acked=R1, advances=3, epoch=5, greeted=True)


def test_a_new_agent_is_known_by_its_key_and_first_ratchet() -> None:
    row = enrolled(KEY, R0)
    assert isinstance(judge(row, HelloFacts(0, KEY, R0, R1, 0)), Accept)


@pytest.mark.parametrize(("key", "ratchet"), [(b"short", R0), (KEY, b""), (KEY, R0 + b"x")])
def test_an_enrolment_with_a_part_of_another_size_is_refused(key: bytes, ratchet: bytes) -> None:
    with pytest.raises(RequestError) as caught:
        enrolled(key, ratchet)
    assert caught.value.code is Code.INVALID_ARGUMENT


def test_an_offered_key_is_held_beside_the_one_in_force_and_asking_twice_changes_nothing() -> None:
    once = offer_key(ROW, NEW, ())
    assert once == replace(ROW, next_key=NEW)
    assert offer_key(once, NEW, ()) == once


@pytest.mark.parametrize("key", [KEY, OLD, b"short"])
def test_a_key_that_is_or_was_the_agents_is_not_taken_again(key: bytes) -> None:
    with pytest.raises(RequestError) as caught:
        offer_key(ROW, key, (OLD,))
    assert caught.value.details["field"] == "new_key"


def test_a_revocation_refuses_hellos_and_makes_older_tokens_worthless() -> None:
    row = revoke(ROW)
    assert row.epoch == ROW.epoch + 1
    assert judge(row, HelloFacts(row.epoch, KEY, R1, R2, 3)) == Refused(Code.IDENTITY_REVOKED)


def test_a_readmission_takes_the_new_key_and_ratchet_and_lifts_the_quarantine() -> None:
    forked = replace(ROW, quarantined=True, next_key=OLD, stale_streak=3, repeat_streak=2)
    result = readmit(forked, NEW, R0, ())
    assert result.row == IdentityRow(public_key=NEW, acked=R0, epoch=6, greeted=True)
    assert result.retired_keys == (KEY, OLD)
    assert isinstance(judge(result.row, HelloFacts(6, NEW, R0, R2, 0)), Accept)


def test_a_hello_that_was_on_its_way_during_a_readmission_is_stale_or_refused() -> None:
    row = readmit(replace(ROW, quarantined=True), NEW, R0, ()).row
    assert isinstance(judge(row, HelloFacts(5, NEW, R0, R2, 0)), Stale)
    late = judge(row, HelloFacts(5, KEY, R1, R2, 3, retired=Retirement.READMITTED))
    assert late == Refused(Code.IDENTITY_FORKED)


def test_after_a_readmission_the_copy_can_not_quarantine_the_right_host_again() -> None:
    """With a mere reset of the ratchet it could, for ever."""
    row = readmit(replace(ROW, quarantined=True), NEW, R0, ()).row
    copy = HelloFacts(row.epoch, KEY, R1, R2, 3, retired=Retirement.READMITTED)
    assert isinstance(judge(row, copy), Refused)
    assert isinstance(judge(replace(row, public_key=KEY), replace(copy, retired=None)), Fork)


@pytest.mark.parametrize("key", [KEY, OLD, b"x" * 32])
def test_a_readmission_needs_a_key_that_was_never_used(key: bytes) -> None:
    with pytest.raises(RequestError, match="not a new key"):
        readmit(replace(ROW, next_key=OLD), key, R0, (b"x" * 32,))


def test_a_revoked_identity_is_not_readmitted() -> None:
    with pytest.raises(RequestError) as caught:
        readmit(revoke(ROW), NEW, R0, ())
    assert caught.value.code is Code.IDENTITY_REVOKED
