"""Windows of maintenance: when work may begin. Pure; host and server calculate alike.

1. A window opens on its days at ``from``, and closes at the next ``to``, by the clocks of its zone. Either is the first
   instant at which those clocks show that time or a later one: what is left out when clocks are put forward is the
   instant of the change, what comes twice is its first occurrence.
2. So a window is as long as the time that passes in it: an hour more or less where the clocks change within. One whose
   times are all left out does not open on that day.
3. Windows that adjoin or overlap, of whatever zones, are one opening.
4. Work may begin while an opening has as much time left as the work needs. Nothing here ends what has begun.

Without windows it may always begin.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from fleetroll_common.values.zones import find_zone, first_instant

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MINUTES = 24 * 60
LOCAL_ZONE = "local"
"""The zone of a window that goes by the host's own clock."""
SEARCH_DAYS = 400
"""How far ahead an opening is looked for: a year with both changes of the clock."""
_HORIZONS_DAYS = (1, 9, SEARCH_DAYS)
"""Most searches end in a day, nearly all others in a week and a change of the clock; all 400 days take long."""
_MARGIN_DAYS = 1
"""What opened yesterday may still be open; a zone that goes over the date line leaves a day out."""
_FIRST, _LAST = datetime(1900, 1, 1, tzinfo=timezone.utc), datetime(9990, 1, 1, tzinfo=timezone.utc)
"""A clock that shows another time is wrong, and near the ends of the calendar nothing can be calculated."""
_DAY_SECONDS = 86400
_WEEK_SECONDS = 7 * _DAY_SECONDS


@dataclass(frozen=True, slots=True)
class Window:
    """Times of a week in which work may begin.

    Attributes:
        days: on which it opens, 0 = Monday, ascending, each once.
        from_minutes: of the day, 0 to 1439.
        to_minutes: of the day, 0 to 1440; not above ``from_minutes`` = on the next day. Never equal to it.
        zone: an IANA name, or ``local``. Whether it is known is judged where windows are evaluated.
    """

    days: tuple[int, ...]
    from_minutes: int
    to_minutes: int
    zone: str

    @property
    def minutes(self) -> int:
        """Return the length on a day without a change of the clock, 1 to 1440."""
        length = self.to_minutes - self.from_minutes
        return length if length > 0 else length + DAY_MINUTES

    def __str__(self) -> str:
        """Return the window as the file has it: ``mon-fri 22:00-05:00 Europe/Berlin``."""
        begin, end = (f"{minutes // 60:02}:{minutes % 60:02}" for minutes in (self.from_minutes, self.to_minutes))
        return f"{','.join(_ranges(self.days))} {begin}-{end} {self.zone}"

    def zone_name(self, local_zone: str) -> str:
        """Return the IANA name, on a host in ``local_zone``."""
        return local_zone if self.zone == LOCAL_ZONE else self.zone


@dataclass(frozen=True, slots=True)
class Opening:
    """A time without a gap in which some window is open.

    Attributes:
        begins: aware, UTC. Of one that is open already: when it began, or earlier than any work could use.
        ends: aware, UTC. Of one that goes on for weeks: as far as was looked.
        window: the one with which it begins.
    """

    begins: datetime
    ends: datetime
    window: Window


def is_open(windows: Sequence[Window], now: datetime, local_zone: str, needed_seconds: float) -> bool:
    """Tell whether work may begin. Arguments and errors as in :func:`find_opening`."""
    return not windows or _find(windows, now, local_zone, needed_seconds, 0) is not None


def next_opening(windows: Sequence[Window], now: datetime, local_zone: str, needed_seconds: float) -> datetime | None:
    """Return the first instant from ``now`` on at which work may begin. The rest is as in :func:`find_opening`."""
    if not windows:
        return now
    found = find_opening(windows, now, local_zone, needed_seconds)
    return None if found is None else max(now, found.begins)


