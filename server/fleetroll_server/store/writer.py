"""The one writer of a process: every change of the database goes through here, in groups that share a commit.

Rules:

1. Stops (pause, kill switch) go before commands (Go, offers), and these before any waiting batch of reports; a group
   that is being worked off is cut short by what goes before it. A stop shares its transaction with nothing. Reports
   that commands have kept waiting get a slice of time: no crowd of asks holds up the news that stops it.
2. Each job runs in a savepoint: one that raises goes back alone, and its caller gets the error. Where servers collide,
   the group ends: what is done is committed, which frees its locks, and the rest runs one by one.
3. Events get their sequences as one block by the last lock before COMMIT; nothing but their inserts follows.
4. What is to be written outside of the database comes first after a commit (:meth:`Writer.before_answers`). Then what a
   job put into ``after_commit`` runs, in order; callers are told afterwards.
5. When storage fails (full disk, I/O error, lost connection) nobody of the group is told success: all get STORE_FAILED
   and no action runs. The writer is unhealthy, and refuses, until a probe that needs space was committed.
6. No job holds the writer for longer than ``JOB_SECONDS``. One that does fails alone; the others of its group run
   again, and the storage counts as healthy.

The outcome of a COMMIT that failed is unknown to a database's client; after a crash it may turn out to have worked.
Callers therefore repeat under the same id, and every job is idempotent by its id.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import sqlalchemy as sa
import structlog

from fleetroll_server.store.faults import store_failed
from fleetroll_server.store.lanes import Lane, Lanes, Request
from fleetroll_server.store.outcomes import act, going_down, refuse, tell
from fleetroll_server.store.tables import MetaRow, table_of
from fleetroll_server.store.transaction import Transactions

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from sqlalchemy.ext.asyncio import AsyncEngine

    from fleetroll_common.values.clock import Clock
    from fleetroll_server.store.outcomes import Numbered
    from fleetroll_server.store.transaction import Done
    from fleetroll_server.store.tx import Tx

T = TypeVar("T")

JOB_SECONDS = 30.0
"""Three times what SQLite waits for a lock; a job's statements take milliseconds."""
COLLISION_PAUSE_SECONDS = 0.02
"""Times the collisions of a job, before its next run: the other server first has to notice that the lock is free."""
PROBE_SECONDS = 0.5
"""Between two probes of failing storage."""
PROBE_BYTES = 64 * 1024
"""What a probe writes: as much as a group of reports, so that "healthy" is worth something on an almost full disk."""

_META = table_of(MetaRow)
_log = structlog.get_logger(__name__)


