"""Text in cells of a terminal: somebody else's words made harmless, cut and filled to a width; numbers and times."""

from __future__ import annotations

from datetime import UTC, datetime

from rich.cells import cell_len, set_cell_size

from fleetroll_common.values.plain import MAX_CELL_CHARS, plain

MINUTE, HOUR, DAY = 60, 3_600, 86_400
LONGEST_NUMBER = len(r"\x10ffff")
"""What one letter takes at most where it is shown by number."""
_LONG = 10.0
_STEP = 1000


def clean(text: str, limit: int = MAX_CELL_CHARS) -> str:
    """Return text that can't move the cursor, hide, turn round, or take no room: such letters are shown by number."""
    return plain(text, limit)


def clean_lines(text: str, limit: int = 200, width: int = 500) -> list[str]:
    """Return the last lines of a program's output, each harmless."""
    return [clean(line.expandtabs(4), width) for line in text[-limit * width :].splitlines()[-limit:]]


def first_lines(text: str, limit: int = 1_000, width: int = 20_000) -> list[str]:
    """Return the first lines of what somebody wrote, each harmless; how many more there are is said."""
    lines = text.splitlines()
    more = [f"… and {len(lines) - limit:,} more lines"] if len(lines) > limit else []
    return [clean(line.expandtabs(4), width) for line in lines[:limit]] + more


def calendar_day(at: float) -> str:
    """Return 2026-09-21 of an instant; "–" for none."""
    when = _calendar(at) if at else None
    return "–" if when is None else f"{when:%Y-%m-%d}"


def one_line(text: str, most: int) -> str:
    """Return the first line of what somebody pastes or types, of at most so many letters, each harmless by itself."""
    first = (text[:most].splitlines() or [""])[0].replace("\t", " ")
    return plain(first, LONGEST_NUMBER * len(first))


def fit(text: str, width: int, *, right: bool = False) -> str:
    """Return exactly ``width`` cells: cut with an ellipsis, or filled with blanks."""
    if width <= 0:
        return ""
    size = len(text) if text.isascii() else cell_len(text)
    if size > width:
        return set_cell_size(text, width - 1) + "…"
    blanks = " " * (width - size)
    return blanks + text if right else text + blanks


def number(value: int) -> str:
    """Return 5,000 for 5000."""
    return f"{value:,}"


def of(count: int, noun: str) -> str:
    """Return "1 host", "5,000 hosts"."""
    return f"{number(count)} {noun}{'' if count == 1 else 's'}"


def lasting(seconds: float) -> str:
    """Return a duration in two units at most: "47 s", "3 min 5 s", "2 h 10 min", "41 d"."""
    whole = int(max(0.0, seconds))
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        odd = whole % MINUTE if whole < 10 * MINUTE else 0
        return f"{whole // MINUTE} min {odd} s" if odd else f"{whole // MINUTE} min"
    if whole < DAY:
        return f"{whole // HOUR} h {whole % HOUR // MINUTE} min"
    return f"{whole // DAY} d"


def short_lasting(seconds: float) -> str:
    """Return a duration in one unit, for narrow columns: "47s", "3m", "2h", "41d"."""
    whole = int(max(0.0, seconds))
    for size, unit in ((DAY, "d"), (HOUR, "h"), (MINUTE, "m")):
        if whole >= size:
            return f"{whole // size}{unit}"
    return f"{whole}s"


def ago(now: float, at: float) -> str:
    """Return how long ago, for narrow columns; "–" for never."""
    return short_lasting(now - at) if at else "–"


def clock_time(at: float, now: float = 0.0) -> str:
    """Return 14:03:22Z, with the day when it is another one than ``now``'s; "–" for none, or none in a calendar."""
    when = _calendar(at) if at else None
    if when is None:
        return "–"
    today = _calendar(now) if now else when
    return f"{when:%H:%M:%SZ}" if today is not None and today.date() == when.date() else f"{when:%m-%d %H:%MZ}"


def _calendar(at: float) -> datetime | None:
    """Return an instant in UTC; None outside of the years 1 to 9999, which somebody else may have written."""
    try:
        return datetime.fromtimestamp(at, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def percent(share: float) -> str:
    """Return 1.8 % for 0.018."""
    return f"{share * 100:.1f} %"


def data_size(count: int) -> str:
    """Return bytes in a unit that people read."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < _STEP:
            return f"{size:.0f} {unit}" if size >= _LONG or unit == "B" else f"{size:.1f} {unit}"
        size /= _STEP
    return f"{size:.1f} TB"
