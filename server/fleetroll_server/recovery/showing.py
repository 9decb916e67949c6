"""Whether what a hello shows counts: in a recovery alone, from a host that is who it says it is, and once.

The key is judged before anything that was shown is parsed: it is in force, or the next one, or reached over rotations
that both keys have signed, or it is the one of an enrolment that this server's own MAC stands for.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_server.identity.keys import enrolled
from fleetroll_server.identity.ratchet import Accept, judge
from fleetroll_server.identity.rows import identity_of, retired_among
from fleetroll_server.recovery.keys import replaced_keys
from fleetroll_server.recovery.state import is_recovering
from fleetroll_server.recovery.younger import is_barred
from fleetroll_server.store.fleets import every_fleet
from fleetroll_server.store.tables import AgentRow, table_of

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from fleetroll_server.identity.ratchet import HelloFacts, IdentityRow
    from fleetroll_server.recovery.evidence import Evidence

AGENT = table_of(AgentRow)
WHOSE = "the agent's fleet is what is found out"


async def may_show(connection: AsyncConnection, agent_id: str, hello: HelloFacts, evidence: Evidence) -> bool:
    """Tell whether the hello would be accepted, as the agent's first one in a recovery that is not over."""
    if not await is_recovering(connection):
        return False
    identity = await _identity(connection, agent_id, hello, evidence)
    return identity is not None and not identity.greeted and isinstance(judge(identity, hello), Accept)


async def is_agents_key(connection: AsyncConnection, agent_id: str, hello: HelloFacts, evidence: Evidence) -> bool:
    """Tell whether the key that speaks is one of an agent that the database knows."""
    query = sa.select(AGENT.c.id).where(AGENT.c.id == agent_id)
    if (await connection.execute(every_fleet(query, WHOSE))).first() is None:
        return False
    return await _identity(connection, agent_id, hello, evidence) is not None


async def _identity(
    connection: AsyncConnection, agent_id: str, hello: HelloFacts, evidence: Evidence
) -> IdentityRow | None:
    """Return the identity as the hello's commit would judge it; nothing where the key is nobody's."""
    query = every_fleet(sa.select(AGENT).where(AGENT.c.id == agent_id), WHOSE)
    row = (await connection.execute(query)).mappings().one_or_none()
    said = evidence.enrolled if evidence.proves(agent_id) else None
    receipted = () if said is None else (said.public_key,)
    fresh = replace(enrolled(hello.key, hello.current), greeted=False, quarantined=True, younger=True)
    if row is None:
        led = not await is_barred(connection, agent_id) and _leads(agent_id, receipted, hello.key, evidence)
        return fresh if led else None
    identity = identity_of(row)
    known = tuple(key for key in (identity.public_key, identity.next_key) if key is not None)
    if identity.revoked:
        return None
    if hello.key in known:
        return identity
    retired = await retired_among(connection, agent_id, row["fleet_id"], (hello.key, *receipted))
    if hello.key in retired:
        return None
    if _leads(agent_id, known, hello.key, evidence):
        return replace(identity, public_key=hello.key, next_key=None)
    readmitted = tuple(key for key in receipted if key not in {*known, *retired})
    fresh = replace(fresh, epoch=identity.epoch, greeted=identity.greeted and not identity.quarantined)
    return fresh if _leads(agent_id, readmitted, hello.key, evidence) else None


def _leads(agent_id: str, known: tuple[bytes, ...], speaking: bytes, evidence: Evidence) -> bool:
    """Tell whether the key that speaks is a known one, or has followed one."""
    return bool(known) and replaced_keys(agent_id, known, speaking, evidence.rotations) is not None
