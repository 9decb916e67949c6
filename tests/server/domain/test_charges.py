"""What an attempt holds of the blast radius, state by state."""

from __future__ import annotations

import pytest

from fleetroll_server.domain.charges import Holding, holding, stays_forgiven
from fleetroll_server.domain.states import BAD, BEFORE_GO, FINAL, PAST_GO, AttemptState

A, H = AttemptState, Holding
AFTER_GO = {
    A.GRANTED: H.IN_USE,
    A.APPLYING: H.IN_USE,
    A.TRIAL: H.IN_USE,
    A.PROMOTED: H.IN_USE,
    A.SOAKING: H.IN_USE,
    A.LOST: H.BROKEN,
    A.ROLLBACK_FAILED: H.BROKEN,
    A.ROLLED_BACK: H.BROKEN_IN_ROLLOUT,
    A.FAILED: H.BROKEN_IN_ROLLOUT,
    A.SUCCEEDED: H.NOTHING,
    A.CANCELLED: H.NOTHING,
    A.SKIPPED: H.NOTHING,
    A.EXPIRED: H.NOTHING,
}


@pytest.mark.parametrize(("state", "held"), AFTER_GO.items())
def test_after_go_each_state_holds_its_place(state: AttemptState, held: Holding) -> None:
    assert holding(state, attempted=True) is held


@pytest.mark.parametrize("state", sorted(BEFORE_GO))
@pytest.mark.parametrize("attempted", [True, False])
def test_nothing_is_held_before_go(state: AttemptState, attempted: bool) -> None:
    assert holding(state, attempted=attempted) is H.NOTHING


def test_a_failure_before_go_spends_no_blast_radius() -> None:
    assert holding(A.FAILED, attempted=False) is H.NOTHING


def test_every_state_says_what_it_holds() -> None:
    for state in A:
        assert isinstance(holding(state, attempted=True), H)


def test_a_host_past_go_is_always_held() -> None:
    for state in PAST_GO:
        assert holding(state, attempted=True) in {H.IN_USE, H.BROKEN}


def test_the_ends_that_free_at_once_are_success_cancel_and_what_never_began() -> None:
    freed = {state for state in FINAL if holding(state, attempted=True) is H.NOTHING}
    assert freed == {A.SUCCEEDED, A.CANCELLED, A.SKIPPED, A.EXPIRED}


def test_who_was_let_off_stays_so_until_it_is_well_or_begins_anew() -> None:
    assert {state for state in A if stays_forgiven(state)} == BAD | PAST_GO
    assert not any(stays_forgiven(state) for state in BEFORE_GO | {A.SUCCEEDED, A.CANCELLED, A.SKIPPED, A.EXPIRED})
