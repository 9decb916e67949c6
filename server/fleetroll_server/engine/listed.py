"""The release as every offer and every Go reads it, inside their own transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_server.engine.targets import is_revoked, version_for
from fleetroll_server.store.tables import ReleaseRow, table_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fleetroll_server.engine.book import Book
    from fleetroll_server.store.tx import Tx

RELEASE = table_of(ReleaseRow)


async def is_listed(tx: Tx, book: Book) -> bool:
    """Tell whether the rollout's release is listed still; it can't be taken back until this transaction's end.

    A way back needs no listing: the version before is on its host's disk. Each host is asked for by :func:`may_begin`.
    """
    return bool(book.row["goes_back"]) or await stays_listed(tx, book.row["release_id"])


async def may_begin(tx: Tx, book: Book, host: Mapping[str, Any], *, lock: bool = True) -> bool:
    """Tell whether the host's release may be begun with: it is listed, or it is a way back and was not revoked."""
    if book.row["goes_back"]:
        return not await is_revoked(tx, host["product"], version_for(book, host), lock=lock)
    return await stays_listed(tx, book.row["release_id"], lock=lock)


async def stays_listed(tx: Tx, release_id: str, *, lock: bool = True) -> bool:
    """Tell whether a release is listed. Its row is locked against whoever takes it back, until the commit.

    Not without ``lock``: a transaction that only reads can't, and nothing begins in it.
    """
    query = sa.select(RELEASE.c.listed).where(RELEASE.c.id == release_id)
    if lock:
        query = query.with_for_update(read=True)
    return bool((await tx.execute(query)).scalar_one_or_none())


async def require_listed(tx: Tx, release_id: str, *, lock: bool = True) -> None:
    """Return when hosts may begin with a release; it can't be taken back until this transaction's end.

    Raises:
        RequestError: YANKED: it was taken back; the reason is its publisher's (caller's fault).
    """
    if await stays_listed(tx, release_id, lock=lock):
        return
    names = ("product", "version", "state", "state_reason")
    query = sa.select(*(RELEASE.c[name] for name in names)).where(RELEASE.c.id == release_id)
    row = (await tx.execute(query)).one()
    why = f": {row.state_reason[:300]}" if row.state_reason else ""
    message = f"version: {row.product} {row.version} is {row.state}, and not listed any more{why}"
    raise RequestError(message, code=Code.YANKED, remedy="choose another version", field="version", state=row.state)
