"""The three waiting lines in front of the writer: stops overtake commands, and these overtake reports.

Commands and reports are grouped; a stop (pause, kill switch) has a transaction of its own.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fleetroll_server.store.tx import Tx

GROUP_SECONDS = 0.010
"""Report transactions begin at least this far apart: 88,000 rows a second fit into such groups (measured), and alone on
an idle server a report waits for nothing."""
GROUP_JOBS = 1000
"""Jobs in one transaction at most: bounds what a command may have to wait for when it just missed its turn."""


@dataclass(slots=True, eq=False)
class Request:
    """One job that waits, and whom to tell."""

    job: Callable[[Tx], Awaitable[Any]]
    answer: asyncio.Future[Any]
    lane: Lane
    collisions: int = 0
    alone: bool = False
    """Not to be grouped again: its group met another server's, and what a group locks is only freed at its end."""


@dataclass(slots=True, eq=False)
class Lane:
    """One waiting line; ``group_jobs`` of it share a transaction at most."""

    group_jobs: int = GROUP_JOBS
    waiting: deque[Request] = field(default_factory=deque)


class Lanes:
    """All lines. Lives on one event loop."""

    def __init__(self, group_seconds: float = GROUP_SECONDS) -> None:
        """Open them."""
        self.stops = Lane(group_jobs=1)
        self.commands = Lane()
        self.reports = Lane()
        self._order = (self.stops, self.commands, self.reports)
        self._group_seconds = group_seconds
        self._wake = asyncio.Event()
        self._closed = False
        self._batch_began = float("-inf")

    def add(self, lane: Lane, request: Request) -> None:
        """Put ``request`` at the end of ``lane``; wake the writer where it could do something about it now."""
        lane.waiting.append(request)
        if lane is not self.reports or len(lane.waiting) in {1, GROUP_JOBS}:
            self._wake.set()

    def put_back(self, requests: list[Request]) -> None:
        """Return what was taken but not done to the head of its line, in its order."""
        for request in reversed(requests):
            request.lane.waiting.appendleft(request)

    def overtaken(self, lane: Lane) -> bool:
        """Tell whether something waits that goes before ``lane``."""
        return any(ahead.waiting for ahead in self._order[: self._order.index(lane)])

    def close(self) -> None:
        """Let the writer see the end once the lines are empty."""
        self._closed = True
        self._wake.set()

    def drain(self) -> list[Request]:
        """Take everything that waits."""
        taken = [request for lane in self._order for request in lane.waiting]
        for lane in self._order:
            lane.waiting.clear()
        return taken

    async def next_group(self) -> list[Request]:
        """Return what the next transaction carries: a stop, else commands, else reports; empty at the end."""
        while not self.overtaken(self.reports):
            pause = self._pause()
            if pause is not None and pause <= 0:
                break
            self._wake.clear()
            try:
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            except TimeoutError:
                break
        lane = next(lane for lane in self._order if lane.waiting or lane is self.reports)
        if lane is self.reports:
            self._batch_began = asyncio.get_running_loop().time()
        return _take(lane)

    def _pause(self) -> float | None:
        """Return seconds until the reports' turn (0 or less: now), or None when there is nothing to do."""
        if not self.reports.waiting:
            return 0.0 if self._closed else None
        if self._closed or len(self.reports.waiting) >= GROUP_JOBS:
            return 0.0
        return self._batch_began + self._group_seconds - asyncio.get_running_loop().time()


def _take(lane: Lane) -> list[Request]:
    """Take from the head of a line what may share a transaction."""
    taken: list[Request] = []
    while lane.waiting and len(taken) < lane.group_jobs:
        if taken and (taken[0].alone or lane.waiting[0].alone):
            break
        taken.append(lane.waiting.popleft())
    return taken
