"""Whether an agent has passed the point of no return: it gets in where others wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_server.domain.states import PAST_GO
from fleetroll_server.store.fleets import every_fleet
from fleetroll_server.store.tables import AgentRow, RolloutHostRow, table_of

if TYPE_CHECKING:
    from fleetroll_server.store import Store

AGENT = table_of(AgentRow)
HOST = table_of(RolloutHostRow)


async def is_on_trial(store: Store, agent_id: str) -> bool:
    """Tell whether an attempt of the agent is past Go and not ended.

    The state TRIAL alone would not do: at the first hello of a new version the row still says APPLYING, and a host that
    was away for long is LOST until it speaks.
    """
    query = (
        sa.select(sa.literal(1))
        .select_from(HOST.join(AGENT, AGENT.c.id == HOST.c.agent_id))
        .where(
            HOST.c.agent_id == agent_id,
            HOST.c.fleet_id == AGENT.c.fleet_id,
            HOST.c.state.in_([state.value for state in PAST_GO]),
            AGENT.c.revoked.is_(False),
        )
        .limit(1)
    )
    async with store.read() as connection:
        found = await connection.execute(every_fleet(query, "the agent's fleet is what is found out"))
        return found.scalar_one_or_none() is not None
