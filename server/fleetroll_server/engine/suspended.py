"""The kill switch as every offer and every Go reads it, inside their own transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_server.gateway.suspensions import GLOBAL_SCOPE, fleet_scope
from fleetroll_server.store.tables import SuspensionRow, table_of

if TYPE_CHECKING:
    from fleetroll_server.store.tx import Tx

SUSPENSION = table_of(SuspensionRow)


async def is_suspended(tx: Tx, fleet_id: str) -> bool:
    """Tell whether the kill switch is pressed for a fleet. The rows are locked against a press until the commit."""
    query = (
        sa.select(SUSPENSION.c.active)
        .where(SUSPENSION.c.scope.in_((GLOBAL_SCOPE, fleet_scope(fleet_id))), SUSPENSION.c.fleet_id.in_(("", fleet_id)))
        .with_for_update(read=True)
    )
    return any((await tx.execute(query)).scalars())
