"""One watcher's queue: bounded in batches and in things. A watcher that is too slow starts over."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import RowMapping

    from fleetroll_server.events.touched import State
    from fleetroll_server.events.watched import Watched

MAX_BATCHES = 64
"""At most five come a second: twelve seconds of a network that stands still."""
MAX_THINGS = 50_000
"""Events and states in the queue; all watchers share the same ones."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What was committed between two places in the log, and what stood at the second one.

    Attributes:
        after: the sequence before the first event.
        through: the sequence of the last event; ``after`` where there is none.
        events: rows, in order, of every fleet.
        state: what they touched, of every fleet.
    """

    after: int
    through: int
    events: Sequence[RowMapping]
    state: State

    @property
    def size(self) -> int:
        """Return how many things it holds."""
        state = self.state
        return len(self.events) + len(state.rollouts) + len(state.hosts) + len(state.rollout_hosts)


class TooSlowError(Exception):
    """The watcher did not take what came; what waited for it was dropped."""


class ClosedError(Exception):
    """The server goes down."""


class Inbox:
    """What waits for one watcher."""

    def __init__(self, watched: Watched) -> None:
        """Start shut: nothing is queued before :meth:`open`."""
        self.watched = watched
        self.is_open = False
        self._batches: deque[Batch] = deque()
        self._things = 0
        self._dropped = False
        self._closed = False
        self._filled = asyncio.Event()

    def put(self, batch: Batch) -> None:
        """Add a batch, or drop all that waits where there is no room: who starts over needs none of it."""
        if not self.is_open or self._dropped:
            return
        if len(self._batches) >= MAX_BATCHES or self._things + batch.size > MAX_THINGS:
            self._batches.clear()
            self._things = 0
            self._dropped = True
        else:
            self._batches.append(batch)
            self._things += batch.size
        self._filled.set()

    def close(self) -> None:
        """Let the watcher hear that nothing comes any more."""
        self._closed = True
        self._filled.set()

    def open(self) -> None:
        """Take batches, from now on."""
        self.shut()
        self.is_open = True

    def shut(self) -> None:
        """Forget what waits, and take no batch: who is sent what stands would be told of it twice."""
        self.is_open = False
        self._batches.clear()
        self._things = 0
        self._dropped = False

    async def next(self, seconds: float) -> Batch | None:
        """Return the next batch; None when none came within ``seconds``.

        Raises:
            TooSlowError: batches were dropped; call :meth:`shut`, and :meth:`open` when all up to then is sent.
            ClosedError: the server goes down.
        """
        if not (self._batches or self._dropped or self._closed):
            self._filled.clear()
            try:
                async with asyncio.timeout(seconds):
                    await self._filled.wait()
            except TimeoutError:
                return None
        if self._closed:
            raise ClosedError
        if self._dropped:
            raise TooSlowError
        batch = self._batches.popleft()
        self._things -= batch.size
        return batch
