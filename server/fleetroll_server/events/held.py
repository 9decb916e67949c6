"""Snapshots on their way to watchers: how many are read and held at once, and for how long.

A snapshot is read whole before its first page is sent, because a slow watcher must not keep a transaction open: SQLite
can't shorten its journal then, PostgreSQL can't clean up. So pages wait in memory, as bytes, which are the least that
they can be, and few watchers may have some at the same time.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

READ_AT_ONCE = 2
"""Each takes a connection and half a core."""
HELD_AT_ONCE = 8
"""Each up to 40 MB for 100,000 hosts."""
HOLD_SECONDS = 300.0
"""For all pages: those 40 MB on a line of one megabit per second. Who is slower makes room for the next."""
WAIT_SECONDS = 20.0
"""For a place; below the 30 s for which a client bears silence, so that it hears why."""


class Snapshots:
    """The places for snapshots in this process."""

    def __init__(self) -> None:
        """Hold none."""
        self._reading = asyncio.Semaphore(READ_AT_ONCE)
        self._places = asyncio.Semaphore(HELD_AT_ONCE)

    @asynccontextmanager
    async def room(self) -> AsyncIterator[Held]:
        """Give a place for a snapshot that is read within the block; its time begins at the end of the block.

        Raises:
            RequestError: UNAVAILABLE: others had all places for too long.
        """
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._places.acquire()
        except TimeoutError:
            text = f"{HELD_AT_ONCE} other watchers are being sent what stands"
            raise RequestError(text, code=Code.UNAVAILABLE, remedy="try again later") from None
        held = Held(self._places.release)
        try:
            async with self._reading:
                yield held
        except BaseException:
            held.drop()
            raise
        held.begin()


class Held:
    """The pages that wait for one watcher. It MUST be dropped when the watcher has gone."""

    def __init__(self, release: Callable[[], None]) -> None:
        """Hold nothing; ``release`` gives the place back."""
        self._pages: deque[bytes] = deque()
        self._release: Callable[[], None] | None = release
        self._timer: asyncio.TimerHandle | None = None
        self._late = False

    def add(self, page: bytes) -> None:
        """Add a page."""
        self._pages.append(page)

    def begin(self) -> None:
        """Let the time run."""
        self._timer = asyncio.get_running_loop().call_later(HOLD_SECONDS, self._expire)

    def next(self) -> bytes | None:
        """Return the next page and hold it no longer; None when there is none. The last one gives the place back.

        Raises:
            RequestError: UNAVAILABLE: the pages were dropped because the watcher took too long.
        """
        if self._late:
            text = f"the snapshot was not taken within {HOLD_SECONDS:g} seconds"
            raise RequestError(text, code=Code.UNAVAILABLE, remedy="connect again, over a faster line or to one fleet")
        page = self._pages.popleft() if self._pages else None
        if not self._pages:
            self.drop()
        return page

    def drop(self) -> None:
        """Hold nothing any more."""
        self._pages.clear()
        if self._timer is not None:
            self._timer.cancel()
        if self._release is not None:
            self._release()
            self._release = None

    def _expire(self) -> None:
        """Make room for others."""
        self._late = True
        self.drop()
