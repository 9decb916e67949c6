"""Late hosts: one table of situations, what people may do, and mistakes planted into the rules."""

from __future__ import annotations

import random
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetroll_common.values.codes import Code
from fleetroll_server.domain import go, late
from fleetroll_server.domain.decide import Moved, Summary, decide
from fleetroll_server.domain.late import LateHosts, LateStep, OfferLate, StopLate, next_late
from fleetroll_server.domain.limits import RolloutLimits, Unreadable
from fleetroll_server.domain.states import IllegalTransitionError, RolloutState
from fleetroll_server.domain.summary import WaveCounters
from tests.faults.rollout_walk import late_world, walk

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LATER = NOW + timedelta(days=7)
DONE = WaveCounters(planned=2, attempted=2, ended=2, succeeded=2)
ASLEEP = replace(DONE, planned=5, waiting=3)
READY = replace(DONE, planned=5, waiting=1, pending=2)
UNDER_WAY = replace(DONE, planned=5, waiting=1, pending=1)
STOPS = [Code.CANCELLED_BY, Code.WAVE_NOT_PASSED, Code.YANKED, Code.THRESHOLD_MISSING]
LIMITS = RolloutLimits()


def step(*waves: WaveCounters, limits: Any = LIMITS, now: datetime = NOW, **facts: Any) -> LateStep:
    return next_late(LateHosts(waves, NOW, **facts), limits, LATER, now)


def test_without_late_hosts_nothing_is_left_to_do() -> None:
    assert step(DONE) == LateStep()


def test_hosts_that_are_off_are_waited_for() -> None:
    found = step(ASLEEP)
    assert (found.action, found.waits_for) == (
        None,
        "3 late hosts away or held, one by one until 2026-03-08 00:00Z",
    )


def test_the_next_one_is_offered_only_when_none_is_under_way() -> None:
    assert step(READY).action == OfferLate()
    found = step(UNDER_WAY)
    assert found.action is None
    assert "a late host under way; 3 late hosts left" in found.waits_for
    assert step(READY, UNDER_WAY).action is None, "whatever its wave is"


def test_none_is_offered_from_not_after_on() -> None:
    assert step(READY, now=LATER - timedelta(microseconds=1)).action == OfferLate()
    assert step(READY, now=LATER) == LateStep()


@pytest.mark.parametrize(("max_failed", "bad", "stops"), [(1, 0, False), (1, 1, True), (2, 1, False), (2, 2, True)])
def test_as_many_bad_late_hosts_as_fail_a_wave_stop_the_others(max_failed: int, bad: int, stops: bool) -> None:
    counters = replace(READY, attempted=2 + bad, ended=2 + bad, bad=bad, planned=5 + bad)
    found = step(counters, limits=RolloutLimits(max_failed=max_failed, failure_limit=1.0)).action
    assert isinstance(found, StopLate if stops else OfferLate)
    if isinstance(found, StopLate):
        assert (found.code, f"{bad} bad of {2 + bad} attempted" in found.reason) == (Code.WAVE_NOT_PASSED, True)


def test_what_was_forgiven_at_the_completion_stops_nothing_and_the_next_bad_one_does() -> None:
    bad = replace(READY, attempted=4, ended=4, bad=2, planned=7)
    assert isinstance(step(bad).action, StopLate)
    assert step(bad.forgive()).action == OfferLate()
    worse = replace(bad.forgive(), attempted=5, ended=5, bad=3, planned=8)
    assert isinstance(step(worse).action, StopLate)


def test_a_host_of_the_waves_that_goes_back_later_is_forgiven_alone() -> None:
    lenient = RolloutLimits(max_failed=9, failure_limit=1.0)
    counters = replace(READY, cohorts={"os=linux": (2, 0), "site=a": (1, 0)})
    gone_back = replace(counters, bad=1, cohorts={"os=linux": (2, 1), "site=a": (1, 1)}).forgive_one(
        ["os=linux", "x=y"]
    )
    assert gone_back.unforgiven_bad == 0
    assert gone_back.unforgiven_cohorts() == {"os=linux": (1, 0), "site=a": (1, 1)}
    assert step(gone_back).action == OfferLate()
    assert isinstance(step(replace(gone_back, bad=2, attempted=3)).action, StopLate)
    both = replace(counters, bad=2, attempted=2, cohorts={"site=a": (2, 2)})
    assert isinstance(step(both, limits=lenient).action, StopLate), "a cohort stops them as it stops a wave"


