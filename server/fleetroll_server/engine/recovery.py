"""After a start: sessions of servers that are gone are over, and time in which nobody could speak does not count."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_server.domain.states import PAST_GO
from fleetroll_server.engine.hello import left
from fleetroll_server.engine.moves import HOST
from fleetroll_server.gateway.session import SessionKey
from fleetroll_server.store.tables import AgentRow, ServerRow, table_of

if TYPE_CHECKING:
    from fleetroll_server.services import Services
    from fleetroll_server.store.tx import Tx

AGENT = table_of(AgentRow)
SERVER = table_of(ServerRow)
AT_ONCE = 200
"""Sessions per transaction."""


async def forget_dead_servers(tx: Tx, services: Services, *, alone: bool) -> int:
    """End the sessions of servers whose lease has run out; return how many were ended in this transaction.

    Args:
        tx: the transaction.
        services: of this server.
        alone: no other server can use this database (SQLite): every other server is gone, whatever its lease says.
    """
    living = sa.select(SERVER.c.id).where(SERVER.c.lease_until > tx.now)
    others_live = sa.false() if alone else AGENT.c.server_id.in_(living)
    query = (
        sa.select(AGENT.c.id, AGENT.c.fleet_id, AGENT.c.epoch)
        .where(
            AGENT.c.fleet_id != "",
            AGENT.c.server_id != "",
            AGENT.c.server_id != services.server_id,
            sa.not_(others_live),
        )
        .limit(AT_ONCE)
    )
    gone = (await tx.execute(query)).all()
    for row in gone:
        mine = (AGENT.c.id == row.id, AGENT.c.fleet_id == row.fleet_id)
        await tx.execute(sa.update(AGENT).where(*mine).values(server_id="", left_well=False))
        await left(tx, services, SessionKey(row.id, row.fleet_id, row.epoch))
    return len(gone)


async def move_deadlines(tx: Tx, downtime: timedelta) -> None:
    """Move every running deadline on by the time in which no server could be spoken to."""
    if downtime <= timedelta():
        return
    query = sa.select(HOST.c.rollout_id, HOST.c.agent_id, HOST.c.fleet_id, HOST.c.deadline).where(
        HOST.c.deadline.is_not(None), HOST.c.fleet_id != "", HOST.c.state.in_([state.value for state in PAST_GO])
    )
    for row in (await tx.execute(query)).all():
        mine = (HOST.c.rollout_id == row.rollout_id, HOST.c.agent_id == row.agent_id, HOST.c.fleet_id == row.fleet_id)
        await tx.execute(sa.update(HOST).where(*mine).values(deadline=row.deadline + downtime))


async def downtime(tx: Tx, server_id: str) -> timedelta:
    """Return for how long no server lived before this one: since the last lease was renewed."""
    query = sa.select(sa.func.max(SERVER.c.lease_until)).where(SERVER.c.id != server_id)
    last = (await tx.execute(query)).scalar_one_or_none()
    return max(timedelta(), tx.now - last) if last is not None else timedelta()
