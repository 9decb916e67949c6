"""This process as a row with a lease: while it holds, its agents are not called offline."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import sqlalchemy as sa
import structlog

from fleetroll_common.values.errors import StoreError
from fleetroll_server.store.tables import ServerRow, table_of

if TYPE_CHECKING:
    from fleetroll_server.services import Services
    from fleetroll_server.store import Tx

FORGOTTEN = timedelta(days=1)
"""Rows of processes that ended so long ago say nothing to anybody."""
_SERVER = table_of(ServerRow)
_log = structlog.get_logger(__name__)


class ServerLease:
    """Keeps the lease of this process. A background service."""

    def __init__(self, services: Services) -> None:
        """Prepare; the row is written by :meth:`start`."""
        self._services = services
        self._life = timedelta(seconds=services.settings.lease_seconds)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Write the row, then renew it three times in each lease.

        Raises:
            StoreError: it can't be written.
        """
        await self._services.store.writer.command(self._enter)
        self._task = asyncio.create_task(self._renew_forever(), name="server-lease")

    async def drain(self) -> None:
        """Nothing is to be done: sessions are still here."""

    async def stop(self) -> None:
        """End the lease: nobody has to wait for it."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        try:
            await self._services.store.writer.command(self._leave)
        except StoreError as error:
            _log.warning("lease.not_ended", reason=error.message)

    async def _renew_forever(self) -> None:
        """Renew until cancelled; a renewal that fails is tried again at the next turn."""
        while True:
            await asyncio.sleep(self._life.total_seconds() / 3)
            try:
                await self._services.store.writer.command(self._renew)
            except StoreError as error:
                _log.warning("lease.not_renewed", reason=error.message)

    async def _enter(self, tx: Tx) -> None:
        """Insert this process, forget those that are long gone."""
        await tx.execute(sa.delete(_SERVER).where(_SERVER.c.lease_until < tx.now - FORGOTTEN))
        await tx.execute(
            sa.insert(_SERVER).values(id=self._services.server_id, started_at=tx.now, lease_until=tx.now + self._life)
        )

    async def _renew(self, tx: Tx) -> None:
        """Move the end of the lease."""
        mine = _SERVER.c.id == self._services.server_id
        await tx.execute(sa.update(_SERVER).where(mine).values(lease_until=tx.now + self._life))

    async def _leave(self, tx: Tx) -> None:
        """End the lease now."""
        mine = _SERVER.c.id == self._services.server_id
        await tx.execute(sa.update(_SERVER).where(mine).values(lease_until=tx.now))
