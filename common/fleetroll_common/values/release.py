"""What the signed metadata says about one artefact: the ``custom`` part of its target, and the target's path.

Read strictly: a missing or wrong field is refused by name. Fields that this version does not know are left alone, so
that an agent can still take the release that teaches it about them; ``protocol`` says when that is no longer possible.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import Enum
from typing import TYPE_CHECKING, Any

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError, TrustError
from fleetroll_common.values.platform import Platform
from fleetroll_common.values.signed_fields import (
    FAULTS,
    INSTANT_FORMAT,
    git_sha_fault,
    name_fault,
    read_instant,
    refuse,
    take,
)
from fleetroll_common.values.version import Version

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

AGENT = "agent"
"""The product that every host keeps, by being one."""

MANIFEST_FILE = "manifest.json"
"""The file's name of every target that is a release manifest, and of no other."""


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
            fault = FAULTS.get(field.name, _no_fault)(getattr(self, field.name))
            if fault:
                refuse(field.name, fault)

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
            "released_at": self.released_at.strftime(INSTANT_FORMAT),
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


def manifest_path(product: str, version: Version) -> str:
    """Return for example ``shop/1.4.0/manifest.json``: the target that is the release manifest itself.

    Raises:
        RequestError: ``product`` is no product name (caller's fault).
    """
    return f"{check_product(product)}/{version}/{MANIFEST_FILE}"


def check_git_sha(git_sha: str) -> str:
    """Return ``git_sha`` when it is 7 to 64 small hex digits, with or without ``+dirty``.

    Raises:
        RequestError: it is not (caller's fault).
    """
    fault = git_sha_fault(git_sha)
    if fault:
        refuse("git_sha", fault)
    return git_sha


def is_product(product: str) -> bool:
    """Tell whether ``product`` is a product's name."""
    return not name_fault(product)


def check_product(product: str) -> str:
    """Return ``product`` when it is a product's name.

    Raises:
        RequestError: it is not (caller's fault).
    """
    fault = name_fault(product)
    if fault:
        refuse("product", fault)
    return product


def _read(document: Mapping[str, Any]) -> ReleaseCustom:
    """Take the fields, each with its type."""
    breaking = take(document, "breaking_changes", str, type(None))
    supported = take(document, "supported_from", str, type(None))
    channels = take(document, "channels", list)
    if not all(type(channel) is str for channel in channels):
        refuse("channels", "holds something that is not text")
    return ReleaseCustom(
        product=take(document, "product", str),
        version=Version.parse(take(document, "version", str)),
        channels=tuple(channels),
        platform=Platform(take(document, "os", str), take(document, "arch", str), take(document, "abi", str)),
        git_sha=take(document, "git_sha", str),
        tar_sha256=take(document, "tar_sha256", str),
        tar_bytes=take(document, "tar_bytes", int),
        manifest_sha256=take(document, "manifest_sha256", str),
        file_count=take(document, "file_count", int),
        entry_point=take(document, "entry_point", str),
        protocol=take(document, "protocol", int),
        migrations_required=take(document, "migrations_required", bool),
        breaking_changes=breaking,
        released_at=read_instant(take(document, "released_at", str)),
        supported_from=None if supported is None else Version.parse(supported, field="supported_from"),
    )


def _no_fault(_value: object) -> str:
    """Accept what its own type has checked."""
    return ""
