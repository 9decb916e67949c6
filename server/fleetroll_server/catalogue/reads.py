"""Releases read from the database. Every function takes a connection: a snapshot, or a job's own transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.platform import Platform
from fleetroll_server.catalogue.policies import product_policy
from fleetroll_server.catalogue.values import Artifact, Release
from fleetroll_server.store.tables import ArtifactRow, ReleaseRow, table_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import RowMapping
    from sqlalchemy.ext.asyncio import AsyncConnection

    from fleetroll_common.values.pins import Pin

STABLE = "stable"
"""The channel that is meant where nothing is said."""
_RELEASE = table_of(ReleaseRow)
_ARTIFACT = table_of(ArtifactRow)
_COLUMNS = (
    "id",
    "product",
    "version",
    "git_sha",
    "released_at",
    "migrations_required",
    "breaking_changes",
    "notes",
    "supported_from",
    "protocol",
    "listed",
    "state",
    "state_reason",
    "actor_kind",
    "actor_id",
)


async def releases(connection: AsyncConnection, product: str = "", channel: str = "") -> list[Release]:
    """Return releases, by product, newest version first. Their number is small: some hundreds after years."""
    query = sa.select(_RELEASE)
    if product:
        query = query.where(_RELEASE.c.product == product)
    rows = (await connection.execute(query)).mappings().all()
    artifacts = await _artifacts(connection, [row["id"] for row in rows])
    found = [_release(row, artifacts.get(row["id"], ())) for row in rows if not channel or channel in row["channels"]]
    newest_first = sorted(found, key=lambda release: release.parsed_version, reverse=True)
    return sorted(newest_first, key=lambda release: release.product)


async def release(connection: AsyncConnection, product: str, version: str) -> Release:
    """Return one release.

    Raises:
        RequestError: NOT_FOUND (caller's fault).
    """
    query = sa.select(_RELEASE).where(_RELEASE.c.product == product, _RELEASE.c.version == version)
    row = (await connection.execute(query)).mappings().one_or_none()
    if row is None:
        message = f"version: there is no release {version[:64]!r} of {product[:63]!r}"
        raise RequestError(
            message, code=Code.NOT_FOUND, remedy="publish it, or list the releases that are there", field="version"
        )
    artifacts = await _artifacts(connection, [row["id"]])
    return _release(row, artifacts.get(row["id"], ()))


async def newest_release(
    connection: AsyncConnection, product: str, channel: str = STABLE, pin: Pin | None = None
) -> Release:
    """Return the listed release of the highest version in a channel; a pre-release is only ever named.

    Args:
        connection: a snapshot, or a job's own transaction.
        product: its name.
        channel: in which it is looked for.
        pin: what does not match is passed over; None = nothing is.

    Raises:
        RequestError: NOT_FOUND: no such release of ``product`` is listed (caller's fault).
    """
    found = await newest_first(connection, product, channel)
    stable = [release for release in found if pin is None or pin.admits(release.parsed_version)]
    if not stable:
        within = f", within the pin {pin}" if pin is not None else ""
        message = f"product: no release of {product[:63]!r} is listed as {channel}{within}"
        raise RequestError(message, code=Code.NOT_FOUND, remedy="publish one, or name a version", field="product")
    return stable[0]


async def newest_first(connection: AsyncConnection, product: str, channel: str = STABLE) -> list[Release]:
    """Return what is meant where no version is named, newest first: a channel without its pre-releases."""
    found = await installable(connection, product, channel)
    return [release for release in found if not release.parsed_version.pre]


async def installable(connection: AsyncConnection, product: str, channel: str) -> list[Release]:
    """Return what hosts may begin with: listed, and not below the floor; newest version first."""
    policy = await product_policy(connection, product)
    found = [release for release in await releases(connection, product, channel) if release.listed]
    return [one for one in found if policy is None or not policy.is_below_floor(one.parsed_version)]


async def artifact_at(connection: AsyncConnection, path: str) -> Artifact:
    """Return the artefact at ``path``.

    Raises:
        RequestError: NOT_FOUND (caller's fault).
    """
    row = (await connection.execute(sa.select(_ARTIFACT).where(_ARTIFACT.c.path == path))).mappings().one_or_none()
    if row is None:
        message = f"path: there is no artefact {path[:300]!r}"
        raise RequestError(message, code=Code.NOT_FOUND, field="path")
    return _artifact(row)


async def _artifacts(connection: AsyncConnection, release_ids: Sequence[str]) -> dict[str, tuple[Artifact, ...]]:
    """Return the artefacts of releases, by release."""
    query = (
        sa.select(_ARTIFACT)
        .where(_ARTIFACT.c.release_id.in_(release_ids))
        .order_by(_ARTIFACT.c.os, _ARTIFACT.c.arch, _ARTIFACT.c.abi)
    )
    found: dict[str, tuple[Artifact, ...]] = {}
    for row in (await connection.execute(query)).mappings():
        found[row["release_id"]] = (*found.get(row["release_id"], ()), _artifact(row))
    return found


def _release(row: RowMapping, artifacts: tuple[Artifact, ...]) -> Release:
    """Return a row as a value."""
    plain = {name: row[name] for name in _COLUMNS}
    return Release(**plain, channels=tuple(row["channels"]), artifacts=artifacts)


def _artifact(row: RowMapping) -> Artifact:
    """Return a row as a value."""
    platform = Platform(row["os"], row["arch"], row["abi"])
    return Artifact(platform, row["path"], row["length"], row["sha256"], row["custom"])
