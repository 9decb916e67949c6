"""An unproven way back counts unless the servers were away in its time; nothing else is ever excused."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from fleetroll_server.domain.availability import Spell
from fleetroll_server.domain.excuses import MAX_EXCUSES, MAX_RESTARTS, WayBack, is_excused
from fleetroll_server.domain.states import ATTEMPT_TRANSITIONS, PAST_GO, AttemptState, Trigger

GO = datetime(2026, 3, 1, tzinfo=UTC)
NOW = GO + timedelta(minutes=6)
BACK = WayBack(
    state=AttemptState.TRIAL,
    trigger=Trigger.ROLL_BACK,
    unproven=True,
    had_succeeded=False,
    granted_at=GO,
    excuses=0,
    has_queue=True,
)
BEFORE = Spell(GO - timedelta(days=1), GO + timedelta(minutes=1), over=True)
AGAIN = Spell(GO + timedelta(minutes=3), NOW)


def test_a_way_back_with_an_outage_in_its_time_is_excused() -> None:
    assert is_excused(BACK, [BEFORE, AGAIN], NOW)
    assert is_excused(BACK, [BEFORE], NOW), "an outage that lasts still"


def test_a_way_back_while_some_server_was_there_all_along_counts() -> None:
    other = Spell(GO - timedelta(hours=1), NOW - timedelta(seconds=4))
    assert not is_excused(BACK, [BEFORE, AGAIN, other], NOW)


def test_an_outage_before_its_go_excuses_nothing() -> None:
    assert not is_excused(replace(BACK, granted_at=GO + timedelta(minutes=3)), [BEFORE, AGAIN], NOW)


@pytest.mark.parametrize(
    "changed",
    [
        {"unproven": False},
        {"trigger": Trigger.ROLL_BACK_FAIL},
        {"trigger": Trigger.FAIL},
        {"state": AttemptState.SUCCEEDED},
        {"state": AttemptState.STAGED},
        {"had_succeeded": True},
        {"granted_at": None},
        {"excuses": MAX_EXCUSES},
    ],
    ids=str,
)
def test_whatever_else_went_wrong_in_an_outage_counts(changed: dict[str, object]) -> None:
    assert not is_excused(replace(BACK, **changed), [BEFORE, AGAIN], NOW)  # type: ignore[arg-type]


def test_what_is_excused_can_go_back_into_its_queue() -> None:
    for state, trigger in product(AttemptState, Trigger):
        back = replace(BACK, state=state, trigger=trigger)
        if back.may_be_excused or back.was_restarted:
            assert state in PAST_GO
            assert ATTEMPT_TRANSITIONS[state][Trigger.REQUEUE] is AttemptState.PENDING


RESTARTED = replace(BACK, state=AttemptState.APPLYING, trigger=Trigger.FAIL)


@pytest.mark.parametrize("state", [AttemptState.GRANTED, AttemptState.APPLYING, AttemptState.LOST])
def test_a_host_that_was_started_anew_before_the_switch_is_queued_once(state: AttemptState) -> None:
    assert replace(RESTARTED, state=state).was_restarted
    assert not replace(RESTARTED, state=state, excuses=MAX_RESTARTS).was_restarted


@pytest.mark.parametrize(
    "changed",
    [
        {"unproven": False},
        {"trigger": Trigger.ROLL_BACK},
        {"state": AttemptState.TRIAL},
        {"state": AttemptState.PROMOTED},
        {"state": AttemptState.STAGED},
        {"granted_at": None},
        {"has_queue": False},
    ],
    ids=str,
)
def test_no_other_failure_passes_for_a_start_anew(changed: dict[str, object]) -> None:
    assert not replace(RESTARTED, **changed).was_restarted  # type: ignore[arg-type]