class Writer:
    """The writing side of a store. ``start`` and ``stop`` belong to the store that owns it."""

    def __init__(
        self,
        engine: AsyncEngine,
        clock: Clock,
        *,
        job_seconds: float = JOB_SECONDS,
        probe_seconds: float = PROBE_SECONDS,
    ) -> None:
        """Write through ``engine``, which MUST have one connection."""
        self._engine = engine
        self._job_seconds = job_seconds
        self._probe_seconds = probe_seconds
        self._lanes = Lanes()
        self._transactions = Transactions(engine, clock, self._lanes)
        self._healthy = True
        self._closing = asyncio.Event()
        self._listeners: list[Callable[[bool], None]] = []
        self._watchers: list[Callable[[], None]] = []
        self._task: asyncio.Task[None] | None = None
        self._record: Callable[[Sequence[Numbered]], Awaitable[None]] | None = None

    @property
    def healthy(self) -> bool:
        """Tell whether the last thing that was tried could be stored."""
        return self._healthy

    def on_health_change(self, listener: Callable[[bool], None]) -> None:
        """Call ``listener`` with the new health at each change, from the event loop."""
        self._listeners.append(listener)

    def on_events(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` after each commit that brought events, from the event loop; it must not block."""
        self._watchers.append(listener)

    def before_answers(self, record: Callable[[Sequence[Numbered]], Awaitable[None]]) -> None:
        """Let ``record`` see the events of each commit before anybody is told of it; it MUST raise nothing."""
        self._record = record

    def start(self) -> None:
        """Begin to work off the lanes."""
        self._task = asyncio.create_task(self._run(), name="store-writer")

    async def stop(self) -> None:
        """Take no more jobs, finish what waits, end."""
        self._closing.set()
        self._lanes.close()
        if self._task is not None:
            await self._task

    async def urgent(self, job: Callable[[Tx], Awaitable[T]]) -> T:
        """Run ``job``, which stops something or must be known to all that waits, first and in a transaction of its own.

        Raises:
            StoreError: as :meth:`command`.
            Exception: what the job raised; nothing of it was stored.
        """
        return await self._submit(self._lanes.stops, job)

    async def command(self, job: Callable[[Tx], Awaitable[T]]) -> T:
        """Run ``job`` in the second lane, in a group; return its result once it is durable.

        Raises:
            StoreError: STORE_FAILED: not durable (our fault); UNAVAILABLE: the server goes down, or the job's time is
                over.
            Exception: what the job raised; nothing of it was stored.
        """
        return await self._submit(self._lanes.commands, job)

    async def report(self, job: Callable[[Tx], Awaitable[T]]) -> T:
        """Run ``job`` in the last lane, in a group; return its result once it is durable.

        Raises:
            StoreError: as :meth:`command`.
            Exception: what the job raised; nothing of it was stored.
        """
        return await self._submit(self._lanes.reports, job)

    async def _submit(self, lane: Lane, job: Callable[[Tx], Awaitable[T]]) -> T:
        """Wait in ``lane`` for the job's turn. A caller that is cancelled leaves its job to run or not."""
        if self._closing.is_set():
            raise going_down()
        if not self._healthy:
            raise store_failed("storage is failing")
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._lanes.add(lane, Request(job, answer, lane))
        return await answer

    async def _run(self) -> None:
        """Work until stopped and empty."""
        try:
            while True:
                if not self._healthy:
                    await self._recover()
                group = [] if not self._healthy else await self._lanes.next_group()
                if group:
                    await self._work(group)
                elif self._closing.is_set():
                    return
        finally:
            self._closing.set()
            refuse(self._lanes.drain(), going_down)

    async def _work(self, group: list[Request]) -> None:
        """Carry one group through its transaction and tell everybody."""
        try:
            done = await self._transact(group)
        except asyncio.CancelledError:
            refuse(group, going_down)
            raise
        except Exception as error:  # noqa: BLE001 (whatever it was, nothing is durable and everybody must hear it)
            _log.error("store.failed", error=str(error), jobs=len(group), kind=type(error).__name__)
            self._set_health(healthy=False)
            why = type(error).__name__
            refuse([*group, *self._lanes.drain()], lambda: store_failed(why))
            return
        self._lanes.put_back(done.again)
        if self._record is not None and done.events:
            await self._record(done.events)
        for outcome in done.outcomes:
            act(outcome)
        for outcome in done.outcomes:
            tell(outcome)
        if any(outcome.tx.events for outcome in done.outcomes):
            self._call(self._watchers)
        if done.collided and done.again:
            await asyncio.sleep(COLLISION_PAUSE_SECONDS * done.again[0].collisions)

    async def _transact(self, group: list[Request]) -> Done:
        """Carry a group through one transaction."""
        return await self._transactions.run(group, self._job_seconds)

    async def _recover(self) -> None:
        """Probe once; wait a little where that failed."""
        refuse(self._lanes.drain(), lambda: store_failed("storage is failing"))
        try:
            await self._probe()
        except Exception as error:  # noqa: BLE001 (still failing: said once by _work, repeated here at debug level)
            _log.debug("store.probe_failed", error=str(error))
            try:
                async with asyncio.timeout(self._probe_seconds):
                    await self._closing.wait()
            except TimeoutError:
                pass
            return
        _log.info("store.recovered")
        self._set_health(healthy=True)

    async def _probe(self) -> None:
        """Commit something that needs space, and take it away again."""
        filler = {"key": "probe", "value": "x" * PROBE_BYTES}
        async with asyncio.timeout(self._job_seconds), self._engine.connect() as connection:
            try:
                for statement in (sa.delete(_META).where(_META.c.key == "probe"), sa.insert(_META).values(filler)):
                    await connection.execute(statement)
                await connection.commit()
                await connection.execute(sa.delete(_META).where(_META.c.key == "probe"))
                await connection.commit()
            except BaseException:
                await connection.invalidate()
                raise

    def _set_health(self, *, healthy: bool) -> None:
        """Tell the listeners about a change."""
        if self._healthy == healthy:
            return
        self._healthy = healthy
        self._call(partial(listener, healthy) for listener in self._listeners)

    @staticmethod
    def _call(listeners: Iterable[Callable[[], None]]) -> None:
        """Tell everybody."""
        for listener in listeners:
            try:
                listener()
            except Exception:  # noqa: BLE001 (logged with its trace; a listener's defect must not end the writer)
                _log.exception("store.listener_failed")
