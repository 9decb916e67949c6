"""How far a restored server has its fleet back, as people see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_server.recovery.state import Recovery, incarnation_of, recovery_of
from fleetroll_server.store.fleets import every_fleet
from fleetroll_server.store.tables import AgentRow, ImportedAttemptRow, table_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import RowMapping
    from sqlalchemy.ext.asyncio import AsyncConnection

AGENT = table_of(AgentRow)
IMPORTED = table_of(ImportedAttemptRow)
SHOWN_YOUNGER = 1000
"""Hosts of one answer, by the contract."""
ALL = "a recovery is of the whole database"


@dataclass(frozen=True, slots=True)
class Standing:
    """Where it stands: counts are of hosts that are not revoked."""

    recovery: Recovery | None
    incarnation: str
    known: int
    seen: int
    unconfirmed: int
    younger: Sequence[RowMapping]

    @property
    def not_seen(self) -> int:
        """Return how many hosts have not come since."""
        return self.known - self.seen


async def standing(connection: AsyncConnection, fleets: Sequence[str]) -> Standing:
    """Return where the recovery stands; younger hosts of ``fleets`` alone, oldest first."""
    recovery = await recovery_of(connection)
    counted = sa.select(AGENT.c.greeted, sa.func.count().label("hosts")).where(AGENT.c.revoked.is_(False))
    rows = (await connection.execute(every_fleet(counted.group_by(AGENT.c.greeted), ALL))).all()
    hosts = {bool(row.greeted): int(row.hosts) for row in rows}
    unconfirmed = sa.select(sa.func.count()).select_from(IMPORTED).where(IMPORTED.c.unconfirmed.is_(True))
    younger = (
        sa.select(AGENT.c.id, AGENT.c.name, AGENT.c.fleet_id, AGENT.c.enrolled_at)
        .where(AGENT.c.younger.is_(True), AGENT.c.revoked.is_(False), AGENT.c.fleet_id.in_(fleets))
        .order_by(AGENT.c.enrolled_at, AGENT.c.id)
        .limit(SHOWN_YOUNGER)
    )
    return Standing(
        recovery=recovery,
        incarnation=await incarnation_of(connection),
        known=sum(hosts.values()),
        seen=hosts.get(True, 0),
        unconfirmed=int(await connection.scalar(every_fleet(unconfirmed, ALL)) or 0),
        younger=(await connection.execute(younger)).mappings().all(),
    )
