"""Hosts below a security floor, and those that it leaves without a way up."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.platform import Platform
from fleetroll_common.values.product_policy import ProductPolicy
from fleetroll_common.values.version import Version
from fleetroll_server.catalogue.policies import product_policy
from fleetroll_server.catalogue.reads import releases
from fleetroll_server.domain.floors import Rung, no_way_up
from fleetroll_server.store.fleets import every_fleet
from fleetroll_server.store.tables import AgentRow, HostProductRow, table_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection

_AGENT = table_of(AgentRow)
_PRODUCT = table_of(HostProductRow)


@dataclass(frozen=True, slots=True)
class BelowFloor:
    """One host below the floor.

    Attributes:
        agent_id: the agent.
        fleet_id: its fleet.
        name: the host's.
        version: what it runs.
        stranded: why nothing at or above the floor can be installed there; empty where something can.
    """

    agent_id: str
    fleet_id: str
    name: str
    version: str
    stranded: str


async def below_floor(
    connection: AsyncConnection, product: str, floor: Version, fleets: Sequence[str] | None = None
) -> list[BelowFloor]:
    """Return the hosts that run less than ``floor``, by name; revoked identities are no hosts any more.

    Args:
        connection: a snapshot, or a job's own transaction.
        product: its name.
        floor: which nobody may have set yet.
        fleets: whose hosts are looked at; None = all.

    Raises:
        StoreError: metadata is unreadable (our fault).
    """
    stands = await product_policy(connection, product) or ProductPolicy(product, 1)
    policy = replace(stands, floor=floor)
    rungs = await _rungs(connection, product)
    whys: dict[tuple[str, Platform | None], str] = {}
    found = []
    for row in (await connection.execute(_hosts(product, fleets))).mappings():
        running = _version(row["version"])
        if running is None or running >= floor:
            continue
        kind = (row["version"], Platform.said(row["os"], row["arch"], row["abi"]))
        if kind not in whys:
            whys[kind] = no_way_up(running, kind[1], rungs, policy)
        found.append(BelowFloor(row["id"], row["fleet_id"], row["name"], row["version"], whys[kind]))
    return sorted(found, key=lambda host: (host.name, host.agent_id))


def _hosts(product: str, fleets: Sequence[str] | None) -> Any:  # noqa: ANN401 (a statement)
    """Return the query for hosts that have the product."""
    here = sa.and_(_PRODUCT.c.agent_id == _AGENT.c.id, _PRODUCT.c.fleet_id == _AGENT.c.fleet_id)
    columns = (_AGENT.c[name] for name in ("id", "fleet_id", "name", "os", "arch", "abi"))
    query = (
        sa.select(*columns, _PRODUCT.c.version)
        .select_from(_AGENT.join(_PRODUCT, here))
        .where(_PRODUCT.c.product == product, _AGENT.c.revoked.is_(False))
    )
    return query.where(_AGENT.c.fleet_id.in_(fleets)) if fleets is not None else every_fleet(query, "for all")


async def _rungs(connection: AsyncConnection, product: str) -> Mapping[Version, Rung]:
    """Return what is listed, by version."""
    return {
        release.parsed_version: Rung(
            frozenset(artifact.platform for artifact in release.artifacts), _version(release.supported_from)
        )
        for release in await releases(connection, product)
        if release.listed
    }


def _version(text: str) -> Version | None:
    """Read a version that a host or a row says; None for what is none."""
    try:
        return Version.parse(text)
    except RequestError:
        return None
