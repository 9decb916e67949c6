"""Blackouts: days on which no work begins, and when it may begin between windows and blackouts. Pure.

1. A blackout goes from the first instant of its first day to the first instant after its last one, by the clocks of its
   zone.
2. Work may begin where a window is open with the time left that the work needs, and no blackout begins in that time.
3. What has begun goes on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from fleetroll_common.values.window_text import read_zone
from fleetroll_common.values.windows import LOCAL_ZONE, find_opening, next_opening
from fleetroll_common.values.zones import find_zone, first_instant

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fleetroll_common.values.windows import Window

MAX_BLACKOUT_DAYS = 366
"""A longer one is a slip of the pen, or a reason to stop updates altogether."""
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_FIRST, _LAST = date(1970, 1, 2), date(9000, 1, 1)


@dataclass(frozen=True, slots=True)
class Blackout:
    """Days on which no work begins.

    Attributes:
        first: the first day.
        last: the last one, the same or later.
        zone: an IANA name, or ``local`` for the host's own.
    """

    first: date
    last: date
    zone: str

    def __str__(self) -> str:
        """Return it as people write it: ``2026-12-20..2027-01-04 Europe/Berlin``."""
        days = f"{self.first}" if self.first == self.last else f"{self.first}..{self.last}"
        return f"{days} {self.zone}"

    def span(self, local_zone: str) -> tuple[datetime, datetime]:
        """Return its begin and its end, UTC, on a host in ``local_zone``.

        Raises:
            RequestError: INVALID_ARGUMENT: the zone is unknown.
        """
        zone = find_zone(local_zone if self.zone == LOCAL_ZONE else self.zone)
        begin, end = (
            datetime(day.year, day.month, day.day)  # noqa: DTZ001 (by the clocks of a zone)
            for day in (self.first, self.last + timedelta(days=1))
        )
        return first_instant(begin, zone), first_instant(end, zone)


def read_blackout(value: str) -> Blackout:
    """Read ``2026-12-20..2027-01-04 Europe/Berlin``, or one day: ``2026-12-24 local``.

    Raises:
        ValueError: it is none; the words end a sentence that begins with the field.
    """
    parts = value.split()
    if len(parts) != 2:  # noqa: PLR2004 (days, zone)
        raise ValueError("does not have two parts: days, zone")
    begin, dots, end = parts[0].partition("..")
    first = _day(begin)
    last = _day(end) if dots else first
    if last < first:
        raise ValueError(f"ends before it begins: {parts[0][:40]!r}")
    if (last - first).days >= MAX_BLACKOUT_DAYS:
        raise ValueError(f"is longer than {MAX_BLACKOUT_DAYS} days")
    return Blackout(first, last, read_zone(parts[1]))


def _day(value: str) -> date:
    try:
        if _DAY.fullmatch(value) is not None and _FIRST <= (found := date.fromisoformat(value)) < _LAST:
            return found
    except ValueError:
        pass
    raise ValueError(f"has no day such as 2026-12-24, but {value[:40]!r}")


def next_start(
    windows: Sequence[Window],
    blackouts: Sequence[Blackout],
    now: datetime,
    local_zone: str,
    needed_seconds: float,
) -> datetime | None:
    """Return the first instant from ``now`` on at which work may begin: ``now`` itself where it may at once.

    Args:
        windows: in one of which the work must fit; none = always.
        blackouts: none of which may begin while the work goes on.
        now: aware.
        local_zone: the host's, an IANA name.
        needed_seconds: how long the work takes, 0 to 400 days.

    Returns:
        None where windows and blackouts leave no such instant in the next 400 days and more.

    Raises:
        RequestError: INVALID_ARGUMENT: a zone is unknown.
    """
    spans = [blackout.span(local_zone) for blackout in blackouts]
    takes = max(timedelta(seconds=needed_seconds), timedelta(microseconds=1))
    at = next_opening(windows, now, local_zone, needed_seconds)
    for _ in spans:  # each turn leaves a blackout behind
        if at is None:
            return None
        over = [ended for begun, ended in spans if begun < at + takes and at < ended]
        if not over:
            return at
        at = next_opening(windows, max(over), local_zone, needed_seconds)
    return at


def free_spans(
    windows: Sequence[Window],
    blackouts: Sequence[Blackout],
    now: datetime,
    local_zone: str,
    needed_seconds: float,
) -> Iterator[tuple[datetime, datetime | None]]:
    """Yield the times between windows and blackouts in which the work fits, from ``now`` on: when each begins and ends.

    One without an end goes on for ever, or for longer than is looked. Arguments and errors as in :func:`next_start`.
    """
    at = next_start(windows, blackouts, now, local_zone, needed_seconds)
    while at is not None:
        opening = find_opening(windows, at, local_zone, needed_seconds) if windows else None
        begins = at
        later = [begun for begun, _ in (blackout.span(local_zone) for blackout in blackouts) if begun > begins]
        ends = min([*later, *([opening.ends] if opening is not None else [])], default=None)
        yield begins, ends
        at = next_start(windows, blackouts, ends, local_zone, needed_seconds) if ends is not None else None
