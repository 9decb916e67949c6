"""Watches for an incarnation that another process has minted: the database is one, the streams are each process's."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from fleetroll_common.values.errors import StoreError
from fleetroll_server.recovery.logged import complete_log
from fleetroll_server.recovery.proof import announce
from fleetroll_server.recovery.restopping import stop_again
from fleetroll_server.recovery.state import incarnation_of, recovery_of

if TYPE_CHECKING:
    from fleetroll_server.services import Services

LOOK_SECONDS = 1.0
"""How long streams of another process may go on under the old incarnation: nothing is offered on them by then."""
_log = structlog.get_logger(__name__)


class RecoveryWatch:
    """A background service."""

    def __init__(self, services: Services) -> None:
        """Watch for ``services``."""
        self._services = services
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Complete the log of stops, stop again what was stopped in the lost time, say what it is, then watch.

        Raises:
            StoreError: the database can't be read.
        """
        await complete_log(self._services)
        await stop_again(self._services)
        async with self._services.store.read() as connection:
            recovery = await recovery_of(connection)
        if recovery is not None and recovery.active:
            _log.warning("recovery.active", cause=recovery.cause.value, since=recovery.since.isoformat())
        if not self._services.store.is_sqlite:  # there this process alone mints one
            self._task = asyncio.create_task(self._watch(), name="recovery-watch")

    async def drain(self) -> None:
        """Nothing is to be done."""

    async def stop(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def look(self) -> None:
        """Look once."""
        async with self._services.store.read() as connection:
            incarnation = await incarnation_of(connection)
        announce(self._services, incarnation)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.look()
            except StoreError as error:
                _log.debug("recovery.not_looked", reason=error.message)
