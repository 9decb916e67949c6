"""What windows mean, told without any arithmetic on zones: walk minute by minute and read the clock on the wall.

The clock that is read never goes back: while a wall clock repeats an hour it stands at the latest time that it showed.
A window is open while that clock reads a time between its bounds.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING

from fleetroll_common.values.zones import find_zone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleetroll_common.values.windows import Window

DAY = 24 * 60
WEEK = 7 * DAY
EPOCH = datetime.fromisoformat("1970-01-01")
"""A Thursday, of no zone."""


@lru_cache(maxsize=256)
def walk(zone_name: str, begin: int, minutes: int) -> list[int]:
    """Return what the clock reads at each minute from ``begin`` (Unix seconds) on, in minutes since 1970."""
    zone, latest, read = find_zone(zone_name), 0, []
    for number in range(-DAY, minutes):
        shown = datetime.fromtimestamp(begin + number * 60, zone).replace(tzinfo=None)
        latest = max(latest, int((shown - EPOCH).total_seconds()) // 60)
        read.append(latest)
    return read[DAY:]


def admits(window: Window, reading: int) -> bool:
    """Whether a clock that reads so many minutes since 1970 stands within the window."""
    day, minute = divmod(reading, DAY)
    weekday = (day + 3) % 7
    if window.from_minutes < window.to_minutes:
        return weekday in window.days and window.from_minutes <= minute < window.to_minutes
    over_midnight = (weekday - 1) % 7 in window.days and minute < window.to_minutes
    return over_midnight or (weekday in window.days and minute >= window.from_minutes)


def openness(windows: Sequence[Window], local_zone: str, begin: int, minutes: int) -> list[bool]:
    """Whether any window is open, minute by minute."""
    columns = []
    for window in windows:
        of_week = [admits(window, reading) for reading in range(WEEK)]  # it reads no more than weekday and minute
        columns.append([of_week[reading % WEEK] for reading in walk(window.zone_name(local_zone), begin, minutes)])
    return [any(row) for row in zip(*columns, strict=True)]


def runs(opened: Sequence[bool]) -> list[tuple[int, int]]:
    """Return first minute and length of each time that is open without a gap."""
    found, at = [], 0
    for is_open, group in groupby(opened):
        length = len(list(group))
        if is_open:
            found.append((at, length))
        at += length
    return found
