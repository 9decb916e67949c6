"""Readmission in the database: a new key, every former one ends, the ratchet begins anew, quarantine is lifted."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_server.identity.keys import readmit
from fleetroll_server.identity.ratchet import Retirement
from fleetroll_server.identity.rows import identity_of, retired_keys_of
from fleetroll_server.store.tables import AgentRow, RetiredKeyRow, table_of

if TYPE_CHECKING:
    from fleetroll_server.store import Tx

_AGENT = table_of(AgentRow)
_RETIRED = table_of(RetiredKeyRow)


async def readmit_agent(tx: Tx, agent_id: str, fleet_id: str, public_key: bytes, ratchet: bytes) -> None:
    """Give the identity of ``agent_id`` to the holder of ``public_key``, in this transaction.

    Raises:
        RequestError: the agent is revoked, or the key is not a new one (admin's or host's fault).
    """
    mine = (_AGENT.c.id == agent_id, _AGENT.c.fleet_id == fleet_id)
    row = (await tx.execute(sa.select(_AGENT).where(*mine).with_for_update())).mappings().one()
    retired = await retired_keys_of(tx, agent_id, fleet_id)
    readmission = readmit(identity_of(row), public_key, ratchet, retired)
    await tx.execute(sa.update(_AGENT).where(*mine).values(**asdict(readmission.row)))
    # Older keys too: the wrong host may hold one of them, and would quarantine the right one again.
    former = (_RETIRED.c.agent_id == agent_id, _RETIRED.c.fleet_id == fleet_id)
    await tx.execute(sa.update(_RETIRED).where(*former).values(why=Retirement.READMITTED.value))
    rows = [
        {
            "agent_id": agent_id,
            "fleet_id": fleet_id,
            "public_key": key,
            "why": Retirement.READMITTED.value,
            "retired_at": tx.now,
        }
        for key in readmission.retired_keys
        if key not in retired
    ]
    if rows:
        await tx.execute(sa.insert(_RETIRED), rows)
