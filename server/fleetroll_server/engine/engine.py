"""The engine as one object: what the gateway asks of it, and what it does by itself as time passes."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING

import structlog

from fleetroll_common.values.errors import StoreError
from fleetroll_server.engine import asks, hello, recovery, reports, sweep

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleetroll_server.domain.heard import Ask, Batch
    from fleetroll_server.gateway.convert_out import Message
    from fleetroll_server.gateway.rules import Greeted
    from fleetroll_server.gateway.session import SessionKey
    from fleetroll_server.services import Services
    from fleetroll_server.store.tx import Tx

log = structlog.get_logger(__name__)

SWEEP_SECONDS = 1.0
"""Between two looks at deadlines: every one is acted on within 5 s."""


class Engine:
    """Implements the gateway's :class:`~fleetroll_server.gateway.rules.StreamRules`; runs the sweep."""

    def __init__(self, services: Services) -> None:
        """Keep the shared parts; nothing runs before :meth:`start`."""
        self._services = services
        self._task: asyncio.Task[None] | None = None
        self._swept = False

    async def start(self) -> None:
        """Take over from servers that are gone, then look at deadlines for ever.

        Raises:
            StoreError: the database can't be written (our fault).
        """
        await self._take_over(alone=self._services.store.is_sqlite)
        self._task = asyncio.create_task(self._run(), name="engine-sweep")

    async def drain(self) -> None:
        """Nothing: the gateway says goodbye to agents."""

    async def stop(self) -> None:
        """End the sweep."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def greet(self, tx: Tx, hello_: Greeted) -> Sequence[Message]:
        """Reconcile both sides within the hello's own transaction."""
        return await hello.greet(tx, self._services, hello_)

    async def left(self, tx: Tx, key: SessionKey, *, goodbye: bool) -> None:
        """Take note that a session is over; with a goodbye or without, the same waits for the host."""
        log.info("agent_left", agent=key.agent_id, goodbye=goodbye)
        await hello.left(tx, self._services, key)

    async def reports(self, key: SessionKey, batch: Batch) -> Message:
        """Store reports and let them take effect."""
        return await self._services.store.writer.report(lambda tx: reports.take(tx, self._services, key, batch))

    async def request_go(self, key: SessionKey, ask: Ask) -> Message:
        """Decide about Go."""
        return await self._services.store.writer.command(lambda tx: asks.answer(tx, self._services, key, ask))

    async def sweep(self) -> None:
        """Do once what time has brought about.

        Raises:
            StoreError: the database can't be written (our fault).
        """
        services, writer = self._services, self._services.store.writer
        await self._take_over(alone=False)
        while await writer.report(lambda tx: sweep.due_hosts(tx, services)) >= sweep.AT_ONCE:
            pass
        for rollout_id, fleet_id in await writer.report(sweep.running_rollouts):
            await writer.report(partial(self._look, rollout_id, fleet_id))
        self._swept = True

    async def _look(self, rollout_id: str, fleet_id: str, tx: Tx) -> None:
        """Look at one rollout; the first time after a start no bake accumulates."""
        await sweep.look(tx, self._services, rollout_id, fleet_id, up=self._swept)

    async def _take_over(self, *, alone: bool) -> None:
        """End the sessions of dead servers."""
        services, writer = self._services, self._services.store.writer
        if alone:
            await writer.command(lambda tx: _count_downtime(tx, services))
        while await writer.command(lambda tx: recovery.forget_dead_servers(tx, services, alone=alone)):
            pass

    async def _run(self) -> None:
        """Sweep until cancelled; a store that fails is tried again."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            try:
                await self.sweep()
            except StoreError as error:
                log.warning("sweep_failed", reason=error.message)
            except Exception:
                log.exception("sweep_failed")


async def _count_downtime(tx: Tx, services: Services) -> None:
    """Give hosts the time back in which nobody could hear them."""
    await recovery.move_deadlines(tx, await recovery.downtime(tx, services.server_id))
