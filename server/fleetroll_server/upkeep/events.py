"""Old events: which rows may go. Always the oldest ones first, so that what is left has no gap."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_server.store.fleets import every_fleet
from fleetroll_server.store.tables import EventRow, table_of

if TYPE_CHECKING:
    from datetime import timedelta

    from fleetroll_server.store.tx import Tx

EVENT = table_of(EventRow)
PAGE_ROWS = 500
"""Rows that one transaction deletes."""
WHY = "the log of all fleets ages alike"


async def prune_page(tx: Tx, age: timedelta) -> bool:
    """Delete the oldest events that are older than ``age``, up to a page of them; tell whether there may be more."""
    query = sa.select(EVENT.c.sequence, EVENT.c.occurred_at).order_by(EVENT.c.sequence).limit(PAGE_ROWS)
    last = None
    rows = (await tx.execute(every_fleet(query, WHY))).all()
    for row in rows:
        if row.occurred_at >= tx.now - age:
            break
        last = row.sequence
    if last is None:
        return False
    await tx.execute(every_fleet(sa.delete(EVENT).where(EVENT.c.sequence <= last), WHY))
    return last == rows[-1].sequence and len(rows) == PAGE_ROWS
