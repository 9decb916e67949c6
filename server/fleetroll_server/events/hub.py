"""Reads the log once for all watchers of this process, and hands each what came.

The database is the truth, a commit of this process only a hint to look at it at once; servers that share the database
are heard of by looking once a second. Without watchers nothing is read.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import structlog

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError, StoreError
from fleetroll_server.engine import reads
from fleetroll_server.events import lean, log
from fleetroll_server.events.held import Snapshots
from fleetroll_server.events.inbox import Batch, Inbox
from fleetroll_server.events.touched import Interest, State, print_of, read_touched
from fleetroll_server.events.watched import Subject

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncConnection

    from fleetroll_common.values.clock import Clock
    from fleetroll_server.engine.reads import Shown
    from fleetroll_server.events.watched import Watched
    from fleetroll_server.store import Store

_log = structlog.get_logger(__name__)

PERIOD_SECONDS = 0.2
"""Between two looks: watchers are told at most five times a second."""
POLL_SECONDS = 1.0
"""Between two looks that nothing hinted at."""
SHARE = 4.0
"""A look that took long is followed by a rest so many times as long: watching costs a fifth of the time at most."""
SHARE_BEHIND = 1.0
"""The same while there is more in the log than one look takes: half of the time, so that watchers come up to now."""
MAX_EVENTS = 5000
"""In one look; as many hosts take some 0.4 s to read and build."""
MAX_ROLLOUTS = 100
"""Rollouts that go on whose aggregates are looked at again in each second."""
MAX_WATCHERS = 64
"""Of one process; each inbox may hold :data:`~fleetroll_server.events.inbox.MAX_THINGS` things."""


class Hub:
    """The watchers of this process. A background service."""

    def __init__(self, store: Store, clock: Clock) -> None:
        """Read ``store``; nothing runs before :meth:`start`."""
        self._store = store
        self._clock = clock
        self._inboxes: set[Inbox] = set()
        self._through: int | None = None
        self._looked_at = -POLL_SECONDS
        self._shown: dict[str, str] = {}
        self._shown_at = -POLL_SECONDS
        self._hinted = asyncio.Event()
        self._joining = asyncio.Lock()
        self.snapshots = Snapshots()
        self._draining = False
        self._task: asyncio.Task[None] | None = None
        store.writer.on_events(self._hinted.set)

    async def start(self) -> None:
        """Look from now on."""
        self._task = asyncio.create_task(self._run(), name="event-hub")

    async def drain(self) -> None:
        """Let every watcher end."""
        self._draining = True
        for inbox in self._inboxes:
            inbox.close()

    async def stop(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def is_looking(self) -> bool:
        """Tell whether the log was read a moment ago: only then is silence worth anything."""
        return time.monotonic() - self._looked_at < 2 * POLL_SECONDS + PERIOD_SECONDS

    def join(self, watched: Watched) -> Inbox:
        """Count a new watcher; nothing is queued for it before :meth:`follow`.

        Raises:
            RequestError: UNAVAILABLE: too many watch here, or the server goes down.
        """
        if self._draining or len(self._inboxes) >= MAX_WATCHERS:
            message = "the server goes down" if self._draining else f"{MAX_WATCHERS} watchers are here already"
            raise RequestError(message, code=Code.UNAVAILABLE, remedy="try again later")
        inbox = Inbox(watched)
        self._inboxes.add(inbox)
        return inbox

    async def follow(self, inbox: Inbox) -> None:
        """Hand batches to a watcher from now on: all that a read of the log that begins after this does not show.

        Raises:
            StoreError: the log can't be read now.
        """
        async with self._joining:
            if self._through is None:
                async with self._store.read() as connection:
                    self._through = await log.position(connection)
            inbox.open()
        self._hinted.set()

    def rest(self, inbox: Inbox) -> None:
        """Hand nothing to a watcher until it follows again; while nobody does, nothing is read or remembered."""
        inbox.shut()
        if not any(each.is_open for each in self._inboxes):
            self._through = None
            self._shown.clear()

    def leave(self, inbox: Inbox) -> None:
        """Forget a watcher."""
        self._inboxes.discard(inbox)
        self.rest(inbox)

    async def _run(self) -> None:
        """Look until cancelled; a look that fails is tried again, and watchers hear nothing meanwhile."""
        while True:
            await self._wait()
            began, share = time.monotonic(), SHARE
            try:
                share = SHARE_BEHIND if await self._look() else SHARE
            except StoreError as error:
                _log.warning("events_not_read", reason=error.message)
            except Exception:  # noqa: BLE001 (logged with its trace; a defect in one look must not end all watching)
                _log.exception("events_not_read")
            else:
                self._looked_at = time.monotonic()
            await asyncio.sleep(max(PERIOD_SECONDS, share * (time.monotonic() - began)))

    async def _wait(self) -> None:
        """Return at a hint, or when it is time to look without one."""
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await self._hinted.wait()
        except TimeoutError:
            return
        finally:
            self._hinted.clear()

    async def _look(self) -> bool:
        """Read what came and hand it on; tell whether there is more."""
        after = self._through
        if after is None:
            return False
        async with self._store.read() as connection:
            now = self._clock.now()
            events = await log.after(connection, after, MAX_EVENTS)
            # Not earlier: who follows from now on reads later than this, and misses nothing that is not read for it.
            interest = self._interest()
            state = await read_touched(connection, events, interest, now)
            again = await self._moved(connection, state, now) if interest.rollouts else []
        through = events[-1]["sequence"] if events else after
        if len(events) == MAX_EVENTS:
            self._hinted.set()
        if self._through is None:
            return False  # the last watcher has left meanwhile
        self._through = through
        if events or again:
            batch = Batch(after, through, events, _with(state, again))
            for inbox in self._inboxes:
                inbox.put(batch)
        return len(events) == MAX_EVENTS

    async def _moved(self, connection: AsyncConnection, state: State, now: datetime) -> list[Shown]:
        """Return rollouts that changed without an event, such as by baking; looked for once a second."""
        self._shown |= {shown.row["id"]: print_of(shown) for shown in state.rollouts}
        if time.monotonic() - self._shown_at < POLL_SECONDS:
            return []
        self._shown_at = time.monotonic()
        fleets = sorted(frozenset[str]().union(*(watched.fleets for watched in self._followed())))
        found = await reads.newest(connection, fleets, now, active_only=True, after=None, limit=MAX_ROLLOUTS)
        going_on = lean.rollouts(found)
        prints = {shown.row["id"]: print_of(shown) for shown in going_on}
        moved = [shown for shown in going_on if self._shown.get(shown.row["id"]) != prints[shown.row["id"]]]
        self._shown = prints
        return moved

    def _interest(self) -> Interest:
        """Return what anybody who follows watches."""
        watched = self._followed()
        return Interest(
            hosts=any(Subject.AGENTS in each.subjects for each in watched),
            rollouts=any(Subject.ROLLOUTS in each.subjects for each in watched),
            members_of=frozenset(each.rollout_id for each in watched if Subject.ROLLOUT_HOSTS in each.subjects),
        )

    def _followed(self) -> list[Watched]:
        """Return what those watch who are handed batches."""
        return [inbox.watched for inbox in self._inboxes if inbox.is_open]


def _with(state: State, rollouts: list[Shown]) -> State:
    """Return the state with more rollouts."""
    return State([*state.rollouts, *rollouts], state.switches, state.hosts, state.rollout_hosts)
