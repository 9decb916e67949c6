"""Session tokens of unary calls, checked against the agent's row: a newer hello or a revocation ends them at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.wire.macs import read_session_token, require_epoch
from fleetroll_server.access.caller import AgentCaller
from fleetroll_server.store.fleets import every_fleet
from fleetroll_server.store.tables import AgentRow, table_of

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncConnection

_AGENT = table_of(AgentRow)


async def agent_of(connection: AsyncConnection, server_key: bytes, token: bytes, now: datetime) -> AgentCaller:
    """Return the agent that holds ``token``.

    The row is looked up by its primary key: the fleet is what is found out here.

    Raises:
        RequestError: UNAUTHENTICATED: the token is not ours or over; RECONNECT: a newer session exists (agent's fault).
    """
    claims = read_session_token(server_key, token, now)
    query = sa.select(_AGENT.c.fleet_id, _AGENT.c.epoch, _AGENT.c.revoked).where(_AGENT.c.id == claims.agent_id)
    row = (await connection.execute(every_fleet(query, "its agent's fleet is what is found out"))).one_or_none()
    if row is None or row.revoked:
        message = "session token: its agent is not known any more"
        raise RequestError(message, code=Code.UNAUTHENTICATED, remedy="enroll the host again")
    require_epoch(claims, row.epoch)
    return AgentCaller(claims.agent_id, row.fleet_id, row.epoch)
