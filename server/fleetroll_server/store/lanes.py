"""The three waiting lines in front of the writer: stops overtake commands, and these overtake reports.

Commands and reports are grouped; a stop (pause, kill switch) has a transaction of its own. Commands that never end
(hosts that ask for Go, a whole fleet that says hello) don't hold up reports for ever: one of these may be the bad news
that stops the next Go. While both wait they take turns, each for a slice.
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
SLICE_SECONDS = 0.020
"""While commands and reports both wait, each works for so long before the other's turn: a person's command waits hardly
longer, and a report for no more than this and one commit."""
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
        self._waiting_since = float("-inf")
        self._owed = False

    def add(self, lane: Lane, request: Request) -> None:
        """Put ``request`` at the end of ``lane``; wake the writer where it could do something about it now."""
        if lane is self.reports and not lane.waiting:
            self._waiting_since = _now()
        lane.waiting.append(request)
        if lane is not self.reports or len(lane.waiting) in {1, GROUP_JOBS}:
            self._wake.set()

    def put_back(self, requests: list[Request]) -> None:
        """Return what was taken but not done to the head of its line, in its order."""
        for request in reversed(requests):
            request.lane.waiting.appendleft(request)

    def overtaken(self, lane: Lane) -> bool:
        """Tell whether something waits that goes before what is worked off of ``lane``."""
        if lane is self.stops:
            return False
        if self.stops.waiting:
            return True
        if lane is self.commands:
            return self._kept_waiting()
        return bool(self.commands.waiting) and not (self._owed and _now() - self._batch_began < SLICE_SECONDS)

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
        while not (self.stops.waiting or self.commands.waiting):
            pause = self._pause()
            if pause is not None and pause <= 0:
                break
            self._wake.clear()
            try:
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            except TimeoutError:
                break
        if self.stops.waiting:
            return _take(self.stops)
        return self._begin(self._whose_turn())

    def _whose_turn(self) -> Lane:
        """Return commands before reports, but for reports that commands have kept waiting."""
        return self.reports if self._kept_waiting() or not self.commands.waiting else self.commands

    def _kept_waiting(self) -> bool:
        """Tell whether reports have waited for a slice."""
        return bool(self.reports.waiting) and _now() - self._waiting_since >= SLICE_SECONDS

    def _begin(self, lane: Lane) -> list[Request]:
        """Take a group of a line whose turn it is."""
        if lane is self.reports:
            self._batch_began = self._waiting_since = _now()
            self._owed = bool(self.commands.waiting)
        return _take(lane)

    def _pause(self) -> float | None:
        """Return seconds until the reports' turn (0 or less: now), or None when there is nothing to do."""
        if not self.reports.waiting:
            return 0.0 if self._closed else None
        if self._closed or len(self.reports.waiting) >= GROUP_JOBS:
            return 0.0
        return self._batch_began + self._group_seconds - _now()


def _now() -> float:
    return asyncio.get_running_loop().time()


def _take(lane: Lane) -> list[Request]:
    """Take from the head of a line what may share a transaction."""
    taken: list[Request] = []
    while lane.waiting and len(taken) < lane.group_jobs:
        if taken and (taken[0].alone or lane.waiting[0].alone):
            break
        taken.append(lane.waiting.popleft())
    return taken
