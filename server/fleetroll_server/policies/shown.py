"""Policies as people read them: documents, history, and hosts as they are meant by a level."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_server.domain.policy import Told, merge
from fleetroll_server.policies.changing import CHANGE
from fleetroll_server.policies.reading import GLOBAL_SCOPE, POLICY, level_of, read_document, scope_of
from fleetroll_server.store.tables import AgentRow, table_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import RowMapping
    from sqlalchemy.ext.asyncio import AsyncConnection

AGENT = table_of(AgentRow)


@dataclass(frozen=True, slots=True)
class Meant:
    """A level that exists.

    Attributes:
        fleet_id: empty for all fleets.
        agent_id: empty for a fleet.
        product: empty for all products.
        time_zone: that the host reported; empty for a fleet.
    """

    fleet_id: str
    agent_id: str
    product: str
    time_zone: str = ""

    @property
    def scope(self) -> str:
        """Return the scope of the level."""
        return scope_of(self.fleet_id, self.agent_id)


async def host_level(connection: AsyncConnection, agent_id: str, fleets: Sequence[str], product: str) -> Meant:
    """Return the level of a host.

    Raises:
        RequestError: NOT_FOUND: these fleets have no such host (caller's fault).
    """
    query = sa.select(AGENT.c.fleet_id, AGENT.c.time_zone).where(AGENT.c.id == agent_id, AGENT.c.fleet_id.in_(fleets))
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        message = f"level.agent_id: there is no host {agent_id[:80]!r}"
        raise RequestError(message, code=Code.NOT_FOUND, remedy="list the hosts", field="level.agent_id")
    return Meant(row.fleet_id, agent_id, product, row.time_zone)


async def documents(connection: AsyncConnection, meant: Meant) -> list[RowMapping]:
    """Return what is said at a level and above it, the lowest first."""
    query = sa.select(POLICY).where(
        POLICY.c.scope.in_({GLOBAL_SCOPE, scope_of(meant.fleet_id), meant.scope}),
        POLICY.c.product.in_(("", meant.product)),
        POLICY.c.fleet_id.in_(("", meant.fleet_id)),
    )
    rows = (await connection.execute(query)).mappings().all()
    return sorted(rows, key=lambda row: (level_of(row["scope"]).rank, bool(row["product"])), reverse=True)


def effective(rows: Iterable[RowMapping]) -> dict[str, Told]:
    """Return what holds of every field."""
    return merge(read_document(row) for row in rows)


async def history(connection: AsyncConnection, meant: Meant, before: int | None, limit: int) -> Sequence[RowMapping]:
    """Return changes of a level, newest first, from below the serial ``before``."""
    query = sa.select(CHANGE).where(
        CHANGE.c.scope == meant.scope,
        CHANGE.c.product == meant.product,
        CHANGE.c.fleet_id == meant.fleet_id,
        *(() if before is None else (CHANGE.c.serial < before,)),
    )
    return (await connection.execute(query.order_by(CHANGE.c.serial.desc()).limit(limit))).mappings().all()
