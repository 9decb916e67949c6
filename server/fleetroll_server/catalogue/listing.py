"""A target becomes a row: what may be listed under a path and a version, whatever kind of file it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fleetroll_common.trust.listing import role_name
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.manifest_custom import kind_of
from fleetroll_server.catalogue import reads
from fleetroll_server.catalogue.stopped import stopped
from fleetroll_server.catalogue.values import ReleaseState
from fleetroll_server.store import EventFact
from fleetroll_server.store.tables import ArtifactRow, ReleaseRow, table_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncConnection

    from fleetroll_common.values.platform import Platform
    from fleetroll_common.values.release import TargetKind
    from fleetroll_common.values.version import Version
    from fleetroll_server.access.caller import Caller
    from fleetroll_server.catalogue.values import Release
    from fleetroll_server.store import Tx

DIRTY = "+dirty"
"""Behind the commit of a tree that had changes."""
_RELEASE = table_of(ReleaseRow)
_ARTIFACT = table_of(ArtifactRow)


@dataclass(frozen=True, slots=True)
class Published:
    """A listed release, and the version of the product's role that lists it."""

    release: Release
    role_version: int


@dataclass(frozen=True, slots=True)
class Listing:
    """What is stored of one target and its release.

    Attributes:
        product: its name.
        version: of the release.
        channels: names.
        git_sha: commit.
        platform: what it runs on.
        path: among the signed targets.
        length: bytes, >= 1.
        sha256: 64 hex digits.
        migrations_required: whether the product's data has to be migrated.
        breaking_changes: text for people; empty for nothing.
        notes: Markdown.
        supported_from: hosts below this version are not updated to it; None = all are.
        protocol: the stream protocol that it needs, >= 1.
        released_at: by this server's clock; aware UTC.
        custom: the signed description.
    """

    product: str
    version: str
    channels: tuple[str, ...]
    git_sha: str
    platform: Platform
    path: str
    length: int
    sha256: str
    migrations_required: bool
    breaking_changes: str
    notes: str
    supported_from: Version | None
    protocol: int
    released_at: datetime
    custom: Mapping[str, Any]


def require_release(version: Version) -> None:
    """Refuse a version that no release has.

    Raises:
        RequestError: INVALID_ARGUMENT (publisher's fault).
    """
    if version.is_dev or version.build:
        message = f"version: {version} is a build, not a release"
        remedy = "stamp a version without '+'"
        raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy=remedy, field="version")


def require_clean(git_sha: str, *, demo: bool) -> None:
    """Refuse a build of a tree that was not committed: nobody could build it again. A demo takes it.

    Raises:
        RequestError: INVALID_ARGUMENT (publisher's fault).
    """
    if git_sha.endswith(DIRTY) and not demo:
        message = f"git_sha: {git_sha[:80]} was built from a tree with changes that are in no commit"
        remedy = "commit them and build again"
        raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy=remedy, field="git_sha")


async def require_free(connection: AsyncConnection, path: str, sha256: str) -> None:
    """Refuse a path that is taken: it keeps its bytes.

    Raises:
        RequestError: ALREADY_EXISTS (publisher's fault).
    """
    taken = await connection.scalar(sa.select(_ARTIFACT.c.sha256).where(_ARTIFACT.c.path == path))
    if taken is not None:
        same = taken == sha256
        raise RequestError(
            f"version: {path} is published, with {'these' if same else 'other'} bytes",
            code=Code.ALREADY_EXISTS,
            remedy="nothing is left to do" if same else "publish under a new version: a path keeps its bytes",
            field="version",
        )


async def require_not_withdrawn(connection: AsyncConnection, product: str, version: str) -> None:
    """Refuse a version that was taken back.

    Raises:
        RequestError: CONFLICT (publisher's fault).
    """
    which = (_RELEASE.c.product == product, _RELEASE.c.version == version)
    query = sa.select(_RELEASE.c.state, _RELEASE.c.state_reason).where(*which)
    row = (await connection.execute(query)).one_or_none()
    state, reason = row or await stopped(connection, product, version) or (ReleaseState.LISTED.value, "")
    if state != ReleaseState.LISTED.value:
        message = f"version: {product} {version} is {state}: {reason[:300]}"
        remedy = "publish under a new version: what was taken back stays so"
        raise RequestError(message, code=Code.CONFLICT, remedy=remedy, field="version")


async def require_one_kind(connection: AsyncConnection, product: str, version: str, kind: TargetKind) -> None:
    """Refuse a release of both kinds: hosts would not know which one is meant.

    Raises:
        RequestError: CONFLICT: the version is published as the other kind (publisher's fault).
    """
    query = (
        sa.select(_ARTIFACT.c.custom)
        .select_from(_ARTIFACT.join(_RELEASE, _RELEASE.c.id == _ARTIFACT.c.release_id))
        .where(_RELEASE.c.product == product, _RELEASE.c.version == version)
        .limit(1)
    )
    custom = await connection.scalar(query)
    if custom is not None and (listed := kind_of(custom)) is not kind:
        message = f"version: {product} {version} is published as {listed.value}, not as {kind.value}"
        raise RequestError(message, code=Code.CONFLICT, remedy="publish under a new version", field="version")


async def insert(tx: Tx, listing: Listing, caller: Caller, fresh_id: str) -> Release:
    """Add the target, and its release where this is the first one of the version.

    Raises:
        RequestError: CONFLICT: the version is published from another commit (publisher's fault).
    """
    query = sa.select(_RELEASE).where(_RELEASE.c.product == listing.product, _RELEASE.c.version == listing.version)
    row = (await tx.execute(query)).mappings().one_or_none()
    if row is None:
        row_id = fresh_id
        await tx.execute(sa.insert(_RELEASE).values(_release_row(listing, caller, row_id)))
    else:
        row_id = row["id"]
        if row["git_sha"] != listing.git_sha:
            message = f"git_sha: {listing.version} is published from {row['git_sha']}, not from {listing.git_sha}"
            raise RequestError(message, code=Code.CONFLICT, remedy="publish under a new version", field="git_sha")
    await tx.execute(
        sa.insert(_ARTIFACT).values(
            release_id=row_id,
            os=listing.platform.os,
            arch=listing.platform.arch,
            abi=listing.platform.abi,
            path=listing.path,
            length=listing.length,
            sha256=listing.sha256,
            custom=dict(listing.custom),
        )
    )
    return await reads.release(tx.connection, listing.product, listing.version)


def published_event(listing: Listing, caller: Caller, role_version: int) -> EventFact:
    """Return the fact for watchers; it belongs to no fleet."""
    role = f"{role_name(listing.product)} {role_version}"
    return EventFact(
        fleet_id="",
        kind="release.published",
        actor_kind=caller.actor_kind,
        actor_id=caller.actor_id,
        message=f"{listing.product} {listing.version} for {listing.platform}",
        facts={"path": listing.path, "sha256": listing.sha256, "role": role},
    )


def _release_row(listing: Listing, caller: Caller, row_id: str) -> Mapping[str, object]:
    """Return the release's row."""
    return {
        "id": row_id,
        "product": listing.product,
        "version": listing.version,
        "channels": list(listing.channels),
        "git_sha": listing.git_sha,
        "released_at": listing.released_at,
        "migrations_required": listing.migrations_required,
        "breaking_changes": listing.breaking_changes,
        "notes": listing.notes,
        "supported_from": "" if listing.supported_from is None else str(listing.supported_from),
        "protocol": listing.protocol,
        "listed": True,
        "state": ReleaseState.LISTED.value,
        "state_reason": "",
        "actor_kind": caller.actor_kind,
        "actor_id": caller.actor_id,
    }
