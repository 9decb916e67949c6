"""Old spells of the record of availability: which rows may go.

The last one before those that are kept stays too: its end says since when what follows is known to have been closed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_server.domain.availability import KEPT, MAX_SPELLS
from fleetroll_server.store.tables import SpellRow, table_of

if TYPE_CHECKING:
    from datetime import datetime

    from fleetroll_server.store.tx import Tx

SPELL = table_of(SpellRow)
PAGE_ROWS = 500
"""Rows that one transaction deletes."""


async def prune_page(tx: Tx) -> bool:
    """Delete the oldest spells that may go, up to a page of them; tell whether there may be more."""
    since = await _kept_since(tx)
    if since is None:
        return False
    old = sa.select(SPELL.c.server_id, SPELL.c.began_at).where(SPELL.c.ticked_at < since)
    page = (await tx.execute(old.order_by(SPELL.c.ticked_at).limit(PAGE_ROWS))).all()
    if page:
        which = (SPELL.c.server_id == sa.bindparam("of_server"), SPELL.c.began_at == sa.bindparam("began"))
        rows = [{"of_server": row.server_id, "began": row.began_at} for row in page]
        await tx.execute(sa.delete(SPELL).where(*which), rows)
    return len(page) == PAGE_ROWS


async def _kept_since(tx: Tx) -> datetime | None:
    """Return the last sign of life of the oldest spell that stays; nothing where all of them do."""
    newest_old = sa.select(sa.func.max(SPELL.c.ticked_at)).where(SPELL.c.ticked_at < tx.now - KEPT)
    by_age = (await tx.execute(newest_old)).scalar_one_or_none()
    ranked = sa.select(SPELL.c.ticked_at).order_by(SPELL.c.ticked_at.desc()).offset(MAX_SPELLS - 1).limit(1)
    by_number = (await tx.execute(ranked)).scalar_one_or_none()
    return max((at for at in (by_age, by_number) if at is not None), default=None)
