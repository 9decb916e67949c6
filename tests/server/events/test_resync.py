"""A watcher that can't go on from where it was is told why and gets everything anew; it is never left with half."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from fleetroll.v1 import events_pb2, events_pb2_grpc
from fleetroll_server.events import inbox, log
from fleetroll_server.events.touched import State
from fleetroll_server.rpc import watching
from fleetroll_server.store.fleets import every_fleet
from tests.faults.event_watcher import EventWatcher

if TYPE_CHECKING:
    from tests.faults.worlds import World

THREE = ("host-1", "host-2", "host-3")


async def known(world: World, *subjects: Any) -> EventWatcher:
    """Return a watcher that has seen all of now and is away."""
    watcher = EventWatcher(world, *subjects)
    async with watcher.watching():
        await watcher.until(lambda: watcher.snapshots == 1 and watcher.cursor != b"")
    return watcher


async def is_started_over(watcher: EventWatcher, why: str) -> None:
    """Let it come back: it is told why, and then has what stands."""
    watcher.agents["gone"] = watcher.agents[next(iter(watcher.agents))]
    async with watcher.watching():
        await watcher.until(lambda: watcher.snapshots == 2)
    assert len(watcher.resyncs) == 1
    assert why in watcher.resyncs[0]
    assert "gone" not in watcher.agents, "it was merged, not replaced"


def altered(cursor: bytes, part: int, value: str) -> bytes:
    parts = json.loads(cursor)
    parts[part] = value
    return json.dumps(parts).encode()


async def test_a_cursor_of_another_database(world: World) -> None:
    watcher = await known(world)
    watcher.cursor = altered(watcher.cursor, 1, "another")
    await is_started_over(watcher, "another database")


async def test_a_cursor_ahead_of_the_database(world: World) -> None:
    watcher = await known(world)
    watcher.cursor = altered(watcher.cursor, 3, "999999999")
    await is_started_over(watcher, "ahead")


async def test_a_cursor_of_who_watched_less(world: World) -> None:
    less = await known(world, events_pb2.WATCH_SUBJECT_AGENTS)
    more = EventWatcher(world)
    more.cursor, more.agents, more.snapshots = less.cursor, less.agents, 1
    await is_started_over(more, "something else")


async def test_a_cursor_whose_events_are_kept_no_longer(world_on_each: World) -> None:
    world = world_on_each
    watcher = await known(world)
    await world.online(*THREE)
    async with world.services.store.read() as connection:
        newest = await log.position(connection)
    gone = every_fleet(sa.delete(log.EVENT).where(log.EVENT.c.sequence < newest), "a test prunes")
    await world.services.store.writer.command(lambda tx: tx.execute(gone))
    await is_started_over(watcher, "no longer")


async def test_a_log_of_which_nothing_is_left(world_on_each: World) -> None:
    world = world_on_each
    behind = await known(world)
    await world.online(*THREE)
    here = await known(world)
    gone = every_fleet(sa.delete(log.EVENT), "a test prunes")
    await world.services.store.writer.command(lambda tx: tx.execute(gone))
    async with here.watching():
        await here.until(lambda: here.alive > 0)
    assert here.resyncs == [], "it had seen all that was deleted"
    await is_started_over(behind, "no longer")


async def test_a_cursor_too_far_behind(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    watcher = await known(world)
    monkeypatch.setattr(watching, "MAX_BEHIND", 2)
    await world.online(*THREE)
    await is_started_over(watcher, "behind")


async def test_a_watcher_that_does_not_read_is_not_buffered_without_limit(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "MAX_BATCHES", 1)
    taken, waits, gate = [], asyncio.Event(), asyncio.Event()
    next_batch = inbox.Inbox.next

    async def slowly(self: inbox.Inbox, seconds: float) -> Any:
        if "agents" in self.watched.subjects:
            waits.set()
            await gate.wait()
            taken.append(len(self._batches))
        return await next_batch(self, seconds)

    monkeypatch.setattr(inbox.Inbox, "next", slowly)
    watcher, quick = EventWatcher(world), EventWatcher(world, events_pb2.WATCH_SUBJECT_EVENTS)
    async with watcher.watching(), quick.watching():
        await watcher.until(lambda: watcher.snapshots == 1)
        await quick.until(lambda: quick.alive > 0)
        await waits.wait()
        for name in THREE:  # each in a batch of its own
            seen = len(quick.events)
            await world.online(name)
            await quick.until(lambda seen=seen: len(quick.events) > seen)  # type: ignore[misc]
        gate.set()
        await watcher.until(lambda: watcher.snapshots == 2)
        await watcher.until(lambda: sum(agent.online for agent in watcher.agents.values()) == len(THREE))
        rollout = await world.roll(*THREE)
        await watcher.until(lambda: rollout in watcher.rollouts)
    assert max(taken) <= 1
    assert "too slow" in watcher.resyncs[0]


def test_too_many_things_are_as_much_as_too_many_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "MAX_THINGS", 3)
    box = inbox.Inbox(None)  # type: ignore[arg-type]  # nothing of it is asked here
    box.open()
    two = inbox.Batch(0, 2, [{}, {}], State())  # type: ignore[list-item]  # their number is all that counts
    box.put(two)
    assert asyncio.run(box.next(1)) is two
    box.put(two)
    box.put(two)
    with pytest.raises(inbox.TooSlowError):
        asyncio.run(box.next(1))


@pytest.mark.parametrize(
    "cursor",
    [b"x", b"[]", b'["events", "a", "b"]', b'["events", "a", "b", "-1"]', b'["agents", "a", "b", "1"]',
     b'["events", "a", "b", "1111111111111111111"]', b'["events", 1, "b", "1"]', b"[" * 3000, b"\xff" * 10],
)  # fmt: skip
async def test_a_cursor_that_was_never_given_out_is_an_error(world: World, cursor: bytes) -> None:
    watcher = EventWatcher(world)
    watcher.cursor = cursor
    async with watcher.watching():
        error: Any = await watcher.failed()
    assert error.code().name == "INVALID_ARGUMENT"
    assert "cursor" in error.details()


async def test_a_watcher_too_many_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleetroll_server.events.hub.MAX_WATCHERS", 1)
    one, two = EventWatcher(world), EventWatcher(world)
    async with one.watching():
        await one.until(lambda: one.snapshots == 1)
        async with two.watching():
            error: Any = await two.failed()
        assert error.code().name == "UNAVAILABLE"
    async with asyncio.timeout(10):
        while True:  # the one who left makes room
            async with two.watching():
                await asyncio.sleep(0.1)
            if two.snapshots:
                return


async def test_the_log_is_listed_by_subject_in_pages(world_on_each: World) -> None:
    world = world_on_each
    await world.online(*THREE)
    rollout = await world.roll(*THREE, waves=[1, 0])
    await world.update("host-1")
    stub: Any = events_pb2_grpc.EventsServiceStub(world.channel)
    all_of_it = (await world.call(stub.ListEvents, events_pb2.ListEventsRequest())).events
    assert [event.id for event in all_of_it] == [f"e{number}" for number in range(len(all_of_it), 0, -1)]
    agent = world.agent("host-1").disk.agent_id
    for field, value in (("rollout_id", rollout), ("agent_id", agent)):
        expected = [event for event in all_of_it if getattr(event, field) == value]
        found: list[Any] = []
        request = events_pb2.ListEventsRequest()
        setattr(request, field, value)
        request.page.size = 2
        while True:
            page = await world.call(stub.ListEvents, request)
            assert len(page.events) <= 2
            found += page.events
            request.page.cursor = page.next_cursor
            if not page.next_cursor:
                break
        assert found == expected
        assert len(found) > 3
