"""The fields that signed descriptions share: read strictly, refused by name. Pure."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, NoReturn

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.relpath import path_fault

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_ARTEFACT_TAR_BYTES = 4 * 1024**3
MAX_ARTEFACT_FILES = 50_000
MAX_TEXT_CHARS = 4096
MAX_CHANNELS = 16
INSTANT_FORMAT = "%Y-%m-%dT%H:%M:%SZ"

_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_GIT_SHA = re.compile(r"[0-9a-f]{7,64}(\+dirty)?", re.ASCII)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)


def take(document: Mapping[str, Any], name: str, *types: type) -> Any:  # noqa: ANN401 (the types are checked here)
    """Return a field whose type is exactly one of ``types`` (True is no number)."""
    if name not in document:
        refuse(name, "is missing")
    value = document[name]
    if type(value) not in types:
        refuse(name, f"is {type(value).__name__}, not {types[0].__name__}")
    return value


def read_instant(text: str) -> datetime:
    """Read an instant written as ``2026-05-01T12:00:00Z``."""
    if _INSTANT.fullmatch(text) is None:
        refuse("released_at", f"is not written like 2026-05-01T12:00:00Z: {text[:40]!r}")
    try:
        return datetime.strptime(text, INSTANT_FORMAT).replace(tzinfo=timezone.utc)
    except ValueError as error:
        refuse("released_at", f"is no date: {text[:40]!r}", error)


def refuse(name: str, fault: str, cause: Exception | None = None) -> NoReturn:
    """Raise the error that names the field."""
    message = f"{name}: {fault}"
    raise RequestError(
        message, code=Code.INVALID_ARGUMENT, remedy="correct the release's description", field=name
    ) from cause


def name_fault(name: str) -> str:
    """Say why a product's or channel's name is refused."""
    return (
        "" if _NAME.fullmatch(name) else f"{name[:80]!r} is not a name of small letters, digits and dashes, at most 63"
    )


def _channels_fault(channels: tuple[str, ...]) -> str:
    """Say why the channels are refused."""
    if not 1 <= len(channels) <= MAX_CHANNELS or list(channels) != sorted(set(channels)):
        return f"must be 1 to {MAX_CHANNELS} names, sorted, each once"
    return next((fault for name in channels if (fault := name_fault(name))), "")


def _sha256_fault(text: str) -> str:
    """Say why a hash is refused."""
    return "" if _SHA256.fullmatch(text) else "is not 64 small hex digits"


def git_sha_fault(sha: str) -> str:
    """Say why a commit's id is refused."""
    return "" if _GIT_SHA.fullmatch(sha) else f"{sha[:80]!r} is not 7 to 64 small hex digits, with or without +dirty"


def _released_fault(instant: datetime) -> str:
    """Say why an instant is refused."""
    good = instant.utcoffset() == timedelta() and not instant.microsecond and instant.year >= 2000  # noqa: PLR2004 (before any release)
    return "" if good else "must be UTC, in whole seconds, in or after the year 2000"


def _number_fault(low: int, high: int, number: int) -> str:
    """Say why a number is refused."""
    return "" if low <= number <= high else f"{number} is not between {low} and {high}"


FAULTS: dict[str, Any] = {
    "product": name_fault,
    "channels": _channels_fault,
    "git_sha": git_sha_fault,
    "tar_sha256": _sha256_fault,
    "tar_bytes": lambda number: _number_fault(1, MAX_ARTEFACT_TAR_BYTES, number),
    "manifest_sha256": _sha256_fault,
    "file_count": lambda number: _number_fault(1, MAX_ARTEFACT_FILES, number),
    "entry_point": path_fault,
    "protocol": lambda number: _number_fault(1, 2**31 - 1, number),
    "breaking_changes": lambda text: (
        "" if text is None or 0 < len(text) <= MAX_TEXT_CHARS else "must have 1 to 4096 characters"
    ),
    "released_at": _released_fault,
}
"""Why the value of a field is refused, as the end of a sentence; empty when it is not."""
