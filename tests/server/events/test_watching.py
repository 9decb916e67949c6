"""What a watcher knows by watching alone is what the server says when it is asked: after a start, a cut, a restart."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from fleetroll.v1 import agents_pb2, events_pb2, rollouts_pb2, types_pb2
from fleetroll_server.events import log
from fleetroll_server.rpc.convert_events import event_to_wire
from fleetroll_server.store.fleets import every_fleet
from tests.faults.event_watcher import ALL, EventWatcher
from tests.faults.virtual_disk import code

if TYPE_CHECKING:
    from tests.faults.worlds import World

SIX = tuple(f"host-{number}" for number in range(1, 7))
MEMBERS = (events_pb2.WATCH_SUBJECT_ROLLOUT_HOSTS,)


async def logged(world: World) -> list[events_pb2.Event]:
    """Return the whole log as it is served, read from the table."""
    query = every_fleet(sa.select(log.EVENT).order_by(log.EVENT.c.sequence), "a test compares")
    async with world.services.store.read() as connection:
        return [event_to_wire(row) for row in (await connection.execute(query)).mappings()]


async def said(world: World) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return hosts and rollouts as the server shows them to who asks."""
    hosts = await world.call(world.hosts_stub.ListAgents, agents_pb2.ListAgentsRequest(include_revoked=True))
    rollouts = await world.call(world.rollouts.ListRollouts, rollouts_pb2.ListRolloutsRequest())
    return {each.id: each for each in hosts.agents}, {each.id: each for each in rollouts.rollouts}


async def agrees(watcher: EventWatcher, world: World, *, since: int = 0) -> None:
    """Wait until the watcher has seen all, and compare: each event once, each thing as it stands."""
    log_now = await logged(world)
    await watcher.until(lambda: bool(watcher.events) and watcher.events[-1] == log_now[-1])
    assert watcher.events == log_now[since:]
    hosts, rollouts = await said(world)
    for host in (*hosts.values(), *watcher.agents.values()):
        host.ClearField("last_seen_at")  # written in bulk, without an event
        for product in host.products:
            product.last_attempt.output_tail = ""  # for who asks
    assert watcher.agents == hosts
    await watcher.until(lambda: watcher.rollouts == rollouts)


async def a_rollout_that_halts(world: World) -> str:
    rollout = await world.roll(*SIX, waves=[1, 3, 0], limits={"max_concurrent": 2})
    await world.update("host-1")
    await world.update("host-3")
    await world.fail("host-2", code=code("START_FAILED"), message="exit 1")
    return rollout


async def test_a_snapshot_and_what_follows_is_what_stands(world_on_each: World) -> None:
    world = world_on_each
    before = len(await logged(world))
    watcher = EventWatcher(world)
    async with watcher.watching():
        await watcher.until(lambda: watcher.snapshots == 1)
        assert len(watcher.agents) == len((await said(world))[0])
        assert not any(agent.online for agent in watcher.agents.values())
        await world.online(*SIX)
        rollout = await a_rollout_that_halts(world)
        await agrees(watcher, world, since=before)
    assert rollouts_pb2.RolloutState.Name(watcher.rollouts[rollout].state) == "ROLLOUT_STATE_HALTED"
    by_name = {agent.name: agent for agent in watcher.agents.values()}
    (product,) = by_name["host-2"].products
    assert product.update_state == types_pb2.ATTEMPT_STATE_ROLLED_BACK
    assert product.last_attempt.message == "exit 1"
    assert (watcher.snapshots, watcher.resyncs) == (1, [])
    world.left_over[f"rollout/{rollout}"] = (0, 1)  # it is halted, with a host that went bad


async def test_hosts_of_the_rollout_that_is_watched_are_what_stands(world_on_each: World) -> None:
    world = world_on_each
    await world.online(*SIX)
    other = await world.roll("host-7")
    rollout = await world.roll(*SIX, waves=[1, 0])
    watcher = EventWatcher(world, *MEMBERS, *ALL[:2], rollout_id=rollout)
    async with watcher.watching():
        await world.update("host-1")
        await world.drop("host-5")
        await world.sweep(60)
        request = rollouts_pb2.ListRolloutHostsRequest(rollout_id=rollout)

        async def shown() -> dict[str, Any]:
            answer = await world.call(world.rollouts.ListRolloutHosts, request)
            return {host.agent_id: host for host in answer.hosts}

        expected = await shown()
        assert sum(not host.online for host in expected.values()) == 1
        await watcher.until(lambda: watcher.members == expected)
    assert list(watcher.rollouts) == [rollout]
    assert other not in {event.rollout_id for event in watcher.events}


