"""The release as every late offer and every Go reads it, inside their own transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_server.store.tables import ReleaseRow, table_of

if TYPE_CHECKING:
    from fleetroll_server.engine.book import Book
    from fleetroll_server.store.tx import Tx

RELEASE = table_of(ReleaseRow)


async def is_listed(tx: Tx, book: Book) -> bool:
    """Tell whether the rollout's release is listed still."""
    query = sa.select(RELEASE.c.listed).where(RELEASE.c.id == book.row["release_id"])
    return bool((await tx.execute(query)).scalar_one_or_none())
