"""Instants and spans as people read them. Pure."""

from __future__ import annotations

from datetime import datetime, timezone

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def instant(seconds: float | None) -> str | None:
    """Return Unix seconds in the form of RFC 3339, UTC; None for none, and for what no calendar has."""
    if seconds is None:
        return None
    try:
        return shown(datetime.fromtimestamp(seconds, timezone.utc))
    except (OverflowError, ValueError, OSError):
        return None


def shown(at: datetime) -> str:
    """Return an aware instant in the form of RFC 3339, UTC."""
    return at.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def unix(text: object) -> float | None:
    """Return the Unix seconds of an instant as logs have it; None for anything else."""
    try:
        at = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
        return at.timestamp() if at.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def span(seconds: float | None) -> str:
    """Return a length of time, its two largest units at most; ``-`` for one that is not known."""
    if seconds is None or not 0 <= seconds < 1e12:  # noqa: PLR2004 (30,000 years: a clock's fault)
        return "-"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole}s"
    if whole < _HOUR:
        return f"{whole // _MINUTE}m{whole % _MINUTE}s"
    if whole < _DAY:
        return f"{whole // _HOUR}h{whole % _HOUR // _MINUTE}m"
    return f"{whole // _DAY}d{whole % _DAY // _HOUR}h"
