"""Reads the checks of running rollouts when their time has come, on one server of all."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from fleetroll_common.values.errors import StoreError
from fleetroll_server.domain.checks import Reading
from fleetroll_server.domain.checkspec import CheckSpec
from fleetroll_server.engine.actor import GATE
from fleetroll_server.engine.advance import go_on
from fleetroll_server.engine.book import open_book
from fleetroll_server.engine.probing import rows
from fleetroll_server.engine.probing.asking import ask

if TYPE_CHECKING:
    from fleetroll_server.services import Services
    from fleetroll_server.store.tx import Tx

log = structlog.get_logger(__name__)
LOOK_SECONDS = 1.0
"""Between two looks at which checks are due."""
MOST_AT_ONCE = 50
"""Readings under way in this process: an endless queue of slow answers would be memory without a bound."""


class Prober:
    """A background service. A reading that is lost with its server is missed once: the next interval reads again."""

    def __init__(self, services: Services) -> None:
        """Keep the shared parts; nothing runs before :meth:`start`."""
        self._services = services
        self._loop: asyncio.Task[None] | None = None
        self._under_way: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begin to look."""
        self._loop = asyncio.create_task(self._run(), name="prober")

    async def drain(self) -> None:
        """Begin no more readings."""
        if self._loop is not None:
            self._loop.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._loop
            self._loop = None

    async def stop(self) -> None:
        """End the readings that are under way; their commands end with them."""
        await self.drain()
        for task in tuple(self._under_way):
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def look(self) -> int:
        """Begin the readings that are due; return how many. They are under way when this returns.

        Raises:
            StoreError: the database can't be read or written (our fault).
        """
        store = self._services.store
        async with store.read() as connection:
            found = await rows.due(connection, self._services.clock.now())
        begun = 0
        for row in found[: max(0, MOST_AT_ONCE - len(self._under_way))]:
            if await store.writer.command(partial(_take, row)):
                task = asyncio.create_task(self._read(row), name=f"check-{row['name']}")
                self._under_way.add(task)
                task.add_done_callback(self._under_way.discard)
                begun += 1
        return begun

    async def settle(self) -> None:
        """Wait for the readings that are under way."""
        while self._under_way:
            await asyncio.wait(tuple(self._under_way))

    async def _read(self, row: dict[str, Any]) -> None:
        """Ask once and store what it says; what can't be stored is as if it had not been read."""
        services, spec = self._services, CheckSpec.from_json(row["spec"])
        began = services.clock.now()
        about = {
            "FLEETROLL_CHECK": spec.name,
            "FLEETROLL_FLEET": row["fleet_id"],
            "FLEETROLL_PRODUCT": row["product"],
            "FLEETROLL_ROLLOUT": row["rollout_id"],
            "FLEETROLL_VERSION": row["version"],
        }
        try:
            kind, detail = await ask(spec, services.settings.gate_commands, about)
            reading = Reading(kind, detail, began)
            await services.store.writer.report(partial(_keep, services, row, reading))
        except StoreError as error:
            log.warning("reading_not_kept", rollout=row["rollout_id"], check=spec.name, reason=error.message)
        except Exception:
            log.exception("reading_failed", rollout=row["rollout_id"], check=spec.name)

    async def _run(self) -> None:
        """Look until cancelled; a store that fails is tried again."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.look()
            except StoreError as error:
                log.warning("checks_not_looked_at", reason=error.message)
            except Exception:
                log.exception("checks_not_looked_at")


async def _take(row: dict[str, Any], tx: Tx) -> bool:
    """Take a reading; bound for the writer."""
    return await rows.take(tx, row)


async def _keep(services: Services, row: dict[str, Any], reading: Reading, tx: Tx) -> None:
    """Store a reading, and let the rollout act on it in the same transaction."""
    book = await open_book(tx, row["rollout_id"], row["fleet_id"])
    if book is None:
        return
    state = next((check for check in book.checks if check.spec.name == row["name"]), None)
    if state is None:
        return
    after = state.read(reading)
    if state.last is None or state.last.kind is not reading.kind:
        tx.emit(book.event("rollout.check", GATE, message=after.words))
    await rows.keep(tx, book.id, book.fleet_id, after)
    book.checks = tuple(after if check is state else check for check in book.checks)
    await go_on(tx, services, book)
