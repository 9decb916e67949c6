"""A watcher as the contract describes it, as simply as can be: pages replace all, changes replace one by one."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from fleetroll.v1 import events_pb2 as pb
from fleetroll.v1 import events_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from fleetroll.v1 import agents_pb2, rollouts_pb2, tokens_pb2
    from tests.faults.worlds import World

ALL = (
    pb.WATCH_SUBJECT_EVENTS,
    pb.WATCH_SUBJECT_ROLLOUTS,
    pb.WATCH_SUBJECT_AGENTS,
)
PATIENCE = 20.0


class EventWatcher:
    """What a client knows by watching alone."""

    def __init__(self, world: World, *subjects: Any, rollout_id: str = "", fleet_id: str = "", token: str = "") -> None:
        """Know nothing; :meth:`watching` begins."""
        self._world = world
        self._token = token or world.stock.token
        self.request = pb.WatchEventsRequest(subjects=subjects or ALL, rollout_id=rollout_id, fleet_id=fleet_id)
        self.agents: dict[str, agents_pb2.Agent] = {}
        self.rollouts: dict[str, rollouts_pb2.Rollout] = {}
        self.members: dict[str, rollouts_pb2.RolloutHost] = {}
        self.switches: dict[str, rollouts_pb2.KillSwitch] = {}
        self.events: list[pb.Event] = []
        self.resyncs: list[str] = []
        self.token: tokens_pb2.ApiToken | None = None
        self.snapshots = 0
        self.alive = 0
        self.cursor = b""
        self.error: BaseException | None = None
        self.messages: list[pb.WatchEventsResponse] = []
        self._left: int | None = None
        self._pages: list[pb.Snapshot] = []
        self._moved = asyncio.Event()

    @property
    def sizes(self) -> list[int]:
        """Return the size of each message, in bytes."""
        return [message.ByteSize() for message in self.messages]

    @asynccontextmanager
    async def watching(self, messages: int | None = None) -> AsyncIterator[EventWatcher]:
        """Watch while the block lasts, from the cursor that is known; break off after so many messages."""
        self.request.cursor = self.cursor
        self.error = None
        self._left = messages
        self._pages.clear()
        stub = events_pb2_grpc.EventsServiceStub(self._world.channel)
        call = stub.WatchEvents(self.request, metadata=(("authorization", f"Bearer {self._token}"),))
        task = asyncio.create_task(self._read(call))
        try:
            yield self
        finally:
            call.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def until(self, wanted: Callable[[], bool], seconds: float = PATIENCE) -> None:
        """Wait until something holds, by watching alone.

        Raises:
            TimeoutError: it did not in so many seconds.
        """
        async with asyncio.timeout(seconds):
            while not wanted():
                assert self.error is None, self.error
                self._moved.clear()
                await self._moved.wait()

    async def failed(self) -> BaseException:
        """Wait for the stream to end with an error, and return it."""
        async with asyncio.timeout(PATIENCE):
            while self.error is None:
                self._moved.clear()
                await self._moved.wait()
        return self.error

    async def broken_off(self) -> None:
        """Wait until as many messages were taken as :meth:`watching` was told."""
        await self.until(lambda: self._left == 0)

    async def _read(self, call: Any) -> None:
        try:
            async for message in call:
                self.take(message)
                self._left = None if self._left is None else self._left - 1
                self._moved.set()
                if self._left == 0:
                    return
        except BaseException as error:  # (the test's own cancelling as well)
            self.error = error
            self._moved.set()
            raise

    def take(self, message: pb.WatchEventsResponse) -> None:
        """Take one message in."""
        self.messages.append(message)
        match message.WhichOneof("message"):
            case "snapshot":
                self._pages.append(message.snapshot)
                assert bool(message.cursor) == message.snapshot.last, "a part of a snapshot is no place to go on from"
                if message.snapshot.last:
                    self._replace()
            case "changes":
                self.events += message.changes.events
                self._merge(message.changes)
            case "resync":
                self.resyncs.append(message.resync.reason)
            case "alive":
                self.alive += 1
        assert message.HasField("sent_at")
        self.cursor = message.cursor or self.cursor

    def _replace(self) -> None:
        self.token = self._pages[0].token if self._pages[0].HasField("token") else None
        for mine in (self.agents, self.rollouts, self.members, self.switches):
            mine.clear()
        for page in self._pages:
            self._merge(page)
        self._pages.clear()
        self.snapshots += 1

    def _merge(self, said: pb.Snapshot | pb.Changes) -> None:
        self.agents.update({each.id: each for each in said.agents})
        self.rollouts.update({each.id: each for each in said.rollouts})
        self.members.update({each.agent_id: each for each in said.rollout_hosts})
        self.switches.update({each.scope: each for each in said.kill_switches})
