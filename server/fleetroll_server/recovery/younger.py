"""Hosts that enrolled, or were readmitted, after the database stood as it does: their receipts say who they are.

The server's own MAC proves the enrolment, the key (over its rotations) that it is this host. So its row is made again,
quarantined: online and seen, but without updates until an admin has approved it once. One that was revoked meanwhile
stays out where the stops say so; where nobody knows, this approval is what stands between it and the fleet.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_server.identity.keys import enrolled, readmit
from fleetroll_server.identity.ratchet import Retirement
from fleetroll_server.identity.rows import RETIRED, identity_of
from fleetroll_server.recovery.keys import replaced_keys
from fleetroll_server.recovery.minting import ACTOR
from fleetroll_server.recovery.state import recovery_of
from fleetroll_server.store.fleets import every_fleet
from fleetroll_server.store.tables import AgentRow, BarredAgentRow, FleetRow, table_of
from fleetroll_server.store.tx import EventFact

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import RowMapping
    from sqlalchemy.ext.asyncio import AsyncConnection

    from fleetroll_server.domain.heard import HostSaid
    from fleetroll_server.recovery.evidence import Evidence
    from fleetroll_server.store import Tx

AGENT = table_of(AgentRow)
BARRED = table_of(BarredAgentRow)
FLEET = table_of(FleetRow)
WHOSE = "the agent's fleet is what is found out"


async def is_barred(connection: AsyncConnection, agent_id: str) -> bool:
    """Tell whether the stops say that this agent was revoked after the database stood as it does."""
    query = sa.select(BARRED.c.agent_id).where(BARRED.c.agent_id == agent_id)
    return (await connection.execute(every_fleet(query, WHOSE))).first() is not None


async def take_in(
    tx: Tx, agent_id: str, name: str, host: HostSaid, evidence: Evidence, speaking: bytes, ratchet: bytes
) -> bool:
    """Make the row of an agent that the database does not know; False where it is not proved to be one of this fleet.

    Args:
        tx: the hello's transaction.
        agent_id: whom the stream is of.
        name: what the host calls itself.
        host: what it says of itself.
        evidence: as shown.
        speaking: the key that signed the hello.
        ratchet: what the hello shows as acknowledged: there is nothing to hold it to.
    """
    said = evidence.enrolled
    if said is None or said.agent_id != agent_id or await recovery_of(tx.connection) is None:
        return False
    if replaced_keys(agent_id, (said.public_key,), speaking, evidence.rotations) is None:
        return False
    if await _is_foreign(tx, said.fleet_id, speaking):
        return False
    identity = replace(enrolled(speaking, ratchet), greeted=False, quarantined=True, younger=True)
    row = AgentRow(
        id=agent_id,
        fleet_id=said.fleet_id,
        name=name or agent_id,
        os=host.os,
        arch=host.arch,
        abi=host.abi,
        labels=dict(said.labels),
        enrolled_at=tx.now,
        **asdict(identity),
    )
    await tx.execute(sa.insert(AGENT).values(row.model_dump()))
    _tell(tx, "recovery.host_younger", agent_id, said.fleet_id)
    return True


async def take_readmitted(
    tx: Tx, row: RowMapping, evidence: Evidence, speaking: bytes, ratchet: bytes, retired: Collection[bytes]
) -> bool:
    """Give a known agent the key that a readmission gave it which the database has forgotten; False where none did.

    The receipt of an *earlier* enrolment proves nothing here: its key is among the ones that were retired.
    """
    said, known = evidence.enrolled, identity_of(row)
    if said is None or said.agent_id != row["id"] or known.revoked or said.fleet_id != row["fleet_id"]:
        return False
    if said.public_key in {known.public_key, known.next_key, *retired} or speaking in retired:
        return False
    if replaced_keys(row["id"], (said.public_key,), speaking, evidence.rotations) is None:
        return False
    done = readmit(known, speaking, ratchet, retired)
    mine = (AGENT.c.id == row["id"], AGENT.c.fleet_id == row["fleet_id"])
    values = asdict(replace(done.row, epoch=known.epoch, greeted=False, quarantined=True, younger=True))
    await tx.execute(sa.update(AGENT).where(*mine).values(**values))
    keys = (RETIRED.c.agent_id == row["id"], RETIRED.c.fleet_id == row["fleet_id"])
    await tx.execute(sa.update(RETIRED).where(*keys).values(why=Retirement.READMITTED.value))
    for key in done.retired_keys:
        gone = {"agent_id": row["id"], "fleet_id": row["fleet_id"], "public_key": key, "retired_at": tx.now}
        await tx.execute(sa.insert(RETIRED).values(**gone, why=Retirement.READMITTED.value))
    _tell(tx, "recovery.host_younger", row["id"], row["fleet_id"])
    return True


async def _is_foreign(tx: Tx, fleet_id: str, key: bytes) -> bool:
    """Tell whether there is no such fleet, or the key is another agent's."""
    if (await tx.execute(sa.select(FLEET.c.id).where(FLEET.c.id == fleet_id))).first() is None:
        return True
    query = sa.select(AGENT.c.id).where(sa.or_(AGENT.c.public_key == key, AGENT.c.next_key == key))
    return (await tx.execute(every_fleet(query, "one key is one host, of whatever fleet"))).first() is not None


def _tell(tx: Tx, kind: str, agent_id: str, fleet_id: str) -> None:
    tx.emit(EventFact(fleet_id=fleet_id, kind=kind, actor_kind=ACTOR.kind, actor_id=ACTOR.id, agent_id=agent_id))