def test_one_that_does_not_move_for_a_day_stops_the_others_and_sleeping_ones_do_not() -> None:
    assert step(UNDER_WAY, now=NOW + late.STUCK - timedelta(seconds=1)).action is None
    found = step(UNDER_WAY, now=NOW + late.STUCK).action
    assert isinstance(found, StopLate)
    assert "nothing moved for 1 day" in found.reason
    assert step(ASLEEP, now=NOW + late.STUCK).action is None


def test_nothing_spreads_under_limits_that_can_not_be_read() -> None:
    found = step(READY, limits=Unreadable("max_failed: it is missing")).action
    assert isinstance(found, StopLate)
    assert found.code is Code.THRESHOLD_MISSING


@pytest.mark.parametrize("stopped", [*STOPS, *sorted(late.RESUMABLE)])
@pytest.mark.parametrize("counters", [ASLEEP, READY, UNDER_WAY, DONE])
def test_nothing_is_offered_while_it_is_stopped(stopped: Code, counters: WaveCounters) -> None:
    found = step(counters, stopped=stopped, now=NOW + late.STUCK)
    assert found.action is None
    assert bool(found.waits_for) is (stopped in late.RESUMABLE and counters is not DONE)


@pytest.mark.parametrize("state", sorted(RolloutState))
def test_late_hosts_are_a_completed_rollouts_alone(state: RolloutState) -> None:
    hosts = LateHosts((READY,), NOW) if state is RolloutState.COMPLETED else None
    found = decide(Summary(state, False, LIMITS, None, LATER, late=hosts), Moved(), NOW)
    assert (OfferLate() in found.actions) is (state is RolloutState.COMPLETED)


def test_what_hosts_share_is_judged_over_all_waves() -> None:
    lenient = RolloutLimits(max_failed=9, failure_limit=0.5)
    counts: dict[str, Any] = {"planned": 10, "attempted": 9, "bad": 1, "ended": 9, "succeeded": 8, "waiting": 1}
    wave = WaveCounters(**counts, planned_cohorts=True, cohorts={"arch=arm64": (1, 1), "arch=amd64": (8, 0)})
    assert step(wave, limits=lenient).action is None
    found = step(wave, wave, wave, limits=lenient).action
    assert isinstance(found, StopLate)
    assert "all 3 attempted hosts with arch=arm64 are bad" in found.reason
    assert step(*[wave.forgive()] * 3, limits=lenient).action is None


def test_a_lost_host_is_said_until_not_after_and_stops_nothing_alone() -> None:
    lost = replace(DONE, planned=3, attempted=3, ended=3, bad=1, lost=1)
    assert step(lost) == LateStep(waits_for="1 late host lost after Go")
    assert step(lost, now=LATER) == LateStep()
    paused = step(lost, stopped=Code.PAUSED)
    assert paused == LateStep(waits_for="a person to resume or cancel: 1 late host")
    assert step(replace(DONE, lost=-1)) == LateStep(), "rows of older versions did not count them"


def test_what_is_due_and_has_no_offer_is_held_by_another_rollout() -> None:
    hosts = LateHosts((READY,), NOW)
    found = late.at_rest(hosts, next_late(hosts, LIMITS, LATER, NOW))
    assert found == "another rollout of the product, under way on 2 late hosts"
    assert late.at_rest(hosts, LateStep(waits_for="x")) == "x"


def test_after_not_after_one_past_go_is_under_way() -> None:
    past_go = replace(DONE, planned=3, attempted=3)
    assert step(past_go, now=LATER) == LateStep(waits_for="1 late host under way")


# What people may do.


def test_people_stop_a_lost_host_too() -> None:
    lost = replace(DONE, planned=3, attempted=3, ended=3, bad=1, lost=1)
    assert late.pause(LateHosts((lost,), NOW))
    assert late.cancel(LateHosts((lost,), NOW))


