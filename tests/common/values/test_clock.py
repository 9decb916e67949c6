"""Three clocks: the host's and the one of tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from fleetroll_common.values.clock import FakeClock, SystemClock

if TYPE_CHECKING:
    import pytest


def test_the_hosts_clocks_are_aware_and_never_go_back() -> None:
    clock = SystemClock()
    assert clock.now().utcoffset() == timedelta()
    assert clock.monotonic() <= clock.monotonic()
    assert clock.boottime() <= clock.boottime()
    assert clock.boottime() >= clock.monotonic() - 0.001


def test_a_system_without_a_boot_time_clock_uses_the_monotonic_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("time.CLOCK_BOOTTIME", raising=False)
    clock = SystemClock()
    before = clock.monotonic()
    assert before <= clock.boottime() <= clock.monotonic()


def readings(clock: FakeClock) -> tuple[datetime, float, float]:
    return clock.now(), clock.monotonic(), clock.boottime()


def test_a_fake_clock_stands_still_until_it_is_told() -> None:
    clock = FakeClock(datetime(2030, 5, 1, tzinfo=UTC))
    assert readings(clock) == readings(clock) == (datetime(2030, 5, 1, tzinfo=UTC), 1000.0, 1000.0)


def test_time_that_passes_moves_all_three_clocks() -> None:
    clock = FakeClock()
    start = clock.now()
    clock.advance(1.5)
    assert readings(clock) == (start + timedelta(seconds=1.5), 1001.5, 1001.5)


def test_a_jump_moves_the_wall_clock_alone() -> None:
    clock = FakeClock()
    start = clock.now()
    clock.jump(-3600)
    assert readings(clock) == (start - timedelta(hours=1), 1000.0, 1000.0)


def test_a_closed_lid_stops_the_monotonic_clock_alone() -> None:
    clock = FakeClock()
    start = clock.now()
    clock.suspend(60)
    assert readings(clock) == (start + timedelta(seconds=60), 1000.0, 1060.0)
