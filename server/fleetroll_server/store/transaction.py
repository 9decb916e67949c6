"""One group of jobs in one transaction: what of it is durable afterwards, and what has to run again."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from fleetroll_server.store.faults import Fault, classify, out_of_time, store_failed
from fleetroll_server.store.outcomes import Outcome, store_events
from fleetroll_server.store.tx import Tx

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from fleetroll_common.values.clock import Clock
    from fleetroll_server.store.lanes import Lanes, Request
    from fleetroll_server.store.outcomes import Numbered

COLLISION_TRIES = 4
"""Runs of one job when servers collide: the other side is through after one of them."""
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a group.

    Attributes:
        outcomes: of the jobs that are done, all durable or failed for good.
        again: nothing of these is stored; they go back to the head of their line.
        collided: whether another server was in the way.
        events: what was stored, each with its sequence and time.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    again: list[Request] = field(default_factory=list)
    collided: bool = False
    events: list[Numbered] = field(default_factory=list)


class _JobStoppedError(Exception):
    """One job could not go on where it is: its time is over, or servers collided."""

    def __init__(self, request: Request, tx: Tx, fault: Fault) -> None:
        """Name the job."""
        super().__init__(fault.name)
        self.request, self.tx, self.fault = request, tx, fault


class Transactions:
    """Runs groups, one after the other."""

    def __init__(self, engine: AsyncEngine, clock: Clock, lanes: Lanes) -> None:
        """Write through ``engine``; end a group early when ``lanes`` have something that goes before it."""
        self._engine = engine
        self._clock = clock
        self._lanes = lanes

    async def run(self, group: Sequence[Request], job_seconds: float) -> Done:
        """Run a group and commit it. Any error that leaves here means: nothing of it is durable."""
        async with self._engine.connect() as connection:
            try:
                await connection.begin()
                done = await self._run_jobs(connection, group, job_seconds)
                done.events.extend(await store_events(connection, done.outcomes))
                await connection.commit()
            except _JobStoppedError as stopped:
                # Whatever the job left running on this connection ends with it, and with it all that the group did.
                await connection.invalidate()
                _log.warning("store.job_out_of_time", jobs=len(group), limit_seconds=job_seconds)
                others = [request for request in group if request is not stopped.request]
                return Done([Outcome(stopped.request, stopped.tx, error=out_of_time())], others)
            except BaseException as error:
                await connection.invalidate()
                if isinstance(error, Exception) and classify(error) is Fault.COLLISION:
                    return _collided([], group, Tx(connection, self._clock.now()), error)
                raise
        return done

    async def _run_jobs(self, connection: AsyncConnection, group: Sequence[Request], job_seconds: float) -> Done:
        """Run each job, until something comes that goes before this group, or servers collide."""
        outcomes: list[Outcome] = []
        for position, request in enumerate(group):
            if position and self._lanes.overtaken(request.lane):
                return Done(outcomes, list(group[position:]))
            if request.answer.cancelled():
                continue
            try:
                outcomes.append(await self._run_job(connection, request, job_seconds))
            except _JobStoppedError as stopped:
                if stopped.fault is not Fault.COLLISION:
                    raise
                # The jobs before it hold locks until the commit: running it again here would meet the same ones.
                return _collided(outcomes, group[position:], stopped.tx, stopped)
        return Done(outcomes)

    async def _run_job(self, connection: AsyncConnection, request: Request, job_seconds: float) -> Outcome:
        """Run one job in a savepoint.

        Raises:
            _JobStoppedError: for a collision the savepoint is rolled back; for an overtime the connection is of no use.
        """
        tx = Tx(connection, self._clock.now())
        savepoint = await connection.begin_nested()
        try:
            async with asyncio.timeout(job_seconds):
                result = await request.job(tx)
            await savepoint.commit()
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) is None or task.cancelling():
                raise
            await savepoint.rollback()  # the job awaited something that was cancelled: its own failure
            return Outcome(request, Tx(connection, tx.now), error=store_failed("the job was cancelled"))
        except Exception as error:
            fault = classify(error)
            if fault is Fault.STORAGE:
                raise
            empty = Tx(connection, tx.now)
            if fault is Fault.OVERTIME:
                raise _JobStoppedError(request, empty, fault) from error
            await savepoint.rollback()
            if fault is Fault.COLLISION:
                raise _JobStoppedError(request, empty, fault) from error
            return Outcome(request, empty, error=error)
        return Outcome(request, tx, result=result)


def _collided(outcomes: list[Outcome], rest: Sequence[Request], empty: Tx, error: Exception) -> Done:
    """Let what is not done run one by one; the first of it is what collided, and not without end."""
    first = rest[0]
    first.collisions += 1
    for request in rest:
        request.alone = True
    if first.collisions < COLLISION_TRIES:
        return Done(outcomes, list(rest), collided=True)
    failure = store_failed("servers collided again and again")
    failure.__cause__ = error
    return Done([*outcomes, Outcome(first, empty, error=failure)], list(rest[1:]), collided=True)
