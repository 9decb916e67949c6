"""Attempts that were taken over from hosts and have ended: which rows may go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_server.store.fleets import every_fleet
from fleetroll_server.store.tables import ImportedAttemptRow, table_of

if TYPE_CHECKING:
    from datetime import timedelta

    from fleetroll_server.store.tx import Tx

IMPORTED = table_of(ImportedAttemptRow)
PAGE_ROWS = 500
"""Rows that one transaction deletes."""
WHY = "they age alike in all fleets"


async def prune_page(tx: Tx, age: timedelta) -> bool:
    """Delete a page of what has ended and was taken over longer than ``age`` ago; tell whether there may be more."""
    names = ("agent_id", "product", "generation")
    old = (IMPORTED.c.ended_at.is_not(None), IMPORTED.c.imported_at < tx.now - age)
    query = sa.select(*(IMPORTED.c[name] for name in names)).where(*old).limit(PAGE_ROWS)
    page = (await tx.execute(every_fleet(query, WHY))).all()
    if page:
        which = [IMPORTED.c[name] == sa.bindparam(f"of_{name}") for name in names]
        rows = [{f"of_{name}": getattr(row, name) for name in names} for row in page]
        await tx.execute(every_fleet(sa.delete(IMPORTED).where(*which), WHY), rows)
    return len(page) == PAGE_ROWS
