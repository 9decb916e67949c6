"""Sources that are too slow, and sources that only seem so because the host itself waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetroll_agent.fetch import DownloadLimits, Pacer, fetch_target, is_transient
from fleetroll_agent.fetch.rate import SlidingRate
from fleetroll_common.values.clock import FakeClock
from fleetroll_common.values.errors import AgentError
from tests.faults.sources import DATA, Source, Target, fetch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@given(st.lists(st.tuples(st.floats(0.0, 30.0), st.integers(0, 10_000)), min_size=1, max_size=40))
def test_the_rate_is_that_of_the_last_minute(steps: list[tuple[float, int]]) -> None:
    """The window forgets what is older than 61 s, and nothing that is younger than 60 s."""
    rate, now, came = SlidingRate(0.0), 0.0, list[tuple[float, int]]()
    for wait, size in steps:
        now += wait
        came.append((now, size))
        rate.add(now, size)
    found = rate.bytes_per_second(now)
    if now < 60:
        assert found is None
        return
    sums = [sum(size for at, size in came if at >= now - window) for window in (60, 61)]
    assert found is not None
    assert sums[0] / 61 - 1e-6 <= found <= sums[1] / 60 + 1e-6


def test_a_million_small_pieces_take_no_more_memory_than_a_minute() -> None:
    """A source that sends byte by byte must not fill the host's memory."""
    rate = SlidingRate(0.0)
    for number in range(100_000):
        rate.add(number / 1000, 1)
    assert len(rate._counts) <= 62
    assert rate.bytes_per_second(100.0) == pytest.approx(1000, rel=0.02)


async def test_a_source_that_is_too_slow_is_given_up_after_a_minute_and_its_rate_is_told(dest: Path) -> None:
    """A trickle below the least rate ends the connection, and may be tried again."""
    clock = FakeClock()
    with pytest.raises(AgentError) as caught:
        await fetch(Source(piece=100, clock=clock, seconds_per_piece=1.0), dest, clock, slowest_bytes_per_second=110)
    assert caught.value.details["reason"] == "100 bytes/s over 60 s are fewer than 110"
    assert is_transient(caught.value)
    assert clock.monotonic() == 1000 + 60
    assert caught.value.details["received_bytes"] == "5900"


async def test_a_source_at_exactly_the_least_rate_is_fast_enough(dest: Path) -> None:
    """The bound is the bound, whatever the size of the pieces."""
    clock = FakeClock()
    source = Source(piece=500, clock=clock, seconds_per_piece=5.0)
    await fetch(source, dest, clock, slowest_bytes_per_second=100)
    assert dest.read_bytes() == DATA


async def test_a_slow_start_is_forgiven_and_a_slow_end_is_not(dest: Path) -> None:
    """The window slides: what came quickly at first helps no longer a minute later."""
    clock = FakeClock()

    class Tiring(Source):
        async def open(self, path: str, offset: int) -> AsyncIterator[bytes]:
            yield DATA[:6000]
            for at in range(6000, len(DATA)):
                clock.advance(1.0)
                yield DATA[at : at + 1]

    with pytest.raises(AgentError) as caught:
        await fetch(Tiring(), dest, clock, slowest_bytes_per_second=50)
    assert caught.value.details["reason"] == "1 bytes/s over 60 s are fewer than 50"
    assert clock.monotonic() == 1000 + 61


async def capped(source: Source, dest: Path, clock: FakeClock, cap: int, limits: DownloadLimits | None = None) -> None:
    """Fetch under a cap; waiting moves the clock."""

    async def sleep(seconds: float) -> None:
        clock.advance(seconds)

    await fetch_target(source, Target(), dest, clock, limits, pacer=Pacer(clock, cap), sleep=sleep)


async def test_waiting_for_the_cap_is_neither_a_stall_nor_slowness_of_the_source(dest: Path) -> None:
    """One piece is more than the cap lets through in ten stall limits, and the download goes on."""
    clock = FakeClock()
    limits = DownloadLimits(slowest_bytes_per_second=1000)
    await capped(Source(piece=5000, clock=clock, seconds_per_piece=1.0), dest, clock, 16, limits)
    assert dest.read_bytes() == DATA
    assert clock.monotonic() - 1000 == pytest.approx(len(DATA) / 16, rel=0.01)


async def test_a_source_that_is_slow_under_a_cap_is_still_given_up(dest: Path) -> None:
    """Half the cap is the least rate where that is lower than the fleet's."""
    clock = FakeClock()
    with pytest.raises(AgentError) as caught:
        await capped(Source(piece=100, clock=clock, seconds_per_piece=1.0), dest, clock, 300)
    assert caught.value.details["reason"] == "100 bytes/s over 60 s are fewer than 150"


async def test_a_stall_under_a_cap_is_still_a_stall(dest: Path) -> None:
    """The source's own silence counts, whatever the host waited before."""
    clock = FakeClock()
    with pytest.raises(AgentError) as caught:
        await capped(Source(clock=clock, seconds_per_piece=30.0), dest, clock, 100)
    assert caught.value.details["reason"] == "no byte came for 30 s"


async def test_progress_under_a_cap_is_told_in_slices(dest: Path) -> None:
    """A large piece is not a burst."""
    clock = FakeClock()
    told: list[tuple[int, float]] = []

    async def sleep(seconds: float) -> None:
        clock.advance(seconds)

    def tell(size: int) -> None:
        told.append((size, round(clock.monotonic() - 1000, 3)))

    pacer = Pacer(clock, 30_000)
    await fetch_target(Source(piece=len(DATA)), Target(), dest, clock, on_bytes=tell, pacer=pacer, sleep=sleep)
    assert told == [(3000, 0.0), (6000, 0.1), (9000, 0.2), (10240, 0.241)]
