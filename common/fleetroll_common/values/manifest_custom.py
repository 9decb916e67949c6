"""What the signed metadata says about a release manifest, and which of the two kinds a description is of. Pure."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError, TrustError
from fleetroll_common.values.release import ReleaseCustom, TargetKind, manifest_path
from fleetroll_common.values.signed_fields import FAULTS, INSTANT_FORMAT, read_instant, refuse, take
from fleetroll_common.values.version import Version

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from fleetroll_common.values.release_manifest import ReleaseManifest


@dataclass(frozen=True, slots=True)
class ManifestCustom:
    """One release of a product whose hosts run local commands; the target is the release manifest.

    Attributes:
        product: name, ``[a-z][a-z0-9-]{0,62}``.
        version: the release's version.
        channels: 1 to 16 names, sorted, each once.
        git_sha: 7 to 64 hex digits: the manifest's ``sha``.
        protocol: the stream protocol that the release needs, >= 1.
        migrations_required: whether the product's data has to be migrated.
        breaking_changes: text for people, at most 4096 characters, or None.
        released_at: aware UTC, whole seconds; by the manifest.
        supported_from: hosts below this version are not updated to this release; None = all are.
    """

    product: str
    version: Version
    channels: tuple[str, ...]
    git_sha: str
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
            fault = FAULTS[field.name](getattr(self, field.name)) if field.name in FAULTS else ""
            if fault:
                refuse(field.name, fault)

    @classmethod
    def of(
        cls, product: str, manifest: ReleaseManifest, protocol: int, supported_from: Version | None
    ) -> ManifestCustom:
        """Return what is signed about ``manifest``."""
        return cls(
            product=product,
            version=manifest.version,
            channels=(manifest.channel,),
            git_sha=manifest.sha,
            protocol=protocol,
            migrations_required=manifest.migrations_required,
            breaking_changes=manifest.breaking_changes,
            released_at=manifest.released,
            supported_from=supported_from,
        )

    @property
    def target_path(self) -> str:
        """Return the path of the manifest among the signed targets."""
        return manifest_path(self.product, self.version)

    def to_json(self) -> dict[str, Any]:
        """Return the signed form: plain JSON values, every field present."""
        document: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        return document | {
            "kind": TargetKind.MANIFEST.value,
            "version": str(self.version),
            "channels": list(self.channels),
            "released_at": self.released_at.strftime(INSTANT_FORMAT),
            "supported_from": None if self.supported_from is None else str(self.supported_from),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> ManifestCustom:
        """Read the signed form.

        Raises:
            TrustError: a field is missing, of another type or out of bounds: METADATA_INVALID, named in the details.
        """
        try:
            return _read(document)
        except RequestError as error:
            raise _invalid(error.message, **{"field": "custom", **error.details}) from error


def kind_of(custom: Mapping[str, Any]) -> TargetKind:
    """Return what the target is whose description this is; without a word of it, it is an artefact.

    Raises:
        TrustError: METADATA_INVALID: it is of a kind that only a newer version knows.
    """
    said = custom.get("kind", TargetKind.ARTEFACT.value)
    try:
        return TargetKind(said)
    except ValueError as error:
        raise _invalid(f"kind: {str(said)[:40]!a} is none that this version knows", field="kind") from error


def describe(custom: Mapping[str, Any]) -> ReleaseCustom | ManifestCustom:
    """Read a signed description of either kind.

    Raises:
        TrustError: METADATA_INVALID: the kind is unknown or a field is wrong; it is named in the details.
    """
    kind = kind_of(custom)
    return ManifestCustom.from_json(custom) if kind is TargetKind.MANIFEST else ReleaseCustom.from_json(custom)


def _read(document: Mapping[str, Any]) -> ManifestCustom:
    """Take the fields, each with its type."""
    if take(document, "kind", str) != TargetKind.MANIFEST.value:
        refuse("kind", f"is {document['kind'][:40]!a}, not {TargetKind.MANIFEST.value}")
    supported = take(document, "supported_from", str, type(None))
    channels = take(document, "channels", list)
    if not all(type(channel) is str for channel in channels):
        refuse("channels", "holds something that is not text")
    return ManifestCustom(
        product=take(document, "product", str),
        version=Version.parse(take(document, "version", str)),
        channels=tuple(channels),
        git_sha=take(document, "git_sha", str),
        protocol=take(document, "protocol", int),
        migrations_required=take(document, "migrations_required", bool),
        breaking_changes=take(document, "breaking_changes", str, type(None)),
        released_at=read_instant(take(document, "released_at", str)),
        supported_from=None if supported is None else Version.parse(supported, field="supported_from"),
    )


def _invalid(message: str, **details: str) -> TrustError:
    """Return the error about a description."""
    return TrustError(message, code=Code.METADATA_INVALID, remedy="publish the release again", **details)
