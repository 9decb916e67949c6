"""The next step of a rollout: one table of situations, and a bound on the work."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetroll_common.values.codes import Code
from fleetroll_server.domain.bake import Bake
from fleetroll_server.domain.decide import (
    STUCK,
    Action,
    Advanced,
    AwaitPerson,
    Complete,
    ExpireHosts,
    FailWave,
    Halt,
    Moved,
    OfferHosts,
    OpenWave,
    PassWave,
    PauseForPerson,
    StartBake,
    Summary,
    WaveSummary,
    decide,
    gate,
)
from fleetroll_server.domain.limits import RolloutLimits, Unreadable
from fleetroll_server.domain.states import ENDED_ROLLOUT, RolloutState, WaveState
from fleetroll_server.domain.summary import WaveCounters

R, W = RolloutState, WaveState
NOW = datetime(2026, 3, 1, tzinfo=UTC)
LATER = NOW + timedelta(days=7)
FRESH = WaveCounters(planned=3, pending=3)
GOOD = WaveCounters(planned=3, attempted=3, ended=3, succeeded=3)


def summary(
    counters: WaveCounters = FRESH,
    wave: WaveState = W.OPEN,
    *,
    number: int = 1,
    state: RolloutState = R.RUNNING,
    manual: bool = False,
    late_bad: int = 0,
    baked: float = 0.0,
    **limits: Any,
) -> Summary:
    current = WaveSummary(number, wave, counters, Bake(baked), NOW)
    return Summary(state, manual, RolloutLimits(**limits), current, LATER, late_bad)


def actions(found: Summary, now: datetime = NOW, event: Moved | Advanced | None = None) -> tuple[Action, ...]:
    return decide(found, event or Moved(), now).actions


def only(found: Summary, now: datetime = NOW) -> Action:
    (action,) = actions(found, now)
    return action


def test_the_first_wave_opens_by_itself_also_when_a_person_advances_the_others() -> None:
    assert actions(summary(wave=W.PENDING, manual=True)) == (OpenWave(1),)


def test_a_later_wave_opens_by_itself_or_waits_for_a_person_as_was_asked() -> None:
    assert actions(summary(wave=W.PENDING, number=2)) == (OpenWave(2),)
    assert actions(summary(wave=W.PENDING, number=2, manual=True)) == (AwaitPerson(2),)


def test_a_wave_that_waits_for_a_person_opens_when_one_advances_it_and_never_by_itself() -> None:
    waiting = summary(wave=W.AWAITING_APPROVAL, number=2, manual=True)
    assert actions(waiting, event=Advanced()) == (OpenWave(2),)
    assert actions(waiting, LATER + timedelta(days=1)) == ()
    assert "a person" in decide(waiting, Moved(), NOW).waits_for


def test_an_advance_opens_nothing_but_a_wave_that_waits() -> None:
    assert actions(summary(GOOD, W.OPEN), event=Advanced()) == actions(summary(GOOD, W.OPEN))


@pytest.mark.parametrize("state", sorted(set(R) - {R.RUNNING}))
@pytest.mark.parametrize("wave", list(W))
@pytest.mark.parametrize("event", [Moved(), Advanced()])
def test_a_rollout_that_does_not_run_does_nothing_and_says_what_it_waits_for(
    state: RolloutState, wave: WaveState, event: Moved | Advanced
) -> None:
    found = decide(summary(GOOD, wave, state=state), event, LATER + timedelta(days=9))
    assert found.actions == ()
    assert bool(found.waits_for) is (state not in ENDED_ROLLOUT)


def test_when_every_wave_has_passed_the_rollout_is_complete() -> None:
    assert actions(replace(summary(), wave=None)) == (Complete(),)


@pytest.mark.parametrize(
    ("pending", "downloading", "room", "offered"),
    [(3, 0, 50, 3), (3, 0, 2, 2), (3, 1, 2, 1), (3, 2, 2, 0), (0, 0, 9, 0)],
)
def test_as_many_hosts_are_offered_as_may_download_at_once(
    pending: int, downloading: int, room: int, offered: int
) -> None:
    counters = WaveCounters(planned=9, pending=pending, downloading=downloading)
    expected = (OfferHosts(1, offered),) if offered else ()
    assert actions(summary(counters, max_downloading=room)) == expected


def test_the_gate_speaks_before_anything_is_offered() -> None:
    failed = replace(FRESH, pending=2, attempted=1, bad=1, ended=1)
    action = only(summary(failed))
    assert isinstance(action, FailWave)
    assert action.code is Code.WAVE_NOT_PASSED
    assert "1 bad of 1" in action.evidence


def test_a_good_wave_passes_with_the_numbers_or_is_watched_first() -> None:
    passed = only(summary(GOOD))
    assert isinstance(passed, PassWave)
    assert "3 succeeded" in passed.evidence
    assert only(summary(GOOD, bake_seconds=30.0)) == StartBake(1)


def test_a_bake_passes_when_it_lasted_and_says_how_far_it_is() -> None:
    assert isinstance(only(summary(GOOD, W.BAKING, bake_seconds=30.0, baked=30.0)), PassWave)
    short = decide(summary(GOOD, W.BAKING, bake_seconds=30.0, baked=29.0), Moved(), NOW)
    assert short.actions == ()
    assert "29 of 30 s" in short.waits_for


def test_a_host_that_goes_bad_in_the_bake_fails_its_wave() -> None:
    assert isinstance(only(summary(replace(GOOD, bad=1), W.BAKING, bake_seconds=30.0, baked=99.0)), FailWave)


def test_a_bake_passes_no_wave_in_which_a_host_that_came_back_is_under_way() -> None:
    back = replace(GOOD, planned=4, attempted=4)
    found = decide(summary(back, W.BAKING, bake_seconds=30.0, baked=99.0), Moved(), NOW)
    assert (found.actions, bool(found.waits_for)) == ((), True)
    offered = replace(GOOD, planned=4, pending=1)
    assert only(summary(offered, W.BAKING, bake_seconds=30.0, baked=99.0)) == OfferHosts(1, 1)


def test_hosts_that_wait_hold_no_wave_back_when_others_gave_evidence() -> None:
    assert isinstance(only(summary(replace(GOOD, planned=4, waiting=1))), PassWave)
    asleep = decide(summary(WaveCounters(planned=2, waiting=2)), Moved(), NOW)
    assert asleep.actions == ()
    assert "2 hosts of wave 1 offline or held" in asleep.waits_for


def test_a_wave_that_nobody_attempted_is_left_to_a_person() -> None:
    assert isinstance(only(summary(WaveCounters(planned=3, ended=3))), PauseForPerson)


def test_out_of_time_hosts_before_go_expire_and_the_others_are_waited_for() -> None:
    end = NOW + timedelta(hours=1)
    for counters in (FRESH, WaveCounters(planned=2, waiting=2)):
        assert only(replace(summary(counters), not_after=end), end) == ExpireHosts(1)
    soon = end - timedelta(microseconds=1)
    assert actions(replace(summary(FRESH), not_after=end), soon) == (OfferHosts(1, 3),)


def test_a_wave_in_which_nothing_moves_although_a_host_could_is_halted_after_a_day() -> None:
    silent = WaveCounters(planned=3, attempted=1, ended=1, succeeded=1)
    assert actions(summary(silent), NOW + STUCK - timedelta(microseconds=1)) == ()
    action = only(summary(silent), NOW + STUCK)
    assert isinstance(action, FailWave)
    assert "nothing moved" in action.evidence
    assert actions(summary(WaveCounters(planned=2, waiting=2)), NOW + STUCK) == ()
    assert actions(summary(WaveCounters(planned=2, shut=2)), NOW + STUCK) == ()
    assert actions(summary(WaveCounters(planned=2, shut=1, waiting=1)), NOW + STUCK) == ()
    assert isinstance(only(summary(WaveCounters(planned=3, shut=1, waiting=1)), NOW + STUCK), FailWave)


def test_what_a_person_forgave_fails_the_wave_no_more_and_the_next_bad_host_does() -> None:
    bad = WaveCounters(planned=4, attempted=3, bad=1, ended=3, succeeded=2, pending=1)
    assert isinstance(only(summary(bad)), FailWave)
    assert only(summary(bad.forgive())) == OfferHosts(1, 1)
    worse = replace(bad.forgive(), bad=2, attempted=4, ended=4, pending=0)
    assert isinstance(only(summary(worse)), FailWave)
    assert isinstance(only(summary(replace(bad, planned=3, pending=0).forgive())), PassWave)


def test_a_cohort_that_was_forgiven_halts_again_by_new_hosts_alone() -> None:
    lenient: dict[str, Any] = {"max_failed": 9, "failure_limit": 1.0}
    counters = WaveCounters(planned=9, attempted=2, bad=2, ended=2, pending=7, cohorts={"arch=arm64": (2, 2)})
    assert isinstance(only(summary(counters, **lenient)), FailWave)
    resumed = counters.forgive()
    assert isinstance(only(summary(resumed, **lenient)), OfferHosts)
    again = replace(resumed, attempted=4, bad=4, ended=4, pending=5, cohorts={"arch=arm64": (4, 4)})
    assert isinstance(only(summary(again, **lenient)), FailWave)


def test_hosts_that_go_bad_behind_a_passed_wave_halt_the_rollout_before_they_starve_its_budget() -> None:
    under_way = WaveCounters(planned=2, attempted=1)
    assert actions(summary(under_way, number=2)) == ()
    action = only(summary(under_way, number=2, late_bad=1))
    assert isinstance(action, FailWave)
    assert "1 of waves that had passed" in action.evidence


def test_no_gate_speaks_before_its_wave_opened() -> None:
    for wave in (W.PENDING, W.AWAITING_APPROVAL):
        assert gate(summary(replace(GOOD, bad=3), wave)) is None
    assert gate(replace(summary(), wave=None)) is None


NUMBER = st.integers(0, 100_000)
COUNTERS = st.builds(
    lambda ended, waiting, pending, rest, bad, won, tried: WaveCounters(
        planned=ended + waiting + pending + rest,
        attempted=min(tried, ended) + rest,
        bad=min(bad, tried, ended),
        ended=ended,
        waiting=waiting,
        succeeded=min(won, ended - min(bad, tried, ended)),
        pending=pending,
    ),
    *(NUMBER for _ in range(7)),
)


@given(COUNTERS, st.sampled_from([W.OPEN, W.BAKING]), st.sampled_from([0.0, 60.0]), st.integers(0, 200))
def test_an_open_wave_always_acts_or_says_what_it_waits_for(
    counters: WaveCounters, wave: WaveState, bake_seconds: float, hours: int
) -> None:
    found = decide(summary(counters, wave, bake_seconds=bake_seconds), Moved(), NOW + timedelta(hours=hours))
    assert bool(found.actions) != bool(found.waits_for)
    assert len(found.actions) <= 1


def test_the_work_does_not_grow_with_the_number_of_hosts() -> None:
    assert lines_run(100_000) == lines_run(10)


def lines_run(hosts: int) -> int:
    """Count the lines that one decision about a wave of so many hosts runs."""
    lines = 0

    def count(_frame: Any, event: str, _argument: Any) -> Any:
        nonlocal lines
        lines += event == "line"
        return count

    counters = WaveCounters(
        planned=hosts,
        attempted=hosts // 2,
        ended=hosts // 2,
        succeeded=hosts // 2,
        pending=hosts - hosts // 2,
        cohorts={"os=linux": (hosts // 2, 0)},
    )
    found = summary(counters, max_downloading=hosts)
    before = sys.gettrace()
    sys.settrace(count)
    try:
        decision = decide(found, Moved(), NOW)
    finally:
        sys.settrace(before)
    assert decision.actions == (OfferHosts(1, hosts - hosts // 2),)
    assert lines < 200
    return lines


@pytest.mark.parametrize("wave", sorted(set(W) - {W.PASSED, W.FAILED}))
def test_a_running_rollout_whose_limits_cant_be_read_halts_and_says_how_it_ends(wave: WaveState) -> None:
    found = replace(summary(wave=wave, manual=True, number=2), limits=Unreadable("limits.min_sample: absent"))
    for event in (Moved(), Advanced()):
        (action,) = decide(found, event, NOW).actions
        assert isinstance(action, Halt)
        assert action.code is Code.THRESHOLD_MISSING
        assert action.reason == "its stored limits can't be read: limits.min_sample: absent; cancel it"


@pytest.mark.parametrize("state", sorted(set(R) - {R.RUNNING}))
def test_limits_that_cant_be_read_change_nothing_where_nothing_runs(state: RolloutState) -> None:
    found = summary(state=state)
    unread = replace(found, limits=Unreadable("limits.min_sample: absent"))
    assert decide(unread, Moved(), NOW) == decide(found, Moved(), NOW)
    assert gate(unread) is None


AWAY = WaveCounters(planned=3, attempted=2, ended=2, succeeded=2, waiting=1)


def test_a_wave_passes_without_a_host_only_once_it_is_offline_and_says_until_when_it_waits() -> None:
    until = NOW + timedelta(seconds=60)
    coming = replace(summary(AWAY), returning_until=until)
    assert decide(coming, Moved(), NOW).actions == ()
    assert decide(coming, Moved(), NOW).waits_for == "1 host of wave 1 that may come back until 00:01:00Z"
    (action,) = decide(summary(AWAY), Moved(), until).actions
    assert isinstance(action, PassWave)


def test_no_bake_begins_or_passes_while_a_host_may_come_back() -> None:
    for wave, baked in ((W.OPEN, 0.0), (W.BAKING, 60.0)):
        coming = replace(summary(AWAY, wave, baked=baked, bake_seconds=60), returning_until=LATER)
        assert decide(coming, Moved(), NOW).actions == ()


def test_hosts_that_may_come_back_hide_no_failure_and_do_not_outlive_not_after() -> None:
    bad = replace(AWAY, succeeded=1, bad=1)
    (failed,) = decide(replace(summary(bad), returning_until=LATER), Moved(), NOW).actions
    assert isinstance(failed, FailWave)
    (expired,) = decide(replace(summary(AWAY), returning_until=LATER + STUCK), Moved(), LATER).actions
    assert isinstance(expired, ExpireHosts)


def test_who_came_back_is_waited_for_no_longer() -> None:
    (action,) = decide(replace(summary(GOOD), returning_until=LATER), Moved(), NOW).actions
    assert isinstance(action, PassWave)
