"""The engine as one object: what the gateway asks of it, and what it does by itself as time passes."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING

import structlog

from fleetroll_common.values.errors import StoreError
from fleetroll_server.engine import (
    asks,
    availability,
    away,
    hello,
    local,
    local_charges,
    presence,
    recovery,
    reports,
    sweep,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence
    from datetime import datetime

    from fleetroll_server.domain.availability import Span
    from fleetroll_server.domain.heard import Ask, Batch
    from fleetroll_server.gateway.convert_out import Message
    from fleetroll_server.gateway.rules import Greeted
    from fleetroll_server.gateway.session import SessionKey
    from fleetroll_server.services import Services
    from fleetroll_server.store.tx import Tx

log = structlog.get_logger(__name__)

SWEEP_SECONDS = 1.0
"""Between two looks at deadlines, and at whether a tick is due: every one is acted on within 5 s."""
TAKEN_OVER = 4
"""Transactions of one sweep, of 50 sessions each, that end sessions of dead servers: deadlines wait behind them."""

CALLED_OFFLINE = 10
"""Transactions of one sweep, of 200 hosts each, that call hosts offline: 10,000 of a fleet that is cut off in 5 s."""


class Engine:
    """Implements the gateway's :class:`~fleetroll_server.gateway.rules.StreamRules`; runs the sweep."""

    def __init__(self, services: Services) -> None:
        """Keep the shared parts; nothing runs before :meth:`start`."""
        self._services = services
        self._tasks: list[asyncio.Task[None]] = []
        self._keeping = asyncio.Lock()
        self._closings = 0
        self._closings_seen: int | None = None

    async def start(self) -> None:
        """Take over from servers that are gone, then look at deadlines for ever.

        Raises:
            StoreError: the database can't be written (our fault).
        """
        services = self._services
        await self.tick()
        while await self._take_over(alone=services.store.is_sqlite):
            pass
        self._tasks = [
            asyncio.create_task(self._beat(), name="engine-beat"),
            asyncio.create_task(self._keep_record(), name="engine-record"),
            asyncio.create_task(self._run(), name="engine-sweep"),
            asyncio.create_task(self._carry_on(), name="engine-carry-on"),
        ]

    async def drain(self) -> None:
        """End the record's spell: the gateway, which is drained before, accepts no hello any more."""
        services = self._services
        try:
            await services.store.writer.command(lambda tx: availability.end(tx, services))
        except StoreError as error:
            log.warning("spell_not_ended", reason=error.message)

    async def stop(self) -> None:
        """End the sweep, and what follows from it."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def greet(self, tx: Tx, hello_: Greeted) -> Sequence[Message]:
        """Reconcile both sides within the hello's own transaction."""
        return await hello.greet(tx, self._services, hello_)

    async def left(self, tx: Tx, key: SessionKey, *, heard_at: datetime | None, goodbye: bool) -> None:
        """Take note that a session is over; with a goodbye or without, the same waits for the host."""
        if await presence.end_session(tx, key, self._services.server_id, heard_at, goodbye=goodbye):
            log.info("agent_left", agent=key.agent_id, goodbye=goodbye)
            await hello.left(tx, self._services, key)

    async def reports(self, key: SessionKey, batch: Batch) -> Message:
        """Store reports and let them take effect."""
        return await self._services.store.writer.report(lambda tx: reports.take(tx, self._services, key, batch))

    async def request_go(self, key: SessionKey, ask: Ask) -> Message:
        """Decide about Go."""
        return await self._services.store.writer.command(lambda tx: asks.answer(tx, self._services, key, ask))

    async def sweep(self) -> None:
        """Do once what time has brought about: nothing while the server drains, since no host can come back to it.

        Raises:
            StoreError: the database can't be written (our fault).
        """
        services, writer = self._services, self._services.store.writer
        if services.door.is_shut:
            return
        await self.tick()  # before any deadline speaks: time in which nobody was heard is no host's silence
        closings, seen = self._closings, self._closings_seen
        if not services.store.is_sqlite:  # there no other server can be gone: the start found them all
            for _ in range(TAKEN_OVER):
                if not await self._take_over(alone=False):
                    break
        for _ in range(CALLED_OFFLINE):
            if not await writer.report(self._overdue):
                break
        while await writer.report(self._due_locals) >= local_charges.AT_ONCE:
            pass
        for rollout_id, fleet_id in await writer.report(self._due_rollouts):
            await self._apart(rollout_id, fleet_id, self._let_due_hosts_speak(rollout_id, fleet_id))
        for rollout_id, fleet_id in await writer.report(sweep.running_rollouts):
            await self._apart(rollout_id, fleet_id, writer.report(partial(self._look, rollout_id, fleet_id, seen)))
        self._closings_seen = closings

    async def tick(self) -> None:
        """Write into the record of availability what it lacks: signs of life, refusals. It goes before reports.

        Raises:
            StoreError: the database can't be written (our fault).
        """
        services, door = self._services, self._services.door
        door.beat(services.clock.now())
        async with self._keeping:
            if door.is_shut or not (door.signs or door.is_refusing):
                return
            signs, refusals, refused = tuple(door.signs), door.refusals, door.is_refusing
            try:
                await services.store.writer.urgent(partial(self._tick, signs, refused))
            except StoreError:
                door.lost()
                raise
            door.wrote(signs, refusals)

    async def _tick(self, signs: Sequence[datetime], refused: bool, tx: Tx) -> None:  # noqa: FBT001 (bound by partial)
        """Tick; count closed time as soon as it is durable."""
        closed = await recovery.keep_record(tx, self._services, refused=refused, signs=signs)
        if closed is not None:
            tx.after_commit(partial(self._was_closed, closed))

    def _was_closed(self, closed: Span) -> None:
        """Count it: no bake accumulates over it."""
        self._closings += 1
        log.info("hellos_accepted_again", closed_seconds=(closed.ended_at - closed.began_at).total_seconds())

    async def _overdue(self, tx: Tx) -> int:
        """Call hosts offline that did not come back in time; none while the record lacks something, as below."""
        if not self._services.door.is_watched(tx.now):
            return 0
        return await away.overdue(tx, self._services) + await away.missed(tx, self._services)

    async def _due_locals(self, tx: Tx) -> int:
        """Let passed deadlines of attempts speak that were started on hosts; none while the record lacks something."""
        return await local_charges.let_speak(tx, local.tell) if self._services.door.is_watched(tx.now) else 0

    async def _due_rollouts(self, tx: Tx) -> list[tuple[str, str]]:
        """Find passed deadlines; none while the record lacks something that may have kept hosts from speaking."""
        return await sweep.due_rollouts(tx) if self._services.door.is_watched(tx.now) else []

    async def _due_hosts(self, rollout_id: str, fleet_id: str, tx: Tx) -> int:
        """Let passed deadlines of one rollout speak; none while the record lacks something, as above."""
        watched = self._services.door.is_watched(tx.now)
        return await sweep.due_hosts(tx, self._services, rollout_id, fleet_id) if watched else 0

    async def _let_due_hosts_speak(self, rollout_id: str, fleet_id: str) -> None:
        """Let all passed deadlines of one rollout speak, as many at a time as one transaction may."""
        while await self._services.store.writer.report(partial(self._due_hosts, rollout_id, fleet_id)) >= sweep.AT_ONCE:
            pass

    async def _apart(self, rollout_id: str, fleet_id: str, step: Awaitable[None]) -> None:
        """Take a step of one rollout; what goes wrong with it is its own: it halts, and the others go on."""
        try:
            await step
        except StoreError:
            raise
        except Exception as error:
            log.exception("rollout_not_looked_at", rollout=rollout_id)
            await self._halt(rollout_id, fleet_id, type(error).__name__)

    async def _halt(self, rollout_id: str, fleet_id: str, what: str) -> None:
        """Halt a rollout that can't be looked at.

        One that can't be opened can't be halted either. It spreads no more all the same: each offer and Go opens it.
        """
        try:
            await self._services.store.writer.report(partial(sweep.halt, rollout_id, fleet_id, what))
        except StoreError:
            raise
        except Exception:
            log.exception("rollout_not_halted", rollout=rollout_id)

    async def _look(self, rollout_id: str, fleet_id: str, seen: int | None, tx: Tx) -> None:
        """Look at one rollout. At first after a start, and after closed time, no bake accumulates.

        ``seen`` is how often hellos had been refused when the sweep before looked; nothing where there was none.
        """
        await sweep.look(tx, self._services, rollout_id, fleet_id, up=seen == self._closings)

    async def _take_over(self, *, alone: bool) -> int:
        """End sessions of dead servers, as many as one transaction may; return how many it were."""
        services, writer = self._services, self._services.store.writer
        return await writer.command(lambda tx: recovery.forget_dead_servers(tx, services, alone=alone))

    async def _beat(self) -> None:
        """Note signs of life until cancelled: whatever else is slow, this waits for nothing."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self._services.door.beat(self._services.clock.now())

    async def _keep_record(self) -> None:
        """Tick until cancelled; a store that fails is tried again."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            try:
                await self.tick()
            except StoreError as error:
                log.warning("tick_failed", reason=error.message)
            except Exception:
                log.exception("tick_failed")

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

    async def _carry_on(self) -> None:
        """Work off what was too much for one transaction until cancelled; after a failure the next sweep finds it."""
        services = self._services
        while True:
            rollout_id, fleet_id = await services.look_again.next()
            try:
                await services.store.writer.report(partial(_next_hosts, services, rollout_id, fleet_id))
            except StoreError as error:
                log.warning("carry_on_failed", rollout=rollout_id, reason=error.message)
            except Exception:
                log.exception("carry_on_failed", rollout=rollout_id)


async def _next_hosts(services: Services, rollout_id: str, fleet_id: str, tx: Tx) -> None:
    """Take the next hosts of one rollout."""
    await sweep.carry_on(tx, services, rollout_id, fleet_id)