async def test_a_watcher_that_is_cut_off_goes_on_where_it_was(world_on_each: World) -> None:
    world = world_on_each
    watcher = EventWatcher(world)
    before = len(await logged(world))
    async with watcher.watching():
        await watcher.until(lambda: watcher.snapshots == 1)
        await world.online(*SIX[:3])
    await world.online(*SIX[3:])
    rollout = await world.roll(*SIX, waves=[1, 0])
    async with watcher.watching():
        await watcher.until(lambda: rollout in watcher.rollouts)
    await world.update("host-1")
    async with watcher.watching():
        await agrees(watcher, world, since=before)
    assert (watcher.snapshots, watcher.resyncs) == (1, [])


async def test_a_server_that_comes_back_is_gone_on_with(world: World) -> None:
    await world.online(*SIX)
    watcher = EventWatcher(world)
    before = len(await logged(world))
    async with watcher.watching():
        rollout = await world.roll(*SIX, waves=[1, 0])
        await watcher.until(lambda: rollout in watcher.rollouts)
        await world.crash()
        await watcher.failed()
    async with watcher.watching():
        await world.online(*SIX)
        await world.update("host-1")
        await agrees(watcher, world, since=before)
    assert (watcher.snapshots, watcher.resyncs) == (1, [])
    assert sum(agent.online for agent in watcher.agents.values()) == len(SIX)


async def test_hosts_of_a_server_that_died_are_offline_for_watchers_too(world: World) -> None:
    await world.online(*SIX)
    watcher = EventWatcher(world)
    async with watcher.watching():
        await watcher.until(lambda: sum(agent.online for agent in watcher.agents.values()) == len(SIX))
        await world.crash()
        await watcher.failed()
    async with watcher.watching():
        await world.sweep(60)
        await watcher.until(lambda: not any(agent.online for agent in watcher.agents.values()))
    assert watcher.snapshots == 1


async def test_a_quiet_server_says_that_it_is_there(world: World) -> None:
    watcher = EventWatcher(world)
    async with watcher.watching():
        await watcher.until(lambda: watcher.alive >= 2)
    assert watcher.events == []


async def test_whom_nothing_of_what_happens_concerns_hears_that_the_server_is_there(world: World) -> None:
    """Others' news must not drown the sign of life: a client takes its silence for a dead line."""
    await world.online(*SIX)
    rollout = await world.roll(*SIX, waves=[1, 0])
    watcher = EventWatcher(world, *MEMBERS, rollout_id=rollout)
    busy = EventWatcher(world)
    async with watcher.watching(), busy.watching():
        await watcher.until(lambda: watcher.snapshots == 1)
        cursor, alive = watcher.cursor, watcher.alive

        async def happens() -> None:
            while True:
                await world.press()
                await world.lift()
                await asyncio.sleep(0.1)

        task = asyncio.create_task(happens())
        try:
            await watcher.until(lambda: watcher.alive >= alive + 2, seconds=8)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert len(busy.events) > 8, "something happened all the time"
        assert watcher.cursor != cursor, "who breaks off now need not read all that again"


async def test_a_server_that_can_not_read_its_log_does_not_say_that_nothing_happens(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    watcher = EventWatcher(world)
    async with watcher.watching():
        await watcher.until(lambda: watcher.alive >= 1)

        async def fails(*_: object) -> Any:
            raise OSError("the disk is gone")

        monkeypatch.setattr(log, "after", fails)
        with pytest.raises(TimeoutError):
            await watcher.until(lambda: watcher.alive >= 6, seconds=6)


async def test_both_servers_of_a_database_tell_of_both(worlds: list[World]) -> None:
    one, two = worlds
    before = len(await logged(one))
    watcher = EventWatcher(two)
    async with watcher.watching():
        await watcher.until(lambda: watcher.snapshots == 1)
        await one.online(*SIX[:3])
        await two.online(*SIX[3:])
        await one.roll(*SIX, waves=[1, 0])
        await one.update("host-1")
        await agrees(watcher, two, since=before)
    assert watcher.snapshots == 1


async def test_a_kill_switch_is_told(world: World) -> None:
    watcher = EventWatcher(world)
    async with watcher.watching():
        pressed = await world.press()
        await watcher.until(lambda: pressed.scope in watcher.switches)
        assert watcher.switches[pressed.scope] == pressed
        await world.lift()
        await watcher.until(lambda: not watcher.switches[pressed.scope].active)
