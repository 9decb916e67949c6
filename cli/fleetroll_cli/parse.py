"""Reads what people type: durations, labels, waves."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from fleetroll.v1 import rollouts_pb2
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.version import Version

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_DAYS = 3650
"""Beyond any bound of the server, within what the wire's durations hold."""
INT32_MAX = 2**31 - 1
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)([smhd])", re.ASCII)


def duration(text: str, field: str = "duration") -> timedelta:
    """Read ``90s``, ``1.5h``, ``7d``; ``0s`` is allowed.

    Raises:
        RequestError: not a number with a unit, or longer than ten years (caller's fault).
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        message = f"{field}: {text[:40]!r} is not a duration"
        raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy="write it like 90s, 15m, 24h or 7d", field=field)
    seconds = float(match.group(1)) * _UNITS[match.group(2)]
    if seconds > MAX_DAYS * _UNITS["d"]:
        message = f"{field}: {text} is longer than {MAX_DAYS} days"
        raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy="write a shorter one", field=field)
    return timedelta(seconds=seconds)


def instant(text: str, field: str) -> datetime:
    """Read an instant with its zone, ``2026-05-01T22:00Z``, or a time from now, ``8h``.

    Raises:
        RequestError: it is neither, or has no zone (caller's fault).
    """
    if _DURATION.fullmatch(text):
        return datetime.now(UTC) + duration(text, field)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        message = f"{field}: {text[:40]!r} is no time with a zone"
        remedy = "write it like 2026-05-01T22:00Z, 2026-05-01T22:00+02:00 or 8h"
        raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy=remedy, field=field)
    return found.astimezone(UTC)


def why_not_both(one: str, one_is_said: bool, other: str, other_is_said: bool) -> None:
    """Refuse two flags that can't both be meant.

    Raises:
        RequestError: both were said (caller's fault).
    """
    if one_is_said and other_is_said:
        message = f"{one} and {other} can't both be meant"
        raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy="say one of them", field=one.lstrip("-"))


def between(low: int, high: int, field: str) -> Callable[[int | None], int | None]:
    """Return the check of the number for ``field`` of the contract; absent is fine.

    Where the server says more about a number than we could, the bounds are those of what can be sent.
    """

    def check(value: int | None) -> int | None:
        if value is not None and not low <= value <= high:
            message = f"{field}: {value} is not between {low} and {high}"
            raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy="give a number between them", field=field)
        return value

    return check


def said(field: str) -> Callable[[str | None], str | None]:
    """Return the check of a word that chooses how far something goes; absent is fine, empty never.

    A shell's variable that is not set gives an empty word: that must not mean everything.
    """

    def check(value: str | None) -> str | None:
        if value is not None and not value.strip():
            message = f"{field}: it is empty"
            raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy="name one, or leave it out", field=field)
        return value

    return check


def labels(pairs: list[str], field: str = "label") -> dict[str, str]:
    """Read ``key=value`` pairs.

    Raises:
        RequestError: a pair has no ``=`` or no key, or a key comes twice (caller's fault).
    """
    read: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key or key in read:
            message = f"{field}: {pair[:80]!r} is not a new key=value"
            raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy="write it like site=ams", field=field)
        read[key] = value
    return read


def waves(text: str) -> list[rollouts_pb2.WaveSpec]:
    """Read ``1,10%,rest``; ``web-1+web-2`` names the hosts of a wave.

    Raises:
        RequestError: a part is neither a number, a percentage, names, nor ``rest`` (caller's fault).
    """
    return [_wave(part.strip()) for part in text.split(",")] if text else []


def _wave(part: str) -> rollouts_pb2.WaveSpec:
    """Read one wave. Numbers that can't be are left to the server, which says why."""
    if part == "rest":
        return rollouts_pb2.WaveSpec(rest=True)
    if re.fullmatch(r"-?[0-9]{1,9}", part, re.ASCII):
        return rollouts_pb2.WaveSpec(count=int(part))
    if re.fullmatch(r"-?[0-9]{1,3}(\.[0-9]{1,3})?%", part, re.ASCII):
        return rollouts_pb2.WaveSpec(percent=float(part[:-1]))
    names = [name for name in part.split("+") if name]
    if not names or not re.match(r"[A-Za-z]", part):
        message = f"waves: {part[:80]!r} is not a wave"
        raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy="write them like 1,10%,rest", field="waves")
    return rollouts_pb2.WaveSpec(count=len(names), hosts=names)


def read_supported_from(text: str) -> Version | None:
    """Read ``>=1.2.0``; empty is any."""
    if not text:
        return None
    if not text.startswith(">="):
        message = f"supported_from: {text[:80]!r} is not written like >=1.0.0"
        remedy = "write it like >=1.0.0"
        raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy=remedy, field="supported_from")
    return Version.parse(text[2:].strip(), field="supported_from")
