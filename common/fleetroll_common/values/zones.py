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
    found = local.replace(tzinfo=zone, fold=0).astimezone(timezone.utc)
    if _shown(found, zone) == local:
        return found
    before = local.replace(tzinfo=zone, fold=1).astimezone(timezone.utc)
    return _change(before, found, local, zone)


def _change(before: datetime, after: datetime, local: datetime, zone: zoneinfo.ZoneInfo) -> datetime:
    """Return the second at which the clocks jump over ``local``; they show less at ``before``, more at ``after``."""
    low, high = 0, int((after - before).total_seconds())
    while high - low > 1:
        middle = (low + high) // 2
        if _shown(before + timedelta(seconds=middle), zone) < local:
            low = middle
        else:
            high = middle
    return before + timedelta(seconds=high)


def _shown(instant: datetime, zone: zoneinfo.ZoneInfo) -> datetime:
    """Return what the clocks of ``zone`` show, naive."""
    return instant.astimezone(zone).replace(tzinfo=None)
