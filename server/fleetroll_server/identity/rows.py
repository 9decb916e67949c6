"""The identity columns of an agent's row as values, and back."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_server.identity.ratchet import IdentityRow, Retirement
from fleetroll_server.store.tables import AgentRow, RetiredKeyRow, table_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import RowMapping
    from sqlalchemy.ext.asyncio import AsyncConnection

    from fleetroll_server.store.tx import Tx

AGENT = table_of(AgentRow)
RETIRED = table_of(RetiredKeyRow)
_COLUMNS = tuple(field.name for field in fields(IdentityRow))


def identity_of(row: RowMapping) -> IdentityRow:
    """Return the identity columns of a row of the agent table."""
    return IdentityRow(**{name: row[name] for name in _COLUMNS})


async def retirement_of(tx: Tx, agent_id: str, fleet_id: str, key: bytes) -> Retirement | None:
    """Return why ``key`` is no longer this agent's; nothing when it never was retired."""
    mine = (RETIRED.c.agent_id == agent_id, RETIRED.c.fleet_id == fleet_id, RETIRED.c.public_key == key)
    why = (await tx.execute(sa.select(RETIRED.c.why).where(*mine))).scalar_one_or_none()
    return None if why is None else Retirement(why)


async def retired_keys_of(tx: Tx, agent_id: str, fleet_id: str) -> frozenset[bytes]:
    """Return every key that was this agent's once."""
    mine = (RETIRED.c.agent_id == agent_id, RETIRED.c.fleet_id == fleet_id)
    return frozenset((await tx.execute(sa.select(RETIRED.c.public_key).where(*mine))).scalars())


async def retired_among(
    connection: AsyncConnection, agent_id: str, fleet_id: str, keys: Collection[bytes]
) -> frozenset[bytes]:
    """Return those of ``keys`` that were this agent's once and are no longer."""
    mine = (RETIRED.c.agent_id == agent_id, RETIRED.c.fleet_id == fleet_id, RETIRED.c.public_key.in_(keys))
    return frozenset((await connection.execute(sa.select(RETIRED.c.public_key).where(*mine))).scalars())


async def write_identity(
    tx: Tx, agent_id: str, fleet_id: str, row: IdentityRow, rotated_key: bytes | None = None
) -> None:
    """Write the identity columns, and the key that a first hello with its successor ended."""
    mine = (AGENT.c.id == agent_id, AGENT.c.fleet_id == fleet_id)
    await tx.execute(sa.update(AGENT).where(*mine).values(**asdict(row)))
    if rotated_key is not None:
        values = {"agent_id": agent_id, "fleet_id": fleet_id, "public_key": rotated_key, "retired_at": tx.now}
        await tx.execute(sa.insert(RETIRED).values(**values, why=Retirement.ROTATED.value))
