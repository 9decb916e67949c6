"""Windows as people write them: ``mon-fri 22:00-05:00 Europe/Berlin``. Pure; a ValueError's words end a sentence."""

from __future__ import annotations

import re

from fleetroll_common.values.windows import DAY_MINUTES, DAYS, LOCAL_ZONE, Window
from fleetroll_common.values.zones import MAX_ZONE_CHARS

_MINUTES_OF_DAY = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|24:00", re.ASCII)
_ZONE = re.compile(r"[A-Z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}", re.ASCII)


def read_window(value: str) -> Window:
    """Read ``mon-fri 22:00-05:00 Europe/Berlin``; whether the zone is known is judged where it is evaluated.

    Raises:
        ValueError: it is no window.
    """
    parts = value.split()
    if len(parts) != 3:  # noqa: PLR2004 (days, times, zone)
        raise ValueError("does not have three parts: days, times, zone")
    days, times, zone = parts
    begin, dash, end = times.partition("-")
    if not dash:
        raise ValueError(f"has no times such as 22:00-05:00, but {times[:40]!r}")
    from_minutes, to_minutes = _minutes(begin), _minutes(end)
    if from_minutes == DAY_MINUTES:
        raise ValueError("begins at 24:00, which is 00:00 of the next day")
    if from_minutes == to_minutes:
        raise ValueError("ends when it begins; a whole day is 00:00-24:00")
    return Window(_days(days), from_minutes, to_minutes, read_zone(zone))


def read_zone(zone: str) -> str:
    """Check that a text has the form of an IANA name, or is ``local``.

    Raises:
        ValueError: it has not.
    """
    if zone != LOCAL_ZONE and (_ZONE.fullmatch(zone) is None or len(zone) > MAX_ZONE_CHARS):
        raise ValueError(f"has no zone such as Europe/Berlin or local, but {zone[:40]!r}")
    return zone


def _minutes(value: str) -> int:
    match = _MINUTES_OF_DAY.fullmatch(value)
    if match is None:
        raise ValueError(f"has no time such as 22:00, but {value[:40]!r}")
    return DAY_MINUTES if match.group(1) is None else int(match.group(1)) * 60 + int(match.group(2))


def _days(value: str) -> tuple[int, ...]:
    """Read ``sat,sun`` or ``mon-fri``; a range may go over the end of the week."""
    found: list[int] = []
    for part in value.split(","):
        first, dash, last = part.partition("-")
        begin, end = _day(first), _day(last if dash else first)
        found += [(begin + place) % 7 for place in range((end - begin) % 7 + 1)]
    if len(set(found)) != len(found):
        raise ValueError(f"names a day twice: {value[:40]!r}")
    return tuple(sorted(found))


def _day(value: str) -> int:
    if value not in DAYS:
        raise ValueError(f"has no day such as {', '.join(DAYS)}, but {value[:40]!r}")
    return DAYS.index(value)
