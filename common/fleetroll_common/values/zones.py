"""Time zones, and the instants at which their clocks show something.

The data comes with the program, pinned like every dependency: what the operating system has differs from host to host,
and host and server have to agree on when a window opens. This is the one place that knows ``zoneinfo``; a test sees to
that.
"""

from __future__ import annotations

import zoneinfo
from datetime import datetime, timedelta, timezone
from functools import lru_cache

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError

MAX_ZONE_CHARS = 64
"""The longest name of the time zone database has 32."""

zoneinfo.reset_tzpath(to=[])


@lru_cache(maxsize=64)
def find_zone(name: str) -> zoneinfo.ZoneInfo:
    """Return the zone with an IANA name.

    Raises:
        RequestError: INVALID_ARGUMENT: there is no such zone in this program's data (the fault of who named it).
    """
    try:
        if len(name) <= MAX_ZONE_CHARS and name.isprintable():
            # One that somebody else had made before may hold the operating system's data.
            return zoneinfo.ZoneInfo.no_cache(name)
    except (KeyError, ValueError, OSError):
        # What it takes for a name differs: folders, files that are no zones, paths that lead elsewhere.
        pass
    message = f"zone: {name[:MAX_ZONE_CHARS]!r} is no time zone that this version knows"
    remedy = "name one of the IANA database, such as Europe/Berlin"
    raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy=remedy, zone=name[:MAX_ZONE_CHARS])


def first_instant(local: datetime, zone: zoneinfo.ZoneInfo) -> datetime:
    """Return the first instant, in UTC, at which the clocks of ``zone`` show ``local`` (naive) or a later time.

    So a time that is left out when clocks are put forward is the instant of that change, one that comes twice is its
    first occurrence, and later times never come before earlier ones.
    """
    before, after = (_offset(local.replace(tzinfo=zone, fold=fold)) for fold in (0, 1))
    if before >= after:
        return (local - before).replace(tzinfo=timezone.utc)
    return _change((local - after).replace(tzinfo=timezone.utc), after - before, local, zone)


def _offset(local: datetime) -> timedelta:
    """Return how far the clocks are ahead of UTC: those before a change where ``fold`` is 0, those after it else."""
    return local.utcoffset() or timedelta()


def _change(since: datetime, within: timedelta, local: datetime, zone: zoneinfo.ZoneInfo) -> datetime:
    """Return the second at which the clocks jump over ``local``: they show less at ``since``, more ``within`` that."""
    low, high = 0, int(within.total_seconds())
    while high - low > 1:
        middle = (low + high) // 2
        if _shown(since + timedelta(seconds=middle), zone) < local:
            low = middle
        else:
            high = middle
    return since + timedelta(seconds=high)


def _shown(instant: datetime, zone: zoneinfo.ZoneInfo) -> datetime:
    """Return what the clocks of ``zone`` show, naive."""
    return instant.astimezone(zone).replace(tzinfo=None)
