"""What the signed metadata says about one artefact: the ``custom`` part of its target, and the target's path.

Read strictly: a missing or wrong field is refused by name. Fields that this version does not know are left alone, so
that an agent can still take the release that teaches it about them; ``protocol`` says when that is no longer possible.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from datetime import datetime, timedelta, timezone
from enum import Enum
from typing import TYPE_CHECKING, Any, NoReturn

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError, TrustError
from fleetroll_common.values.platform import Platform
from fleetroll_common.values.relpath import path_fault
from fleetroll_common.values.version import Version

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_ARTEFACT_TAR_BYTES = 4 * 1024**3
MAX_ARTEFACT_FILES = 50_000
MAX_TEXT_CHARS = 4096
MAX_CHANNELS = 16

AGENT = "agent"
"""The product that every host keeps, by being one."""

_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_GIT_SHA = re.compile(r"[0-9a-f]{7,64}(\+dirty)?", re.ASCII)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_INSTANT_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


class TargetKind(str, Enum):
    """What the file behind a target is."""

    ARTEFACT = "artefact"
    MANIFEST = "manifest"
    """The release manifest itself: the product's hosts run local commands."""


@dataclass(frozen=True, slots=True)
class ReleaseCustom:
    """One artefact of one release.

    Attributes:
        product: name, ``[a-z][a-z0-9-]{0,62}``.
        version: the release's version; the new program has to report the same.
        channels: 1 to 16 names, sorted, each once.
        platform: what the artefact runs on.
        git_sha: 7 to 64 hex digits, with ``+dirty`` behind them when the source tree had changes.
        tar_sha256: of the uncompressed tar.
        tar_bytes: length of the uncompressed tar, at most 4 GiB.
        manifest_sha256: of the tar's first file.
        file_count: files in the manifest, 1 to 50,000, the manifest itself not counted.
        entry_point: path of the program's first file in the artefact.
        protocol: the stream protocol that the release speaks, >= 1.
        migrations_required: whether the product's data has to be migrated.
        breaking_changes: text for people, at most 4096 characters, or None.
        released_at: aware UTC, whole seconds.
        supported_from: hosts below this version are not updated to this release; None = all are.
    """

    product: str
    version: Version
    channels: tuple[str, ...]
    platform: Platform
    git_sha: str
    tar_sha256: str
    tar_bytes: int
    manifest_sha256: str
    file_count: int
    entry_point: str
    protocol: int
    migrations_required: bool
    breaking_changes: str | None
    released_at: datetime
    supported_from: Version | None = None

    def __post_init__(self) -> None:
        """Check every field.

        Raises:
            RequestError: a field is out of bounds; it is named in the details (caller's fault).
        """
        for field in fields(self):
            fault = _FAULTS.get(field.name, _no_fault)(getattr(self, field.name))
            if fault:
                _refuse(field.name, fault)

    @property
    def target_path(self) -> str:
        """Return the path of the artefact among the signed targets."""
        return target_path(self.product, self.version, self.platform)

    @property
    def is_dirty(self) -> bool:
        """Tell whether the source tree had changes that no commit holds."""
        return self.git_sha.endswith("+dirty")

    def to_json(self) -> dict[str, Any]:
        """Return the signed form: plain JSON values, every field present."""
        document: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        where: Platform = document.pop("platform")
        return document | {
            "version": str(self.version),
            "channels": list(self.channels),
            "os": where.os,
            "arch": where.arch,
            "abi": where.abi,
            "released_at": self.released_at.strftime(_INSTANT_FORMAT),
            "supported_from": None if self.supported_from is None else str(self.supported_from),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> ReleaseCustom:
        """Read the signed form.

        Raises:
            TrustError: a field is missing, of another type or out of bounds: METADATA_INVALID, named in the details.
        """
        try:
            return _read(document)
        except RequestError as error:
            details = {"field": "custom", **error.details}
            raise TrustError(
                error.message, code=Code.METADATA_INVALID, remedy="publish the release again", **details
            ) from error


def target_path(product: str, version: Version, platform: Platform) -> str:
    """Return for example ``agent/1.1.0/linux-x86_64-cp311.tar.zst``.

    Raises:
        RequestError: ``product`` is no product name (caller's fault).
    """
    return f"{check_product(product)}/{version}/{platform}.tar.zst"


def check_git_sha(git_sha: str) -> str:
    """Return ``git_sha`` when it is 7 to 64 small hex digits, with or without ``+dirty``.

    Raises:
        RequestError: it is not (caller's fault).
    """
    fault = _git_sha_fault(git_sha)
    if fault:
        _refuse("git_sha", fault)
    return git_sha


def is_product(product: str) -> bool:
    """Tell whether ``product`` is a product's name."""
    return not _name_fault(product)


def check_product(product: str) -> str:
    """Return ``product`` when it is a product's name.

    Raises:
        RequestError: it is not (caller's fault).
    """
    fault = _name_fault(product)
    if fault:
        _refuse("product", fault)
    return product


def _read(document: Mapping[str, Any]) -> ReleaseCustom:
    """Take the fields, each with its type."""
    breaking = _take(document, "breaking_changes", str, type(None))
    supported = _take(document, "supported_from", str, type(None))
    channels = _take(document, "channels", list)
    if not all(type(channel) is str for channel in channels):
        _refuse("channels", "holds something that is not text")
    return ReleaseCustom(
        product=_take(document, "product", str),
        version=Version.parse(_take(document, "version", str)),
        channels=tuple(channels),
        platform=Platform(_take(document, "os", str), _take(document, "arch", str), _take(document, "abi", str)),
        git_sha=_take(document, "git_sha", str),
        tar_sha256=_take(document, "tar_sha256", str),
        tar_bytes=_take(document, "tar_bytes", int),
        manifest_sha256=_take(document, "manifest_sha256", str),
        file_count=_take(document, "file_count", int),
        entry_point=_take(document, "entry_point", str),
        protocol=_take(document, "protocol", int),
        migrations_required=_take(document, "migrations_required", bool),
        breaking_changes=breaking,
        released_at=_instant(_take(document, "released_at", str)),
        supported_from=None if supported is None else Version.parse(supported, field="supported_from"),
    )


def _take(document: Mapping[str, Any], name: str, *types: type) -> Any:  # noqa: ANN401 (the types are checked here)
    """Return a field whose type is exactly one of ``types`` (True is no number)."""
    if name not in document:
        _refuse(name, "is missing")
    value = document[name]
    if type(value) not in types:
        _refuse(name, f"is {type(value).__name__}, not {types[0].__name__}")
    return value


def _instant(text: str) -> datetime:
    """Read an instant written as ``2026-05-01T12:00:00Z``."""
    if _INSTANT.fullmatch(text) is None:
        _refuse("released_at", f"is not written like 2026-05-01T12:00:00Z: {text[:40]!r}")
    try:
        return datetime.strptime(text, _INSTANT_FORMAT).replace(tzinfo=timezone.utc)
    except ValueError as error:
        _refuse("released_at", f"is no date: {text[:40]!r}", error)


def _refuse(name: str, fault: str, cause: Exception | None = None) -> NoReturn:
    """Raise the error that names the field."""
    message = f"{name}: {fault}"
    raise RequestError(
        message, code=Code.INVALID_ARGUMENT, remedy="correct the release's description", field=name
    ) from cause


def _no_fault(_value: object) -> str:
    """Accept what its own type has checked."""
    return ""


def _name_fault(name: str) -> str:
    """Say why a product's or channel's name is refused."""
    return (
        "" if _NAME.fullmatch(name) else f"{name[:80]!r} is not a name of small letters, digits and dashes, at most 63"
    )


def _channels_fault(channels: tuple[str, ...]) -> str:
    """Say why the channels are refused."""
    if not 1 <= len(channels) <= MAX_CHANNELS or list(channels) != sorted(set(channels)):
        return f"must be 1 to {MAX_CHANNELS} names, sorted, each once"
    return next((fault for name in channels if (fault := _name_fault(name))), "")


def _sha256_fault(text: str) -> str:
    """Say why a hash is refused."""
    return "" if _SHA256.fullmatch(text) else "is not 64 small hex digits"


def _git_sha_fault(sha: str) -> str:
    """Say why a commit's id is refused."""
    return "" if _GIT_SHA.fullmatch(sha) else f"{sha[:80]!r} is not 7 to 64 small hex digits, with or without +dirty"


def _released_fault(instant: datetime) -> str:
    """Say why an instant is refused."""
    good = instant.utcoffset() == timedelta() and not instant.microsecond and instant.year >= 2000  # noqa: PLR2004 (before any release)
    return "" if good else "must be UTC, in whole seconds, in or after the year 2000"


def _number_fault(low: int, high: int, number: int) -> str:
    """Say why a number is refused."""
    return "" if low <= number <= high else f"{number} is not between {low} and {high}"


_FAULTS: dict[str, Any] = {
    "product": _name_fault,
    "channels": _channels_fault,
    "git_sha": _git_sha_fault,
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
