"""The two waiting lines in front of the writer: commands overtake reports, and reports are grouped."""

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


@dataclass(slots=True, eq=False)
class Lane:
    """One waiting line."""

    waiting: deque[Request] = field(default_factory=deque)


class Lanes:
    """Both lines. Lives on one event loop."""

    def __init__(self, group_seconds: float = GROUP_SECONDS) -> None:
        """Open both."""
        self.commands = Lane()
        self.reports = Lane()
        self._group_seconds = group_seconds
        self._wake = asyncio.Event()
        self._closed = False
        self._batch_began = float("-inf")

    def add(self, lane: Lane, request: Request) -> None:
        """Put ``request`` at the end of ``lane``; wake the writer where it could do something about it now."""
        lane.waiting.append(request)
        if lane is self.commands or len(lane.waiting) in {1, GROUP_JOBS}:
            self._wake.set()

    def put_back(self, requests: list[Request]) -> None:
        """Return reports that a command overtook to the head of their line, in their order."""
        self.reports.waiting.extendleft(reversed(requests))

    def close(self) -> None:
        """Let the writer see the end once both lines are empty."""
        self._closed = True
        self._wake.set()

    def drain(self) -> list[Request]:
        """Take everything that waits."""
        taken = [*self.commands.waiting, *self.reports.waiting]
        self.commands.waiting.clear()
        self.reports.waiting.clear()
        return taken

    async def next_group(self) -> list[Request]:
        """Return what the next transaction carries: commands if any wait, else a batch of reports; empty at the end."""
        while not self.commands.waiting:
            pause = self._pause()
            if pause is not None and pause <= 0:
                break
            self._wake.clear()
            try:
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            except TimeoutError:
                break
        lane = self.commands if self.commands.waiting else self.reports
        if lane is self.reports:
            self._batch_began = asyncio.get_running_loop().time()
        return [lane.waiting.popleft() for _ in range(min(GROUP_JOBS, len(lane.waiting)))]

    def _pause(self) -> float | None:
        """Return seconds until the reports' turn (0 or less: now), or None when there is nothing to do."""
        if not self.reports.waiting:
            return 0.0 if self._closed else None
        if self._closed or len(self.reports.waiting) >= GROUP_JOBS:
            return 0.0
        return self._batch_began + self._group_seconds - asyncio.get_running_loop().time()
