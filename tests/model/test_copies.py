"""Copies: caught at the latest at the 4th change of turn, a malicious one at the 7th; and what the docs must admit."""

from __future__ import annotations

import pytest

from fleetroll_server.identity import ratchet as server
from tests.model.copy_world import COPY, FIRST, ORIGINAL, Turns
from tests.model.explorer import explore

EITHER_KEEPS = [frozenset([ORIGINAL]), frozenset([COPY])]


@pytest.mark.parametrize("must_keep", EITHER_KEEPS, ids=["original", "copy"])
def test_a_copy_in_turn_with_the_original_is_caught_at_the_4th_change_of_turn(must_keep: frozenset[str]) -> None:
    """One of the two keeps a Welcome in each of its turns; the other may lose all of them."""
    turns = Turns(must_keep=must_keep, caught_by=4)
    explore(FIRST, turns.steps).holds(f"copy in turn, {'/'.join(must_keep)} keeps Welcomes")


def test_when_both_keep_their_welcomes_it_is_the_3rd() -> None:
    turns = Turns(must_keep=frozenset([ORIGINAL, COPY]), caught_by=3)
    explore(FIRST, turns.steps).holds("copy in turn, both keep Welcomes")


@pytest.mark.parametrize("must_keep", EITHER_KEEPS, ids=["original", "copy"])
def test_no_earlier_change_of_turn_is_promised(must_keep: frozenset[str]) -> None:
    """So that the number in the docs is the true one."""
    turns = Turns(must_keep=must_keep, caught_by=3)
    explore(FIRST, turns.steps).fails("copy at the 3rd change", "not caught at change of turn 3")


def test_a_malicious_copy_is_caught_at_the_7th_change_of_turn() -> None:
    """While the original keeps a Welcome in each of its turns."""
    turns = Turns(must_keep=frozenset([ORIGINAL]), caught_by=7, malicious=True)
    explore(FIRST, turns.steps).holds("malicious copy in turn")


def test_when_every_welcome_is_lost_nobody_is_caught_and_the_repeats_alert() -> None:
    """Both repeat one pair for ever: that is why four repeats in a row are told."""
    turns = Turns(must_keep=frozenset(), caught_by=server.REPEAT_ALERT + 4)
    explore(FIRST, turns.steps).fails("copy without any Welcome", "not caught")


def test_without_the_fork_a_copy_is_never_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "is_repeat", lambda _row, _hello: True)
    turns = Turns(must_keep=frozenset([ORIGINAL, COPY]), caught_by=7)
    explore(FIRST, turns.steps).fails("copy when everything is a repeat", "not caught at change of turn 7")
