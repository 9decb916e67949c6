"""From what stands to what comes: nothing is lost between the two and nothing comes twice, however slow the line is."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll.v1 import events_pb2
from fleetroll_server.events import held, hub, inbox, log, standing
from fleetroll_server.rpc import watching
from tests.faults.event_watcher import EventWatcher
from tests.server.events.test_rights import another_fleet, token
from tests.server.events.test_sizes import emit, ids_of
from tests.server.events.test_watching import agrees, logged

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from tests.faults.worlds import World

EVENTS, AGENTS = events_pb2.WATCH_SUBJECT_EVENTS, events_pb2.WATCH_SUBJECT_AGENTS
THREE = ("host-1", "host-2", "host-3")
PAGE = 1
"""Hosts, so that a snapshot has many pages."""


class Gate:
    """Holds whoever comes until it is opened."""

    def __init__(self) -> None:
        self.reached, self.opened = asyncio.Event(), asyncio.Event()

    async def passing(self) -> None:
        self.reached.set()
        await self.opened.wait()

    async def is_reached(self) -> None:
        async with asyncio.timeout(10):
            await self.reached.wait()


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Gate]]:
    """Let a watcher's line stand still before its next message of a kind; returns the gate that ends this."""
    message, gates = watching.Watch.run, dict[str, Gate]()

    async def run(self: watching.Watch, cursor: bytes) -> AsyncIterator[Any]:
        async for each in message(self, cursor):
            gate = gates.pop(str(each.WhichOneof("message")), None)
            if gate is not None:
                await gate.passing()
            yield each

    monkeypatch.setattr(watching.Watch, "run", run)

    def make(kind: str) -> Gate:
        gates[kind] = Gate()
        return gates[kind]

    yield make
    for gate in gates.values():
        gate.opened.set()


async def has_all(watcher: EventWatcher, world: World) -> None:
    newest = (await logged(world))[-1]
    await watcher.until(lambda: watcher.events[-1:] == [newest])


async def one_by_one(world: World, watcher: EventWatcher) -> None:
    """Connect hosts, each in a batch of its own, as a watcher sees it."""
    for name in THREE:
        await world.online(name)
        await has_all(watcher, world)


