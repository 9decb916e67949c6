"""The kill switch as agents hear of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll.v1 import agent_stream_pb2 as stream_pb2
from fleetroll_server.store.tables import SuspensionRow, table_of

if TYPE_CHECKING:
    from fleetroll_server.store.tx import Tx

SUSPENSION = table_of(SuspensionRow)
GLOBAL_SCOPE = "global"


def fleet_scope(fleet_id: str) -> str:
    """Return the scope of one fleet's switch."""
    return f"fleet/{fleet_id}"


async def suspensions_of(tx: Tx, fleet_id: str) -> list[stream_pb2.Suspension]:
    """Return every suspension that is in force for a fleet."""
    scopes = (GLOBAL_SCOPE, fleet_scope(fleet_id))
    query = sa.select(SUSPENSION).where(
        SUSPENSION.c.scope.in_(scopes), SUSPENSION.c.fleet_id.in_(("", fleet_id)), SUSPENSION.c.active.is_(True)
    )
    rows = (await tx.execute(query)).mappings().all()
    return [stream_pb2.Suspension(scope=row["scope"], epoch=row["epoch"], active=True) for row in rows]