def find_opening(windows: Sequence[Window], now: datetime, local_zone: str, needed_seconds: float) -> Opening | None:
    """Return the opening in which work may begin first: the one that is open, or the next one.

    Args:
        windows: at least one.
        now: aware.
        local_zone: the host's, an IANA name.
        needed_seconds: how much time it must have left, 0 to 400 days.

    Returns:
        None where no opening of the next 400 days is long enough, and outside of the years 1900 to 9989.

    Raises:
        RequestError: INVALID_ARGUMENT: the zone of a window is unknown, whichever window would be next.
    """
    found = (_find(windows, now, local_zone, needed_seconds, days) for days in _HORIZONS_DAYS)
    return next((opening for opening in found if opening is not None), None)


def longest_seconds(windows: Sequence[Window], now: datetime, local_zone: str) -> float:
    """Return the length of the longest opening while no clock is changed; infinite where there is always one.

    What fits into nothing but the night in which clocks are put back is too long: it would wait for a year. Zones
    differ by as much as they do ``now``. Arguments and errors as in :func:`find_opening`.
    """
    if not windows:
        return math.inf
    # Twice the week: an opening that goes over its end is whole in there once.
    weeks = sorted(piece for week in (0, 1) for piece in _pieces_of_week(windows, now, local_zone, week))
    longest, (begins, ends) = 0, weeks[0]
    for begin, end in weeks:
        begins, ends = (begins, max(ends, end)) if begin <= ends else (begin, end)
        longest = max(longest, ends - begins)
    return math.inf if longest >= _WEEK_SECONDS else longest


def _pieces_of_week(windows: Sequence[Window], now: datetime, local_zone: str, week: int) -> Iterator[tuple[int, int]]:
    """Yield begin and end of each window, in seconds of a week that begins anywhere."""
    for window in windows:
        offset = now.astimezone(find_zone(window.zone_name(local_zone))).utcoffset() or timedelta()
        seconds = int(offset.total_seconds())
        for day in window.days:
            begin = (day * _DAY_SECONDS + window.from_minutes * 60 - seconds) % _WEEK_SECONDS + week * _WEEK_SECONDS
            yield begin, begin + window.minutes * 60


def _find(
    windows: Sequence[Window], now: datetime, local_zone: str, needed_seconds: float, horizon_days: int
) -> Opening | None:
    """Look for an opening that begins within so many days and is long enough; what is beyond them may be cut."""
    if not _FIRST <= now < _LAST:
        return None
    now = now.astimezone(timezone.utc)
    needed = timedelta(seconds=min(needed_seconds, SEARCH_DAYS * _DAY_SECONDS))
    latest = now + timedelta(days=horizon_days)
    days = horizon_days + needed.days + 1
    pieces = [piece for window in windows for piece in _pieces(window, now, local_zone, days)]
    for opening in _joined(pieces):
        if opening.begins > latest:
            break
        if now < opening.ends and opening.ends - max(now, opening.begins) >= needed:
            return opening
    return None


def _joined(pieces: Sequence[Opening]) -> Iterator[Opening]:
    """Make one of those that adjoin or overlap, in their order."""
    begun: Opening | None = None
    for opening in sorted(pieces, key=lambda one: one.begins):
        if begun is None or opening.begins > begun.ends:
            if begun is not None:
                yield begun
            begun = opening
        elif opening.ends > begun.ends:
            begun = Opening(begun.begins, opening.ends, begun.window)
    if begun is not None:
        yield begun


def _pieces(window: Window, now: datetime, local_zone: str, days: int) -> Iterator[Opening]:
    """Yield what the window opens by itself, from before ``now`` to so many days later at least."""
    zone = find_zone(window.zone_name(local_zone))
    today = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    for number in range(-_MARGIN_DAYS, days + _MARGIN_DAYS + 1):
        day = today + timedelta(days=number)
        if day.weekday() not in window.days:
            continue
        begin = day + timedelta(minutes=window.from_minutes)
        begins, ends = first_instant(begin, zone), first_instant(begin + timedelta(minutes=window.minutes), zone)
        if begins < ends:
            yield Opening(begins, ends, window)


def _ranges(days: Sequence[int]) -> Iterator[str]:
    """Yield runs of days as people write them: ``mon-fri``, ``sun``."""
    firsts = [day for day in days if day - 1 not in days]
    for first in firsts:
        last = next(day for day in range(first, 8) if day + 1 not in days)
        yield DAYS[first] if last == first else f"{DAYS[first]}-{DAYS[last]}"