async def test_what_happens_while_what_stands_is_sent_comes_after_it(
    world_on_each: World, slow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = world_on_each
    monkeypatch.setattr(inbox, "MAX_BATCHES", 2)
    monkeypatch.setattr(standing, "PAGE_HOSTS", PAGE)
    monkeypatch.setattr(standing, "CATCH_UP_EVENTS", 7)
    other, watcher, gate = EventWatcher(world), EventWatcher(world), slow("snapshot")
    before = len(await logged(world))
    async with watcher.watching():
        await gate.is_reached()
        async with other.watching():  # whoever follows all along has the hub look
            await other.until(lambda: other.snapshots == 1)
            await one_by_one(world, other)
            await world.roll(*THREE)
            await world.update("host-1")
            await emit(world, 30, await ids_of(world), message="long ago")
            await has_all(other, world)
        gate.opened.set()
        await agrees(watcher, world, since=before)
        await world.update("host-2")
        await agrees(watcher, world, since=before)
    assert (watcher.snapshots, watcher.resyncs) == (1, [])


async def test_what_changes_without_an_event_while_what_stands_is_sent_comes_after_it(world: World, slow: Any) -> None:
    await world.online("host-1", "host-2")
    rollout = await world.roll("host-1", "host-2", waves=[1, 0], limits={"bake": 600})
    await world.update("host-1")
    other, watcher = EventWatcher(world), EventWatcher(world)

    def baked(who: EventWatcher) -> int:
        return who.rollouts[rollout].waves[0].baked.seconds if rollout in who.rollouts else 0

    async with other.watching():
        await other.until(lambda: rollout in other.rollouts)
        await world.watch(10)  # time counts from one sweep to the next
        await other.until(lambda: baked(other) > 0)
        first = baked(other)
        gate = slow("snapshot")
        async with watcher.watching():
            await gate.is_reached()
            events = len(await logged(world))
            await world.sweep(5)
            assert len(await logged(world)) == events
            await other.until(lambda: baked(other) > first)
            gate.opened.set()
            await watcher.until(lambda: baked(watcher) == baked(other))
    assert (watcher.snapshots, watcher.resyncs) == (1, [])


async def test_what_happens_while_it_catches_up_comes_after_it(
    world: World, slow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "MAX_BATCHES", 2)
    monkeypatch.setattr(standing, "CATCH_UP_EVENTS", 7)
    other, watcher = EventWatcher(world), EventWatcher(world)
    before = len(await logged(world))
    async with watcher.watching(), other.watching():
        await watcher.until(lambda: watcher.snapshots == 1)
        await other.until(lambda: other.snapshots == 1)
    await emit(world, 30, await ids_of(world), message="while it was away")
    gate = slow("changes")
    async with watcher.watching():
        await gate.is_reached()
        async with other.watching():
            await one_by_one(world, other)
            await emit(world, 30, await ids_of(world), message="while it caught up")
            await has_all(other, world)
        gate.opened.set()
        await agrees(watcher, world, since=before)
    assert (watcher.snapshots, watcher.resyncs) == (1, [])


async def test_what_is_committed_around_the_moment_of_following_comes_once(
    world_on_each: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, follow, followed, armed = world_on_each, hub.Hub.follow, Gate(), False
    other, watcher = EventWatcher(world), EventWatcher(world)

    async def between(self: hub.Hub, box: inbox.Inbox) -> None:
        if not armed:
            return await follow(self, box)
        await world.online("host-1")
        await has_all(other, world)
        await follow(self, box)
        await world.online("host-2")
        await has_all(other, world)
        return followed.reached.set()

    monkeypatch.setattr(hub.Hub, "follow", between)
    before = len(await logged(world))
    async with other.watching():
        await other.until(lambda: other.alive > 0)
        armed = True
        async with watcher.watching():
            await followed.is_reached()
            await agrees(watcher, world, since=before)
            await world.online("host-3")
            await agrees(watcher, world, since=before)
    assert (watcher.snapshots, watcher.resyncs) == (1, [])


async def test_who_falls_too_far_behind_while_what_stands_is_sent_is_told_so(
    world: World, slow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "MAX_BEHIND", 10)
    watcher, gate = EventWatcher(world), slow("snapshot")
    async with watcher.watching():
        await gate.is_reached()
        await emit(world, 11, message="m")
        gate.opened.set()
        await watcher.until(lambda: watcher.snapshots == 2)
        await world.online("host-1")
        agent = world.agent("host-1").disk.agent_id
        await watcher.until(lambda: watcher.agents[agent].online)
    assert [reason for reason in watcher.resyncs if "behind" in reason] == watcher.resyncs != []


async def test_who_joins_while_the_log_is_being_read_misses_nothing(
    world_on_each: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, gate, after = world_on_each, Gate(), log.after
    armed = False

    async def gated(connection: Any, sequence: int, limit: int) -> Any:
        if armed and limit == hub.MAX_EVENTS:
            await gate.passing()
        return await after(connection, sequence, limit)

    monkeypatch.setattr(log, "after", gated)
    monkeypatch.setattr(hub.Hub, "is_looking", property(lambda _: True))
    agent = world.agent("host-1").disk.agent_id
    one, two = EventWatcher(world, EVENTS), EventWatcher(world, AGENTS)
    async with one.watching():
        await one.until(lambda: one.snapshots == 1)
        armed = True
        await gate.is_reached()
        async with two.watching():
            await two.until(lambda: two.alive > 0)  # it has all that stood, and waits for what comes
            await world.online("host-1")
            gate.opened.set()
            await two.until(lambda: two.agents[agent].online)


async def test_who_leaves_while_what_stands_is_sent_makes_room_for_the_next(
    world: World, slow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held, "WAIT_SECONDS", 5.0)
    monkeypatch.setattr(standing, "PAGE_HOSTS", PAGE)
    for _ in range(held.HELD_AT_ONCE):
        gate = slow("snapshot")
        async with EventWatcher(world, AGENTS).watching():
            await gate.is_reached()
    last = EventWatcher(world, AGENTS)
    async with last.watching():
        await last.until(lambda: last.snapshots == 1)
    assert len(last.messages) > len(THREE)


async def test_a_watch_of_all_fleets_learns_of_a_new_one(world: World) -> None:
    _, secret = await token(world, fleet_ids=["default"])
    everything, one, bound = (
        EventWatcher(world),
        EventWatcher(world, fleet_id="default"),
        EventWatcher(world, token=secret),
    )
    async with everything.watching(), one.watching(), bound.watching():
        await everything.until(lambda: everything.snapshots == 1)
        await another_fleet(world)
        await everything.until(lambda: everything.snapshots == 2)
        pressed = await world.press("other")
        await everything.until(lambda: everything.switches.get(pressed.scope) == pressed)
        for narrow in (one, bound):
            alive = narrow.alive
            await narrow.until(lambda narrow=narrow, alive=alive: narrow.alive > alive + 1)  # type: ignore[misc]
            assert (narrow.snapshots, narrow.resyncs, narrow.switches) == (1, [], {})
    assert "fleets" in everything.resyncs[0]
    await world.lift("other")
    async with everything.watching():
        await everything.until(lambda: not everything.switches[pressed.scope].active)
    assert everything.snapshots == 2, "the cursor is one of all fleets"
