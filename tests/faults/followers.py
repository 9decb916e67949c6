"""A follower as programs have it, on a line that a test disturbs, and the server's own log to compare it with."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any

from fleetroll.v1 import events_pb2, types_pb2
from fleetroll_client import (
    AsyncAdminClient,
    Changed,
    Connection,
    Endpoint,
    Link,
    Patience,
    Resynced,
    Snapshot,
    follow,
)
from tests.faults.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.faults.worlds import World

ALL = (events_pb2.WATCH_SUBJECT_EVENTS, events_pb2.WATCH_SUBJECT_ROLLOUTS, events_pb2.WATCH_SUBJECT_AGENTS)
QUICK = Patience(silent_seconds=2.5, first_wait_seconds=0.02, longest_wait_seconds=0.1)


class Follower:
    """Takes updates in, as the contract says."""

    def __init__(self) -> None:
        self.events: list[events_pb2.Event] = []
        self.agents: dict[str, Any] = {}
        self.rollouts: dict[str, Any] = {}
        self.snapshots = 0
        self.resyncs: list[str] = []
        self.links: list[Connection] = []
        self.cursor = b""
        self.error: Exception | None = None
        self._moved = asyncio.Event()

    def take(self, update: object) -> None:
        match update:
            case Snapshot():
                self.snapshots += 1
                self.agents.clear()
                self.rollouts.clear()
                self._merge(update)
            case Changed():
                self.events += update.events
                self._merge(update)
            case Resynced():
                self.resyncs.append(update.reason)
            case Connection():
                self.links.append(update)
        self._moved.set()

    def _merge(self, update: Snapshot | Changed) -> None:
        self.cursor = update.cursor
        self.agents.update({each.id: each for each in update.agents})
        self.rollouts.update({each.id: each for each in update.rollouts})

    @property
    def live(self) -> bool:
        return bool(self.links) and self.links[-1].live

    @property
    def was(self) -> list[Link]:
        """The links that followed each other, without repetition."""
        links = [each.link for each in self.links]
        return [link for number, link in enumerate(links) if number == 0 or links[number - 1] is not link]

    async def until(self, wanted: Callable[[], bool], seconds: float = 20) -> None:
        async with asyncio.timeout(seconds):
            while not wanted():
                assert self.error is None, self.error
                self._moved.clear()
                await self._moved.wait()

    @asynccontextmanager
    async def following(self, client: AsyncAdminClient, cursor: bytes = b"", **request: Any) -> AsyncIterator[Follower]:
        task = asyncio.create_task(self._follow(client, cursor, request))
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _follow(self, client: AsyncAdminClient, cursor: bytes, request: dict[str, Any]) -> None:
        wanted = events_pb2.WatchEventsRequest(**({"subjects": ALL, "cursor": cursor} | request))
        try:
            async with aclosing(follow(client, wanted, QUICK)) as updates:
                async for update in updates:
                    self.take(update)
        except Exception as error:
            self.error = error
            self._moved.set()
            raise


@asynccontextmanager
async def through(world: World) -> AsyncIterator[tuple[Proxy, AsyncAdminClient]]:
    """A client behind a line that can be disturbed."""
    host, _, port = world.server.address.rpartition(":")
    async with Proxy.to(host, int(port)) as proxy:
        endpoint = Endpoint(f"127.0.0.1:{proxy.port}", world.services.ca_pem, world.stock.token)
        async with AsyncAdminClient(endpoint) as client:
            yield proxy, client


async def log(world: World) -> list[str]:
    """Ids of all events of the server's own log, oldest first."""
    async with AsyncAdminClient(Endpoint(world.server.address, world.services.ca_pem, world.stock.token)) as client:
        answer = await client.events.ListEvents(events_pb2.ListEventsRequest(page=types_pb2.Page(size=500)), timeout=20)
    return [event.id for event in reversed(answer.events)]
