"""Decisions of people: stopping is cheap, spreading needs the newest revision and a wave that waits."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_server.domain import people
from fleetroll_server.domain.bake import Bake
from fleetroll_server.domain.decide import Summary, WaveSummary
from fleetroll_server.domain.limits import RolloutLimits
from fleetroll_server.domain.states import (
    ENDED_ROLLOUT,
    IllegalTransitionError,
    RolloutState,
    RolloutTrigger,
    WaveState,
)
from fleetroll_server.domain.summary import WaveCounters

R, W = RolloutState, WaveState
NOW = datetime(2026, 3, 1, tzinfo=UTC)
SKIPPED = WaveCounters(planned=2, ended=2)
"""The gate of such a wave can't tell: nobody was attempted."""
RUNS = WaveCounters(planned=2, attempted=1)


def summary(state: RolloutState, wave: WaveState | None, counters: WaveCounters = RUNS) -> Summary:
    current = None if wave is None else WaveSummary(2, wave, counters, Bake(), NOW)
    return Summary(state, manual_advance=True, limits=RolloutLimits(), wave=current, not_after=NOW)


@pytest.mark.parametrize("given", [0, -1])
def test_a_decision_without_a_revision_is_refused(given: int) -> None:
    with pytest.raises(RequestError) as caught:
        people.require_revision(given, 4, "wave 1 failed")
    assert caught.value.code is Code.REVISION


@pytest.mark.parametrize("given", [1, 3, 5])
def test_a_decision_on_another_revision_is_refused_and_told_what_changed(given: int) -> None:
    with pytest.raises(RequestError) as caught:
        people.require_revision(given, 4, "wave 1 failed")
    assert caught.value.code is Code.STALE_DECISION
    assert "wave 1 failed" in caught.value.message
    assert caught.value.details["current"] == "4"


def test_a_decision_on_the_newest_revision_stands() -> None:
    people.require_revision(4, 4, "")


@pytest.mark.parametrize("state", list(R))
def test_what_stands_can_be_resumed_and_nothing_else(state: RolloutState) -> None:
    if state in {R.PAUSED, R.HALTED}:
        assert people.resume(state) is R.RUNNING
        return
    with pytest.raises(IllegalTransitionError):
        people.resume(state)


@pytest.mark.parametrize("state", list(R))
def test_a_rollout_that_has_not_ended_can_be_cancelled_and_twice_is_no_error(state: RolloutState) -> None:
    if state is R.CANCELLED or state not in ENDED_ROLLOUT | {R.ROLLING_BACK}:
        assert people.stop(state, RolloutTrigger.CANCEL) is R.CANCELLED
        return
    with pytest.raises(IllegalTransitionError):
        people.stop(state, RolloutTrigger.CANCEL)


@pytest.mark.parametrize("state", list(R))
def test_a_rollout_that_runs_or_will_by_itself_can_be_paused(state: RolloutState) -> None:
    if state in {R.SCHEDULED, R.RUNNING, R.PAUSED}:
        assert people.stop(state, RolloutTrigger.PAUSE) is R.PAUSED
        return
    with pytest.raises(IllegalTransitionError):
        people.stop(state, RolloutTrigger.PAUSE)


@pytest.mark.parametrize("state", list(R))
def test_a_wave_that_waits_is_opened_only_while_the_rollout_runs(state: RolloutState) -> None:
    facts = summary(state, W.AWAITING_APPROVAL)
    if state is R.RUNNING:
        assert people.require_waiting_wave(facts).number == 2
        return
    with pytest.raises(RequestError) as caught:
        people.require_waiting_wave(facts)
    assert caught.value.code is Code.ROLLOUT_STATE


@pytest.mark.parametrize("wave", [None, *sorted(set(W) - {W.AWAITING_APPROVAL})])
def test_a_wave_that_has_not_passed_its_gate_can_not_be_stepped_over(wave: WaveState | None) -> None:
    with pytest.raises(RequestError) as caught:
        people.require_waiting_wave(summary(R.RUNNING, wave))
    assert caught.value.code is Code.WAVE_NOT_PASSED


def test_a_person_decides_about_a_wave_whose_gate_can_not_tell() -> None:
    paused = summary(R.PAUSED, W.OPEN, SKIPPED)
    assert people.require_waiting_wave(paused).number == 2


@pytest.mark.parametrize("counters", [RUNS, replace(RUNS, bad=1), replace(RUNS, attempted=2, ended=2, succeeded=2)])
def test_a_pause_alone_gives_nobody_the_right_to_step_over_a_gate_that_can_tell(counters: WaveCounters) -> None:
    with pytest.raises(RequestError) as caught:
        people.require_waiting_wave(summary(R.PAUSED, W.OPEN, counters))
    assert caught.value.code is Code.ROLLOUT_STATE


def test_a_halted_wave_is_never_stepped_over() -> None:
    with pytest.raises(RequestError) as caught:
        people.require_waiting_wave(summary(R.HALTED, W.FAILED, SKIPPED))
    assert caught.value.code is Code.ROLLOUT_STATE


@pytest.mark.parametrize("state", [R.RUNNING, R.PAUSED])
def test_a_wave_that_must_be_approved_is_not_advanced(state: RolloutState) -> None:
    facts = summary(state, W.AWAITING_APPROVAL)
    people.require_advance(facts)
    if state is R.PAUSED:
        people.require_advance(replace(facts, wave_approval=True))
        return
    with pytest.raises(RequestError) as caught:
        people.require_advance(replace(facts, wave_approval=True))
    assert (caught.value.code, "approve" in caught.value.remedy) == (Code.NOT_ALLOWED, True)
