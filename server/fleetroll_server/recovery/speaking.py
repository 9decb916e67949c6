"""Whose hello it is, where the database may have forgotten the agent, its newest key or its ratchet.

Before the ratchet is judged: an agent that is not known is taken in, or refused; a key that is not known is followed
over the rotations that the host kept. Each only in the first hello of the agent in an incarnation.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_common.values.codes import Code
from fleetroll_server.identity.ratchet import Retirement
from fleetroll_server.identity.rows import RETIRED, identity_of, retired_keys_of
from fleetroll_server.recovery.keys import replaced_keys
from fleetroll_server.recovery.minting import ACTOR
from fleetroll_server.recovery.younger import is_barred, take_in, take_readmitted
from fleetroll_server.store.fleets import every_fleet
from fleetroll_server.store.tables import AgentRow, AssignmentRow, HostProductRow, table_of
from fleetroll_server.store.tx import EventFact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import RowMapping

    from fleetroll_server.domain.heard import HostSaid
    from fleetroll_server.identity.ratchet import IdentityRow
    from fleetroll_server.recovery.evidence import Evidence
    from fleetroll_server.store import Tx

AGENT = table_of(AgentRow)
ASSIGNMENT = table_of(AssignmentRow)
PRODUCT = table_of(HostProductRow)
MAX_AHEAD = 2**32
"""Generations that a host may be ahead of the database: more than a server gives out in any time that is lost."""
WHOSE = "the agent's fleet is what is found out"


@dataclass(frozen=True, slots=True)
class Spoken:
    """Who says hello: the agent's id, what the host calls itself, its key and ratchet, what it says of itself."""

    agent_id: str
    name: str
    key: bytes
    ratchet: bytes
    host: HostSaid


async def known_agent(tx: Tx, said: Spoken, evidence: Evidence | None) -> tuple[RowMapping, IdentityRow] | Code:
    """Return the agent's locked row and its identity, or why it is refused."""
    row = await _row(tx, said.agent_id)
    if row is None:
        if await is_barred(tx.connection, said.agent_id):
            return Code.IDENTITY_REVOKED
        if _is_ahead(said.host, evidence, {}):
            return Code.INVALID_ARGUMENT
        if evidence is None or not await take_in(
            tx, said.agent_id, said.name, said.host, evidence, said.key, said.ratchet
        ):
            return Code.IDENTITY_UNKNOWN
        row = await _row(tx, said.agent_id)
    elif evidence is not None and not row["revoked"] and (row["quarantined"] or not row["greeted"]):
        row = await _followed(tx, row, said, evidence)
    if row is None:
        return Code.IDENTITY_UNKNOWN
    if not row["greeted"] and await _is_too_far(tx, row, said.host, evidence):
        fact = EventFact(
            fleet_id=row["fleet_id"],
            kind="alert.generation_refused",
            actor_kind=ACTOR.kind,
            actor_id=ACTOR.id,
            agent_id=said.agent_id,
            message=f"it shows a generation more than {MAX_AHEAD} above the database's",
        )
        tx.emit(fact)
        return Code.INVALID_ARGUMENT
    return row, identity_of(row)


async def not_younger(tx: Tx, row: RowMapping) -> None:
    """Take a host that turned out to be a copy off the list: an approval must not end its quarantine."""
    if row["younger"]:
        mine = (AGENT.c.id == row["id"], AGENT.c.fleet_id == row["fleet_id"])
        await tx.execute(sa.update(AGENT).where(*mine).values(younger=False))
        kind, code = "alert.identity_cloned", Code.IDENTITY_FORKED
        tx.emit(
            EventFact(
                fleet_id=row["fleet_id"],
                kind=kind,
                actor_kind=ACTOR.kind,
                actor_id=ACTOR.id,
                code=code,
                agent_id=row["id"],
            )
        )


def audited(fleet_id: str, agent_id: str) -> EventFact:
    """Return the fact that an agent came with a ratchet that this database had never acknowledged."""
    return EventFact(
        fleet_id=fleet_id,
        kind="recovery.ratchet_unknown",
        actor_kind=ACTOR.kind,
        actor_id=ACTOR.id,
        agent_id=agent_id,
    )


async def _followed(tx: Tx, row: RowMapping, said: Spoken, evidence: Evidence) -> RowMapping | None:
    """Return the row after the key that speaks was followed to a known one, or to a readmission."""
    identity = identity_of(row)
    known = {key for key in (identity.public_key, identity.next_key) if key is not None}
    if said.key in known:
        return row
    retired = await retired_keys_of(tx, row["id"], row["fleet_id"])
    replaced = None if row["greeted"] else replaced_keys(row["id"], known, said.key, evidence.rotations)
    if replaced is None:
        done = await take_readmitted(tx, row, evidence, said.key, said.ratchet, retired)
        return await _row(tx, said.agent_id) if done else row
    if said.key in retired:
        return row
    mine = (AGENT.c.id == row["id"], AGENT.c.fleet_id == row["fleet_id"])
    values = asdict(replace(identity, public_key=said.key, next_key=None))
    await tx.execute(sa.update(AGENT).where(*mine).values(**values))
    for key in dict.fromkeys((*known, *replaced)):
        if key not in retired:
            gone = {"agent_id": row["id"], "fleet_id": row["fleet_id"], "public_key": key, "retired_at": tx.now}
            await tx.execute(sa.insert(RETIRED).values(**gone, why=Retirement.ROTATED.value))
    return await _row(tx, said.agent_id)


async def _is_too_far(tx: Tx, row: RowMapping, host: HostSaid, evidence: Evidence | None) -> bool:
    """Tell whether the host shows a generation that no server of this fleet can have given."""
    counted: dict[str, int] = {}
    for table, column in ((PRODUCT, PRODUCT.c.highest_generation), (ASSIGNMENT, ASSIGNMENT.c.generation)):
        mine = (table.c.agent_id == row["id"], table.c.fleet_id == row["fleet_id"])
        for row_of in (await tx.execute(sa.select(table.c.product, column.label("number")).where(*mine))).all():
            counted[row_of.product] = max(row_of.number, counted.get(row_of.product, 0))
    return _is_ahead(host, evidence, counted)


def _is_ahead(host: HostSaid, evidence: Evidence | None, counted: Mapping[str, int]) -> bool:
    """Tell whether a generation, of an attempt too, is further ahead of what is counted here than any can be."""
    attempts = [*host.attempts, *(() if evidence is None else (one.said for one in evidence.outcomes))]
    shown = [(one.product, one.highest_generation) for one in host.products]
    shown += [(said.product, said.generation) for said in attempts if not said.local]
    return any(generation > counted.get(product, 0) + MAX_AHEAD for product, generation in shown)


async def _row(tx: Tx, agent_id: str) -> RowMapping | None:
    query = sa.select(AGENT).where(AGENT.c.id == agent_id).with_for_update()
    return (await tx.execute(every_fleet(query, WHOSE))).mappings().one_or_none()
