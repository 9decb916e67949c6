"""The first hello in a database that was restored may show any ratchet, once; an older copy is a fork also then."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fleetroll_server.identity.ratchet import Accept, Fork, HelloFacts, IdentityRow, judge

KEY, R0, R1, R7, R8 = (bytes([number]) * 32 for number in range(5))
ROW = IdentityRow(public_key=KEY, acked=R1, advances=3, epoch=5, greeted=False)
HELLO = HelloFacts(nonce_epoch=5, key=KEY, current=R7, next=R8, advances=9)


def test_an_unknown_ratchet_is_taken_and_said() -> None:
    verdict = judge(ROW, HELLO)
    assert isinstance(verdict, Accept)
    assert verdict.unknown
    assert (verdict.row.acked, verdict.row.advances, verdict.row.greeted) == (R8, 9, True)


@pytest.mark.parametrize("greeted_by", ["an unknown one", "a matching one"])
def test_it_is_used_up_by_the_first_hello(greeted_by: str) -> None:
    first = HELLO if greeted_by == "an unknown one" else replace(HELLO, current=R1, next=R0)
    verdict = judge(ROW, first)
    assert isinstance(verdict, Accept)
    assert verdict.unknown == (greeted_by == "an unknown one")
    again = replace(HELLO, nonce_epoch=verdict.row.epoch, current=R0, next=R7)
    if greeted_by == "a matching one":
        again = replace(again, current=R8)
    assert isinstance(judge(verdict.row, again), Fork)


def test_one_that_has_moved_on_less_often_than_the_row_is_an_older_copy() -> None:
    assert isinstance(judge(ROW, replace(HELLO, advances=2)), Fork)


def test_a_lost_welcome_of_the_first_hello_is_a_repeat() -> None:
    verdict = judge(ROW, HELLO)
    assert isinstance(verdict, Accept)
    again = judge(verdict.row, replace(HELLO, nonce_epoch=verdict.row.epoch))
    assert isinstance(again, Accept)
    assert (again.advanced, again.unknown) == (False, False)


def test_a_quarantined_agent_does_not_get_out_by_it() -> None:
    assert isinstance(judge(replace(ROW, quarantined=True), HELLO), Fork)


def test_elsewhere_an_unknown_ratchet_is_a_fork_as_ever() -> None:
    assert isinstance(judge(replace(ROW, greeted=True), HELLO), Fork)
