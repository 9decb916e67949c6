"""Checks that many requests share: texts, names, labels, durations, pages. Every refusal names the field."""

from __future__ import annotations

import contextlib
import json
import unicodedata
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.platform import Platform

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from google.protobuf.duration_pb2 import Duration
    from google.protobuf.timestamp_pb2 import Timestamp

    from fleetroll.v1 import types_pb2

MAX_NAME_CHARS = 253
"""Of a host: what a DNS name may have."""
MAX_REASON_CHARS = 500
DEFAULT_PAGE = 100
MAX_PAGE = 1000
MAX_CURSOR_BYTES = 2048
"""More than any that is given out: the longest holds a host's name of 253 letters, of four bytes each."""
MAX_CURSOR_DIGITS = 9
MAX_LABELS = 64
MAX_LABEL_KEY_CHARS = 63
MAX_LABEL_VALUE_CHARS = 255


def text(field: str, value: str, *, at_most: int, at_least: int = 0, lines: bool = False) -> str:
    """Return ``value`` when it has the right length and no control characters (line ends only where ``lines``).

    Raises:
        RequestError: INVALID_ARGUMENT (caller's fault).
    """
    if not at_least <= len(value) <= at_most:
        raise invalid(field, f"{len(value)} characters, {at_least} to {at_most} are allowed")
    if any(unicodedata.category(char) == "Cc" and not (lines and char in "\n\t\r") for char in value):
        raise invalid(field, "holds a control character")
    return value


def reason(value: str, *, required: bool = False) -> str:
    """Return the reason of a decision; raises as :func:`text`."""
    return text("reason", value, at_least=int(required), at_most=MAX_REASON_CHARS)


def labels(value: Mapping[str, str]) -> dict[str, str]:
    """Return labels when number and lengths are right; raises as :func:`text`."""
    if len(value) > MAX_LABELS:
        raise invalid("labels", f"{len(value)} labels, at most {MAX_LABELS} are allowed")
    for key, said in value.items():
        text("labels", key, at_least=1, at_most=MAX_LABEL_KEY_CHARS)
        text(f"labels.{key}", said, at_most=MAX_LABEL_VALUE_CHARS)
    return dict(value)


def platform(wire: types_pb2.Platform) -> Platform:
    """Return a platform; raises as :func:`text`."""
    return Platform(wire.os, wire.arch, wire.abi)


def lifetime(field: str, wire: Duration, *, present: bool, default: timedelta, longest: timedelta) -> timedelta:
    """Return how long something is valid: ``default`` where absent, else one minute to ``longest``.

    Raises:
        RequestError: INVALID_ARGUMENT (caller's fault).
    """
    if not present:
        return default
    value = span(field, wire)
    if not timedelta(minutes=1) <= value <= longest:
        raise invalid(field, f"{value} is not between 1 minute and {longest.days} days")
    return value


def span(field: str, wire: Duration) -> timedelta:
    """Return a duration of the wire, which holds more than a ``timedelta`` does.

    Raises:
        RequestError: INVALID_ARGUMENT (caller's fault).
    """
    try:
        return wire.ToTimedelta()
    except (OverflowError, ValueError):
        raise invalid(field, f"{wire.seconds} seconds are more than any calendar holds") from None


def instant(field: str, wire: Timestamp) -> datetime:
    """Return an instant of the wire, which holds more than a ``datetime`` does.

    Raises:
        RequestError: INVALID_ARGUMENT (caller's fault).
    """
    try:
        return wire.ToDatetime(tzinfo=UTC)
    except (OverflowError, ValueError):
        raise invalid(field, f"{wire.seconds} seconds since 1970 are on no calendar") from None


def page_size(page: types_pb2.Page) -> int:
    """Return how many rows are wanted.

    Raises:
        RequestError: INVALID_ARGUMENT: not 0 to 1000 (caller's fault).
    """
    if not 0 <= page.size <= MAX_PAGE:
        raise invalid("page.size", f"{page.size} is not between 0 and {MAX_PAGE}")
    return page.size or DEFAULT_PAGE


def read_cursor(page: types_pb2.Page, kind: str, parts: int) -> tuple[str, ...] | None:
    """Return where the last page of this ``kind`` ended; None for the first page.

    Raises:
        RequestError: INVALID_ARGUMENT: not a cursor of such a listing (caller's fault).
    """
    if not page.cursor:
        return None
    found: object = None
    if len(page.cursor) <= MAX_CURSOR_BYTES:
        with contextlib.suppress(ValueError, RecursionError):
            found = json.loads(page.cursor)
    if not isinstance(found, list) or len(found) != parts + 1 or not all(_is_part(part) for part in found):
        raise _no_cursor()
    if found[0] != kind:
        raise _no_cursor()
    return tuple(found[1:])


def cursor_instant(part: str) -> datetime:
    """Return the instant that a part of a cursor is; raises as :func:`read_cursor`."""
    try:
        value = datetime.fromisoformat(part)
        if value.tzinfo is None:
            raise _no_cursor()
        return value.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _no_cursor() from None


def cursor_number(part: str, *, digits: int = MAX_CURSOR_DIGITS) -> int:
    """Return the number of at most ``digits`` digits that a part of a cursor is; raises as :func:`read_cursor`."""
    if not (part.isascii() and part.isdigit() and len(part) <= digits):
        raise _no_cursor()
    return int(part)


def make_cursor(kind: str, parts: Sequence[str]) -> bytes:
    """Return the cursor behind a row of a listing. Opaque to clients: only :func:`read_cursor` reads it."""
    return json.dumps([kind, *parts], ensure_ascii=False).encode()


def _is_part(value: object) -> bool:
    """Tell whether ``value`` is text that a database takes: no control character, no half of a surrogate pair."""
    return isinstance(value, str) and not any(unicodedata.category(char) in {"Cc", "Cs"} for char in value)


def _no_cursor() -> RequestError:
    """Return the error for a cursor of somebody else's making."""
    return invalid("page.cursor", "it was not given out by this listing")


def invalid(field: str, what: str) -> RequestError:
    """Return the caller's error."""
    return RequestError(f"{field}: {what}", code=Code.INVALID_ARGUMENT, remedy="correct the request", field=field)
