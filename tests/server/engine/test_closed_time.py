"""Time in which no hello is accepted is no host's silence, whatever closed the door: storage, a crowd, a drain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from google.protobuf.duration_pb2 import Duration

from tests.faults.stocks import NEW

if TYPE_CHECKING:
    from tests.faults.worlds import World


async def applying(world: World, *names: str) -> str:
    """Start a rollout and let its hosts say that they apply within 100 s: 130 s with the way of the word."""
    await world.online(*names)
    rollout = await world.roll(*names, limits={"max_concurrent": len(names)})
    for name in names:
        agent = await world.staged(name)
        await agent.granted()
        await agent.report("applying", step="restart", time_limit=Duration(seconds=100))
    return rollout


async def end(world: World, rollout: str, *names: str) -> None:
    """Let every host come home."""
    for name in names:
        await world.agent(name).connect()
        await world.agent(name).report("cancelled")
    await world.cancel(rollout)


async def refuse_for(world: World, seconds: int) -> None:
    """Let time pass in which the server sweeps, and refuses hellos."""
    for _ in range(seconds // 5):
        world.clock.advance(5)
        world.services.door.refuse()
        await world.engine.sweep()


@pytest.mark.parametrize("why", ["refused", "gap"])
async def test_a_deadline_moves_by_the_closed_time_alone(world: World, why: str) -> None:
    rollout = await applying(world, "host-1")
    await world.watch(60)
    if why == "refused":
        await refuse_for(world, 600)
    else:
        world.clock.advance(600)
        await world.engine.sweep()
    assert await world.states("host-1") == ["applying"]
    await world.watch(65)
    assert await world.states("host-1") == ["applying"], "60 s before it and 65 s after it are 125 of 130"
    await world.watch(10)
    assert await world.states("host-1") == ["lost"]
    await end(world, rollout, "host-1")


async def test_a_word_after_the_closed_time_has_its_own_time_and_no_more(world: World) -> None:
    """A host may speak again before the tick that finds the gap."""
    rollout = await applying(world, "host-1")
    world.clock.advance(3600)
    await world.agent("host-1").report("applying", step="restart", time_limit=Duration(seconds=100))
    await world.engine.sweep()
    await world.watch(125)
    assert await world.states("host-1") == ["applying"]
    await world.watch(10)
    assert await world.states("host-1") == ["lost"]
    await end(world, rollout, "host-1")


async def test_an_offer_that_could_not_be_answered_for_failing_storage_did_not_fail(world: World) -> None:
    (agent,) = await world.online("host-1")
    rollout = await world.roll("host-1")
    await agent.take()
    async with world.broken_disk():
        world.clock.advance(60)
    await world.engine.sweep()
    assert await world.states("host-1") == ["offered"]
    await world.watch(35)
    row = await world.host("host-1")
    assert (row["state"], row["code"]) == ("failed", "DISPATCH_FAILED")
    await world.cancel(rollout)


async def test_a_host_that_succeeded_and_left_is_silent_only_while_it_could_speak(world: World) -> None:
    await world.online("host-1", "host-2")
    rollout = await world.roll("host-1", "host-2", limits={"bake": 3600, "max_concurrent": 2})
    await world.staged("host-2")
    await world.update("host-1")
    await world.drop("host-1")
    await world.watch(50)
    await refuse_for(world, 300)
    await world.watch(50)
    assert await world.states("host-1") == ["succeeded"], "a whole minute after it"
    await world.watch(15)
    assert await world.states("host-1") == ["lost"]
    await world.agent("host-1").connect()
    await world.cancel(rollout)


async def test_no_wave_passes_without_a_host_that_is_refused(world: World) -> None:
    """Its minute does not run while it can't come back, and a word of another host does not change that."""
    await world.online("host-1", "host-2")
    rollout = await world.roll("host-1", "host-2", limits={"max_concurrent": 2})
    await world.staged("host-2")
    await world.drop("host-2")
    await refuse_for(world, 300)
    await world.update("host-1")
    assert await world.state(rollout) == "RUNNING"
    await world.watch(55)
    assert await world.state(rollout) == "RUNNING"
    await world.watch(10)
    assert await world.state(rollout) == "COMPLETED"


async def test_a_bake_does_not_grow_while_hosts_are_refused(world: World) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1", limits={"bake": 60})
    await world.update("host-1")
    await world.watch(30)
    await refuse_for(world, 300)
    assert await world.waves(rollout) == ["BAKING"]
    await world.watch(40)
    assert await world.state(rollout) == "COMPLETED"


async def test_a_server_that_drains_lets_no_deadline_speak(world: World) -> None:
    rollout = await applying(world, "host-1")
    world.services.door.shut()
    await world.sweep(3600)
    assert await world.states("host-1") == ["applying"]
    await world.restart()
    world.clock.advance(3600)
    agent = world.agent("host-1")
    agent.switch(NEW, world.stock.digests[NEW])
    await agent.connect()
    await agent.expect("promote")
    await agent.commit()
    assert await world.state(rollout) == "COMPLETED"
