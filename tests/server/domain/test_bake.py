"""Bake: only time in which somebody watched counts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetroll_server.domain.bake import MAX_GAP_SECONDS, Bake, done, tick
from fleetroll_server.domain.limits import RolloutLimits

START = datetime(2031, 3, 30, 0, 59, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def watched(bake: Bake, seconds: float, *, up: bool = True, away: int = 0, max_failed: int = 1) -> Bake:
    return tick(bake, at(seconds), up=up, away_without_goodbye=away, max_failed=max_failed)


def test_the_first_tick_only_starts_the_count() -> None:
    assert watched(Bake(), 100) == Bake(0.0, at(100))


def test_ticks_add_the_time_between_them() -> None:
    bake = Bake()
    for seconds in (0, 5, 9, 14):
        bake = watched(bake, seconds)
    assert bake == Bake(14.0, at(14))


def test_a_hole_between_two_ticks_adds_no_more_than_the_largest_gap() -> None:
    assert watched(Bake(3.0, at(0)), 3600) == Bake(3.0 + MAX_GAP_SECONDS, at(3600))


def test_downtime_adds_nothing() -> None:
    after_restart = watched(Bake(3.0, at(0)), 8, up=False)
    assert after_restart == Bake(3.0, at(8))
    assert watched(after_restart, 10) == Bake(5.0, at(10))


def test_a_clock_set_back_adds_nothing_and_takes_nothing() -> None:
    back = watched(Bake(30.0, at(100)), 40)
    assert back == Bake(30.0, at(40))
    assert watched(back, 44) == Bake(34.0, at(44))


@pytest.mark.parametrize(("away", "max_failed", "counts"), [(0, 1, True), (1, 1, False), (1, 2, True), (2, 2, False)])
def test_hosts_that_went_silent_stop_the_count_where_the_gate_would_not_forgive_them(
    away: int, max_failed: int, counts: bool
) -> None:
    assert watched(Bake(1.0, at(0)), 4, away=away, max_failed=max_failed).seconds == (5.0 if counts else 1.0)


def test_time_before_a_silent_host_came_back_is_not_made_up_for() -> None:
    bake = watched(Bake(0.0, at(0)), 5, away=1)
    assert watched(bake, 7) == Bake(2.0, at(7))


def test_a_bake_of_no_length_is_done_at_once() -> None:
    assert done(Bake(), RolloutLimits())


@pytest.mark.parametrize(("seconds", "expected"), [(0.0, False), (59.9, False), (60.0, True), (61.0, True)])
def test_a_bake_is_done_when_its_time_is_full(seconds: float, expected: bool) -> None:
    assert done(Bake(seconds, START), RolloutLimits(bake_seconds=60)) is expected


@pytest.mark.parametrize(("away", "max_failed", "gap"), [(-1, 1, 1.0), (0, 0, 1.0), (0, 1, 0.0), (0, 1, float("nan"))])
def test_numbers_that_can_not_be_are_refused(away: int, max_failed: int, gap: float) -> None:
    with pytest.raises(ValueError, match="bake"):
        tick(Bake(), START, up=True, away_without_goodbye=away, max_failed=max_failed, max_gap_seconds=gap)


STEPS = st.lists(st.tuples(st.floats(-100, 100), st.booleans(), st.integers(0, 2)), max_size=30)


@given(STEPS)
def test_a_bake_never_shrinks_and_never_outruns_its_ticks(steps: list[tuple[float, bool, int]]) -> None:
    bake, clock = Bake(), 0.0
    for passed, up, away in steps:
        clock += passed
        after = watched(bake, clock, up=up, away=away, max_failed=2)
        assert bake.seconds <= after.seconds <= bake.seconds + MAX_GAP_SECONDS
        assert (up and away < 2) or after.seconds == bake.seconds
        assert after.ticked_at == at(clock)
        bake = after
