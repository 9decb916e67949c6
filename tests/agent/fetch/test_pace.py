"""The bandwidth cap: how many bytes come in any ten seconds."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import accumulate, cycle
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetroll_agent.fetch import Pacer
from fleetroll_common.values.clock import FakeClock
from fleetroll_common.values.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterator

WINDOW = 10.0
Arrival = tuple[float, int]

shares = st.lists(st.floats(0.001, 4.0), min_size=1, max_size=5)
"""Sizes of pieces, in seconds of the cap."""


def arrivals(pacer: Pacer, clock: FakeClock, pieces: Iterator[int], late: Iterator[float]) -> list[Arrival]:
    """Take pieces for 12 s as a download does; each wait is ``late`` seconds longer than asked for."""
    began, found = clock.monotonic(), list[Arrival]()
    while clock.monotonic() < began + 12:
        for part in pacer.slices(bytes(next(pieces))):
            if wait := pacer.delay(len(part)):
                clock.advance(wait + next(late))
            found.append((clock.monotonic() - began, len(part)))
    return found


def rates(found: list[Arrival], cap: int) -> tuple[float, float]:
    """Return the lowest and the highest rate over any ten seconds, as shares of the cap."""
    times = [at for at, _ in found]
    sums = [0, *accumulate(size for _, size in found)]
    lowest, highest = float("inf"), 0.0
    for edge in (at for at in times if at <= times[-1] - WINDOW):
        end = sums[bisect_right(times, edge + WINDOW)]
        lowest = min(lowest, (end - sums[bisect_right(times, edge)]) / (cap * WINDOW))
        highest = max(highest, (end - sums[bisect_left(times, edge)]) / (cap * WINDOW))
    return lowest, highest


@given(cap=st.integers(1_000, 200_000), shares=shares, late=st.lists(st.floats(0.0, 0.05), min_size=1, max_size=5))
def test_any_ten_seconds_are_within_five_percent_of_the_cap_whatever_the_pieces(
    cap: int, shares: list[float], late: list[float]
) -> None:
    """However a source cuts its bytes, and however late the host wakes up, the cap is kept and used."""
    clock = FakeClock()
    pieces = cycle([max(1, int(cap * share)) for share in shares])
    lowest, highest = rates(arrivals(Pacer(clock, cap), clock, pieces, cycle(late)), cap)
    assert 0.95 <= lowest <= highest <= 1.05


@given(cap=st.integers(1_000, 1_000_000), number=st.integers(2, 5), idle=st.floats(0.0, 100.0))
def test_downloads_side_by_side_share_one_cap_evenly(cap: int, number: int, idle: float) -> None:
    """The cap is the host's, not each download's."""
    clock = FakeClock()
    pacer = Pacer(clock, cap)
    clock.advance(idle)
    began, got = clock.monotonic(), [0] * number
    wakes = [began] * number
    size = len(next(pacer.slices(bytes(cap))))
    while (wake := min(wakes)) < began + WINDOW:
        clock.advance(wake - clock.monotonic())
        mine = wakes.index(wake)
        got[mine] += size
        wakes[mine] = wake + pacer.delay(size)
    assert sum(got) == pytest.approx(cap * WINDOW, rel=0.05 + 0.02 * number)
    assert max(got) - min(got) <= 2 * size


def test_a_long_pause_saves_up_no_more_than_a_tenth_of_a_second() -> None:
    """What was not used is gone: the cap bounds every moment, not the average."""
    clock = FakeClock()
    pacer = Pacer(clock, 1000)
    clock.advance(3600)
    assert pacer.delay(100) == 0
    assert pacer.delay(100) == pytest.approx(0.1)


def test_a_slice_is_never_more_than_the_bucket_holds_and_never_empty() -> None:
    """A cap of a few bytes per second still lets bytes through, one at a time."""
    clock = FakeClock()
    assert [len(part) for part in Pacer(clock, 1000).slices(bytes(250))] == [100, 100, 50]
    assert [len(part) for part in Pacer(clock, 3).slices(bytes(3))] == [1, 1, 1]
    assert list(Pacer(clock, 1000).slices(b"")) == []


@pytest.mark.parametrize("cap", [0, -1])
def test_a_cap_that_lets_nothing_through_is_refused(cap: int) -> None:
    """A typing error must not stop the updates of a fleet."""
    with pytest.raises(RequestError) as caught:
        Pacer(FakeClock(), cap)
    assert caught.value.code == "INVALID_ARGUMENT"
