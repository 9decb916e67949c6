"""A person's resume: what checks said before it was known to who resumed, and counts no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_server.engine.probing import rows

if TYPE_CHECKING:
    from fleetroll_server.engine.book import Book
    from fleetroll_server.store.tx import Tx


async def begin_anew(tx: Tx, book: Book) -> None:
    """Forget every reading; each check is read again at once."""
    book.checks = tuple(check.begun_anew() for check in book.checks)
    for check in book.checks:
        await rows.keep(tx, book.id, book.fleet_id, check)
