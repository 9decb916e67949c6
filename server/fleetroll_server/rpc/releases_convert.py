"""Releases on the wire."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fleetroll.v1 import releases_pb2
from fleetroll_common.values.relpath import path_fault
from fleetroll_common.values.version import Version
from fleetroll_server.catalogue.importing import Import
from fleetroll_server.catalogue.upload import MAX_ARTEFACT_BYTES, MAX_NOTES_CHARS, Offer
from fleetroll_server.catalogue.values import ReleaseState
from fleetroll_server.rpc import convert, requests

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fleetroll_server.catalogue.products import Product
    from fleetroll_server.catalogue.values import Artifact, Release

_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}", re.ASCII)
_GIT_SHA = re.compile(r"[0-9a-f]{7,64}(\+dirty)?", re.ASCII)
_SHA256_BYTES = 32
_STATES = {
    ReleaseState.LISTED: releases_pb2.RELEASE_STATE_LISTED,
    ReleaseState.YANKED: releases_pb2.RELEASE_STATE_YANKED,
    ReleaseState.RETIRED: releases_pb2.RELEASE_STATE_RETIRED,
    ReleaseState.REVOKED: releases_pb2.RELEASE_STATE_REVOKED,
}
MAX_BREAKING_CHARS = 4000
MAX_CHANNELS = 16


def offer_from_wire(header: releases_pb2.PublishHeader) -> Offer:
    """Return what a publisher says, every field checked.

    Raises:
        RequestError: INVALID_ARGUMENT naming the field (publisher's fault).
    """
    if len(header.sha256) != _SHA256_BYTES:
        raise requests.invalid("sha256", f"{len(header.sha256)} bytes, {_SHA256_BYTES} are needed")
    if not 1 <= header.length <= MAX_ARTEFACT_BYTES:
        raise requests.invalid("length", f"{header.length} bytes, an artefact has 1 to {MAX_ARTEFACT_BYTES}")
    if _GIT_SHA.fullmatch(header.git_sha) is None:
        raise requests.invalid("git_sha", f"{header.git_sha[:80]!r} is not 7 to 64 small hex digits")
    return Offer(
        product=_name("product", header.product),
        version=Version.parse(header.version),
        channels=channel_names(header.channels),
        platform=requests.platform(header.platform),
        git_sha=header.git_sha,
        sha256=header.sha256.hex(),
        length=header.length,
        migrations_required=header.migrations_required,
        breaking_changes=requests.text(
            "breaking_changes", header.breaking_changes, at_most=MAX_BREAKING_CHARS, lines=True
        ),
        notes=requests.text("notes", header.notes, at_most=MAX_NOTES_CHARS, lines=True),
        supported_from=_supported_from(header.supported_from),
        entry_point=_entry_point(header.entry_point),
    )


def release_to_wire(release: Release) -> releases_pb2.Release:
    """Return one release with its artefacts."""
    wire = releases_pb2.Release(
        id=release.id,
        product=release.product,
        version=release.version,
        channels=release.channels,
        git_sha=release.git_sha,
        migrations_required=release.migrations_required,
        breaking_changes=release.breaking_changes,
        notes=release.notes,
        artifacts=[artifact_to_wire(artifact) for artifact in release.artifacts],
        published=convert.decision(release.actor_kind, release.actor_id, release.released_at),
        supported_from=f">={release.supported_from}" if release.supported_from else "",
        state=_STATES[ReleaseState(release.state)],
        state_reason=release.state_reason,
    )
    convert.set_instant(wire.released_at, release.released_at)
    return wire


def import_from_wire(request: releases_pb2.ImportManifestRequest) -> Import:
    """Return what is to be imported; the manifest's own fields are checked by whoever reads it.

    Raises:
        RequestError: INVALID_ARGUMENT naming the field (caller's fault).
    """
    return Import(
        product=_name("product", request.product),
        data=request.manifest,
        notes=requests.text("notes", request.notes, at_most=MAX_NOTES_CHARS, lines=True),
        supported_from=_supported_from(request.supported_from),
    )


def product_name(value: str) -> str:
    """Return the name of a product.

    Raises:
        RequestError: INVALID_ARGUMENT: it is none (caller's fault).
    """
    return _name("product", value)


def product_to_wire(product: Product) -> releases_pb2.Product:
    """Return one product."""
    wire = releases_pb2.Product(name=product.name, role_version=product.role_version, releases=product.releases)
    convert.set_instant(wire.expires_at, product.expires_at)
    return wire


def artifact_to_wire(artifact: Artifact) -> releases_pb2.Artifact:
    """Return one artefact."""
    return releases_pb2.Artifact(
        platform=convert.platform(artifact.platform),
        path=artifact.path,
        length=artifact.length,
        sha256=bytes.fromhex(artifact.sha256),
        manifest_sha256=bytes.fromhex(artifact.custom.get("manifest_sha256", "")),
    )


def channel_names(given: Iterable[str]) -> tuple[str, ...]:
    """Return channels, sorted, each once.

    Raises:
        RequestError: INVALID_ARGUMENT: none, too many, or no names (caller's fault).
    """
    names = sorted({_name("channels", name) for name in given})
    if not 1 <= len(names) <= MAX_CHANNELS:
        raise requests.invalid("channels", f"{len(names)} channels, 1 to {MAX_CHANNELS} are needed")
    return tuple(names)


def _name(field: str, value: str) -> str:
    """Return a name of a product or channel."""
    if _NAME.fullmatch(value) is None:
        raise requests.invalid(field, f"{value[:80]!r} is not a name of small letters, digits and dashes")
    return value


def _entry_point(value: str) -> str:
    """Return the path of a product's first file; empty where none is named."""
    fault = path_fault(value) if value else ""
    if fault:
        raise requests.invalid("entry_point", f"{value[:80]!r} {fault}")
    return value


def _supported_from(value: str) -> Version | None:
    """Read ``>=1.2.0``; empty is any."""
    if not value:
        return None
    if not value.startswith(">="):
        raise requests.invalid("supported_from", f"{value[:80]!r} is not written like >=1.0.0")
    return Version.parse(value[2:].strip(), field="supported_from")
