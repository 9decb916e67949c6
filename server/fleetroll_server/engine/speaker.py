"""Whose word it is: a message counts only in the agent's newest session."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_server.store.tables import AgentRow, table_of

if TYPE_CHECKING:
    from sqlalchemy import RowMapping

    from fleetroll_server.gateway.session import SessionKey
    from fleetroll_server.store.tx import Tx

AGENT = table_of(AgentRow)


async def speaker_of(tx: Tx, key: SessionKey) -> RowMapping | None:
    """Lock and return the agent's row; nothing when a newer hello, or a revocation, raised the epoch."""
    mine = (AGENT.c.id == key.agent_id, AGENT.c.fleet_id == key.fleet_id, AGENT.c.epoch == key.epoch)
    return (await tx.execute(sa.select(AGENT).where(*mine).with_for_update())).mappings().one_or_none()
