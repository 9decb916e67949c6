"""Join tokens of a database that went back: one that was revoked or used up meanwhile may be among them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_server.store.fleets import every_fleet
from fleetroll_server.store.tables import JoinTokenRow, table_of

if TYPE_CHECKING:
    from fleetroll_server.store import Tx

JOIN_TOKEN = table_of(JoinTokenRow)


async def suspend_tokens(tx: Tx) -> int:
    """End every join token that could still be used; return how many."""
    usable = (
        JOIN_TOKEN.c.revoked.is_(False),
        JOIN_TOKEN.c.expires_at > tx.now,
        JOIN_TOKEN.c.uses < JOIN_TOKEN.c.max_uses,
    )
    change = sa.update(JOIN_TOKEN).where(*usable).values(revoked=True)
    done = await tx.execute(every_fleet(change, "the whole database went back"))
    return int(done.rowcount)
