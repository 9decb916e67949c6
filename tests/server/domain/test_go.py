"""Go: each hurdle alone refuses, with its own code, and nothing else does."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fleetroll_common.values.codes import Code
from fleetroll_server.domain.eligible import Objection
from fleetroll_server.domain.go import ASK_AGAIN, ASKABLE, SOON, GoFacts, judge_go, no_budget
from fleetroll_server.domain.hostrules import Shut
from fleetroll_server.domain.states import PAST_GO, AttemptState, RolloutState

NOW = datetime(2026, 3, 1, tzinfo=UTC)
CLEAR = GoFacts(
    state=AttemptState.STAGED,
    rollout=RolloutState.RUNNING,
    suspended=False,
    quarantined=False,
    revoked=False,
    listed=True,
    digest_matches=True,
    not_after=NOW + timedelta(seconds=1),
    limits_readable=True,
)
HURDLES: dict[Code, dict[str, Any]] = {
    Code.IDENTITY_REVOKED: {"revoked": True},
    Code.SUSPENDED: {"suspended": True},
    Code.QUARANTINED: {"quarantined": True},
    Code.SUPERSEDED: {"superseded": True},
    Code.PAUSED: {"rollout": RolloutState.PAUSED},
    Code.THRESHOLD_MISSING: {"limits_readable": False},
    Code.ROLLOUT_STATE: {"state": AttemptState.APPLYING},
    Code.EXPIRED: {"not_after": NOW},
    Code.YANKED: {"listed": False},
    Code.WRONG_HASH: {"digest_matches": False},
    Code.PINNED: {"objection": Objection(Code.PINNED, "the fleet's policy pins minor 1.4")},
    Code.WINDOW: {"shut": Shut("its windows count as closed", None)},
}


def test_with_no_hurdle_only_the_budgets_are_left_to_ask() -> None:
    assert judge_go(CLEAR, NOW) is None


@pytest.mark.parametrize(("code", "facts"), HURDLES.items())
def test_each_hurdle_alone_refuses_with_its_own_code(code: Code, facts: dict[str, Any]) -> None:
    refused = judge_go(replace(CLEAR, **facts), NOW)
    assert refused is not None
    assert (refused.code, refused.retry_after) == (code, ASK_AGAIN)
    assert refused.message


def test_a_shut_host_asks_again_at_its_opening_and_a_policy_that_objects_ends_its_turn() -> None:
    opens_at = NOW + timedelta(hours=9)
    waits = judge_go(replace(CLEAR, shut=Shut("at night", opens_at)), NOW)
    assert waits is not None
    assert (waits.retry_after, waits.until, waits.ends) == (timedelta(hours=9), opens_at, False)
    pinned = Objection(Code.PINNED, "it is pinned")
    both = judge_go(replace(CLEAR, shut=Shut("at night", opens_at), objection=pinned), NOW)
    assert both is not None
    assert (both.code, both.ends, both.until) == (Code.PINNED, True, None)


@pytest.mark.parametrize("state", sorted(set(RolloutState) - {RolloutState.RUNNING}))
def test_no_rollout_but_a_running_one_gives_go(state: RolloutState) -> None:
    refused = judge_go(replace(CLEAR, rollout=state), NOW)
    assert refused is not None
    assert refused.code is Code.PAUSED
    assert str(state) in refused.message


def test_a_completed_rollout_gives_go_to_late_hosts_while_it_offers_them() -> None:
    completed = replace(CLEAR, rollout=RolloutState.COMPLETED)
    refused = judge_go(completed, NOW)
    assert refused is not None
    assert (refused.code, "offers no late host now" in refused.message) == (Code.PAUSED, True)
    offers = replace(completed, offers_late=True)
    assert judge_go(offers, NOW) is None
    for code, facts in HURDLES.items():
        if "rollout" not in facts:
            refused = judge_go(replace(offers, **facts), NOW)
            assert refused is not None
            assert refused.code is code
    for state in set(RolloutState) - {RolloutState.RUNNING, RolloutState.COMPLETED}:
        assert judge_go(replace(offers, rollout=state), NOW) is not None


@pytest.mark.parametrize("state", sorted(set(AttemptState)))
def test_go_is_for_hosts_that_can_have_staged(state: AttemptState) -> None:
    assert (judge_go(replace(CLEAR, state=state), NOW) is None) is (state in ASKABLE)


def test_a_used_go_is_never_asked_for_again() -> None:
    assert {AttemptState.GRANTED, AttemptState.LOST} == ASKABLE & PAST_GO


def test_the_end_of_waiting_is_sharp() -> None:
    assert judge_go(CLEAR, CLEAR.not_after - timedelta(microseconds=1)) is None
    assert judge_go(CLEAR, CLEAR.not_after) is not None


def test_of_several_hurdles_the_one_that_people_must_act_on_is_named_first() -> None:
    facts: dict[str, Any] = {}
    for code in reversed(HURDLES):
        facts |= HURDLES[code]
        refused = judge_go(replace(CLEAR, **facts), NOW)
        assert refused is not None
        assert refused.code is code


def test_a_full_scope_is_named_and_asked_again_soon() -> None:
    refused = no_budget("fleet/f1")
    assert (refused.code, refused.retry_after) == (Code.BUDGET, SOON)
    assert "fleet/f1" in refused.message
    assert SOON < ASK_AGAIN
