"""Jobs of one product, one after the other: a cancelled one has let go of the disk before the next begins."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from fleetroll_agent.jobs.events import Event

log = structlog.get_logger(__name__)

NOBODY = 0
"""Number of the job that no attempt waits for."""


@dataclass(frozen=True, slots=True)
class Ends:
    """What it means for the rules when a job ends otherwise than by its own answer; None = nothing.

    Attributes:
        cut: nobody here ended it: the connection did, and gRPC says so by a cancellation.
        defect: this program has a defect; the attempt ends, and what runs goes on running.
    """

    cut: Event | None = None
    defect: Event | None = None


class Runner:
    """Runs jobs and brings their answers to the rules."""

    def __init__(self, post: Callable[[Event], None]) -> None:
        """Bring answers to ``post``."""
        self._post = post
        self._jobs: dict[int, asyncio.Task[None]] = {}
        self._newest: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._unwanted: set[int] = set()
        self._stopping = False

    def start(self, job: int, ends: Ends, work: Callable[[], Coroutine[Any, Any, Event | None]]) -> None:
        """Run ``work`` when the job before it has ended, however that one ended; its answer is posted."""
        task = asyncio.ensure_future(self._run(self._newest, job, ends, work))
        self._newest = task
        self._jobs[job] = task
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._forget(job, done))

    def cancel(self, job: int) -> None:
        """End a job; one that has ended is no matter. No answer follows."""
        task = self._jobs.get(job)
        if task is not None:
            self._unwanted.add(job)
            task.cancel()

    async def stop(self) -> None:
        """End every job and wait until the last one has let go."""
        self._stopping = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _forget(self, job: int, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._unwanted.discard(job)
        if self._jobs.get(job) is task:
            del self._jobs[job]

    async def _run(
        self,
        before: asyncio.Task[None] | None,
        job: int,
        ends: Ends,
        work: Callable[[], Awaitable[Event | None]],
    ) -> None:
        try:
            await _after(before)
            event = await work()
        except asyncio.CancelledError:
            event = ends.cut
            if self._stopping or job in self._unwanted or event is None:
                raise
        except Exception:
            log.exception("job_failed", job=job)
            event = ends.defect
        if event is not None:
            self._post(event)


async def _after(before: asyncio.Task[None] | None) -> None:
    """Wait until the job before has let go, also when this one is cancelled meanwhile: the next waits for this one."""
    cancelled = False
    while before is not None and not before.done():
        try:
            await asyncio.wait({before})
        except asyncio.CancelledError:  # noqa: PERF203 (it waits in the loop)
            cancelled = True
    if cancelled:
        raise asyncio.CancelledError