def test_people_pause_resume_and_cancel_what_there_is() -> None:
    going, paused = LateHosts((ASLEEP,), NOW), LateHosts((ASLEEP,), NOW, Code.PAUSED)
    assert (late.pause(going), late.pause(paused)) == (True, False)
    assert (late.cancel(going), late.cancel(paused)) == (True, True)
    assert late.cancel(LateHosts((DONE,), NOW, Code.CANCELLED_BY)) is False
    for stop in late.RESUMABLE:
        late.resume(LateHosts((ASLEEP,), NOW, stop))


@pytest.mark.parametrize("stopped", [None, *STOPS])
def test_what_has_ended_or_goes_on_is_not_resumed(stopped: Code | None) -> None:
    with pytest.raises(IllegalTransitionError):
        late.resume(LateHosts((ASLEEP,), NOW, stopped))


def test_there_is_nothing_to_pause_or_to_cancel_without_late_hosts() -> None:
    for act in (late.pause, late.cancel):
        with pytest.raises(IllegalTransitionError):
            act(LateHosts((DONE,), NOW))
    with pytest.raises(IllegalTransitionError):
        late.pause(LateHosts((ASLEEP,), NOW, Code.WAVE_NOT_PASSED))


NUMBER = st.integers(0, 100_000)


@given(
    st.lists(st.builds(WaveCounters, *[NUMBER] * 9), min_size=1, max_size=3),
    st.sampled_from([None, *STOPS, *late.RESUMABLE]),
    st.integers(-(2**20), 2**20),
)
def test_whatever_the_counters_are_one_step_comes_and_the_work_is_bounded(
    waves: list[WaveCounters], stopped: Code | None, seconds: int
) -> None:
    calls = 0

    def count(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        found = step(*waves, stopped=stopped, now=NOW + timedelta(seconds=seconds))
    finally:
        sys.setprofile(None)
    assert calls < 200
    assert found.action is None or not found.waits_for


# Mistakes: each is found by walks among late hosts.

PLANTED: dict[str, Callable[[pytest.MonkeyPatch], None]] = {}


def planted(plant: Callable[[pytest.MonkeyPatch], None]) -> Callable[[pytest.MonkeyPatch], None]:
    PLANTED[plant.__name__] = plant
    return plant


@planted
def all_late_hosts_go_at_once(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(LateHosts, "under_way", property(lambda self: 0))
    patch.setattr(late, "MAX_UNDER_WAY", 9)


@planted
def the_gate_of_late_hosts_sees_nothing_bad(patch: pytest.MonkeyPatch) -> None:
    right: Any = getattr(late, "verdict")  # noqa: B009 (what it imported)
    patch.setattr(late, "verdict", lambda found, _, limits: right(replace(found, bad=0), [], limits))


@planted
def what_the_waves_let_through_counts(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(WaveCounters, "unforgiven_bad", property(lambda self: self.bad))
    patch.setattr(WaveCounters, "forgive_one", lambda self, _: self)


@planted
def a_stopped_completed_rollout_gives_go(patch: pytest.MonkeyPatch) -> None:
    right = go.judge_go
    patch.setattr(go, "judge_go", lambda facts, now: right(replace(facts, offers_late=True), now))


@planted
def a_completed_rollout_gives_no_go(patch: pytest.MonkeyPatch) -> None:
    right = go.judge_go
    patch.setattr(go, "judge_go", lambda facts, now: right(replace(facts, offers_late=False), now))


@planted
def no_late_host_is_offered(patch: pytest.MonkeyPatch) -> None:
    right: Any = late.next_late
    patch.setattr("fleetroll_server.domain.decide.next_late", lambda *rest: replace(right(*rest), action=None))


@pytest.mark.parametrize("name", list(PLANTED))
def test_each_planted_mistake_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    PLANTED[name](monkeypatch)
    for seed in range(120):
        try:
            walk(seed, 80, late_world)
        except (AssertionError, IllegalTransitionError, ValueError, KeyError) as error:
            print(f"\n{name}: walk {seed}: {type(error).__name__}: {str(error)[:100]}")
            return
    pytest.fail(f"{name}: not found in 120 walks")


def test_worlds_of_late_hosts_begin_completed() -> None:
    for seed in range(30):
        assert late_world(random.Random(seed)).server.state is RolloutState.COMPLETED
