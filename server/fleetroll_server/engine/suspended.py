"""The kill switch and the recovery, as every offer and every Go reads them, inside their own transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_server.gateway.suspensions import GLOBAL_SCOPE, fleet_scope
from fleetroll_server.recovery.state import is_recovering
from fleetroll_server.store.tables import SuspensionRow, table_of

if TYPE_CHECKING:
    from fleetroll_server.store.tx import Tx

SUSPENSION = table_of(SuspensionRow)


async def is_suspended(tx: Tx, fleet_id: str) -> bool:
    """Tell whether nothing may start in a fleet: the kill switch is pressed, or the database went back.

    The rows are locked until the commit, against a press and against the begin of a recovery.
    """
    query = (
        sa.select(SUSPENSION.c.active)
        .where(SUSPENSION.c.scope.in_((GLOBAL_SCOPE, fleet_scope(fleet_id))), SUSPENSION.c.fleet_id.in_(("", fleet_id)))
        .with_for_update(read=True)
    )
    pressed = any((await tx.execute(query)).scalars())
    return pressed or await is_recovering(tx.connection)
