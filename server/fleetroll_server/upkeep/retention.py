"""Walks over what grows for ever, in the background, a page per transaction."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from fleetroll_common.values.errors import StoreError
from fleetroll_server.upkeep import events, imported, reports, spells

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import timedelta

    from fleetroll_server.store import Store, Tx

log = structlog.get_logger(__name__)

PAUSE_SECONDS = 0.2
"""Between two pages: 2,500 rows a second, one in thirty of what the writer can take."""
REST_SECONDS = 3600.0
"""Between two walks, and before the first one: a start has better things to do."""


class Retention:
    """Deletes old reports and events, ended attempts that hosts had shown, and old spells of availability.

    A background service; where two servers share a database, both walk and neither minds.
    """

    def __init__(self, store: Store, age: timedelta, event_age: timedelta) -> None:
        """Keep reports for ``age``, events for ``event_age``; nothing runs before :meth:`start`."""
        self._store = store
        self._age = age
        self._event_age = event_age
        self._place = reports.START
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Walk from time to time."""
        self._task = asyncio.create_task(self._run(), name="retention")

    async def drain(self) -> None:
        """Nothing: nobody waits for it."""

    async def stop(self) -> None:
        """End the walk; a page whose turn has come is still finished by the store."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def walk(self) -> None:
        """Go over the table once, from where the last walk was broken off.

        Raises:
            StoreError: the database can't be written (our fault); what was deleted stays deleted.
        """
        while True:
            place = await self._store.writer.report(lambda tx: reports.prune_page(tx, self._place, self._age))
            self._place = place or reports.START
            if place is None:
                return
            await asyncio.sleep(PAUSE_SECONDS)

    async def prune_spells(self) -> None:
        """Delete every spell that may go.

        Raises:
            StoreError: as :meth:`walk`.
        """
        await self._prune(spells.prune_page)

    async def prune_events(self) -> None:
        """Delete every event that may go.

        Raises:
            StoreError: as :meth:`walk`.
        """
        await self._prune(lambda tx: events.prune_page(tx, self._event_age))

    async def prune_imported(self) -> None:
        """Delete every attempt that was taken over, has ended, and is as old as a report that may go.

        Raises:
            StoreError: as :meth:`walk`.
        """
        await self._prune(lambda tx: imported.prune_page(tx, self._age))

    async def _prune(self, page: Callable[[Tx], Awaitable[bool]]) -> None:
        """Delete a page after the other until there is none."""
        more = True
        while more:
            more = await self._store.writer.report(page)
            await asyncio.sleep(PAUSE_SECONDS)

    async def _run(self) -> None:
        """Walk until cancelled; a walk that fails goes on at the next turn."""
        while True:
            await asyncio.sleep(REST_SECONDS)
            try:
                await self.prune_spells()
                await self.prune_events()
                await self.prune_imported()
                await self.walk()
            except StoreError as error:
                log.warning("old_rows_not_pruned", reason=error.message)
            except Exception:
                log.exception("old_rows_not_pruned")
