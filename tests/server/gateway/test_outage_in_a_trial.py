"""A trial in which the server goes away, over the wire: drained, or killed while it could store nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.stocks import NEW, OLD
from tests.faults.virtual_agent import RefusedError
from tests.faults.virtual_disk import code

if TYPE_CHECKING:
    from tests.faults.virtual_agent import VirtualAgent
    from tests.faults.worlds import World

LEASE_SECONDS = 300


async def go(world: World) -> tuple[str, VirtualAgent]:
    """Let the canary of two hosts have Go and restart into its trial."""
    await world.online("host-1", "host-2")
    rollout = await world.roll("host-1", "host-2", waves=[1, 0])
    agent = await world.staged("host-1")
    await agent.granted()
    await agent.report("applying", step="restart")
    return rollout, agent


async def back(world: World) -> None:
    """Let the canary's lease run out without a word of the server; it comes back with the old version and says so."""
    agent = world.agent("host-1")
    reports = _put_back(agent)
    await agent.connect()
    await agent.deliver(reports)
    agent.disk.attempt = None


def _put_back(agent: VirtualAgent) -> list[Any]:
    """Do what the launcher does at the end of the lease."""
    disk, facts = agent.disk, {"unproven": True, "code": code("LOST_CONTACT")}
    assert disk.attempt is not None
    if disk.on_trial:
        disk.version, disk.sha256, disk.on_trial = disk.previous, "", False
    reports = agent.journal("rolled_back", running_version=OLD, **facts)
    disk.attempt |= facts
    return reports


async def stop_for_the_lease(world: World) -> None:
    """Drain and stop the server in good order; its trial's lease passes before it is back."""
    await world.stop()
    world.clock.advance(LEASE_SECONDS)
    await world.start()
    world.readdress()


async def refuse_for_the_lease(world: World) -> None:
    """Let storage fail while hellos come and are refused."""
    agent = world.agent("host-1")
    async with world.broken_disk():
        for _ in range(3):
            with pytest.raises(RefusedError):
                await agent.greet(await agent.open())
            world.clock.advance(LEASE_SECONDS / 3)
    await world.engine.sweep()


@pytest.mark.parametrize("outage", [stop_for_the_lease, refuse_for_the_lease])
async def test_a_canary_that_found_no_server_is_offered_again_excused_and_the_rollout_completes(
    world: World, outage: Any
) -> None:
    rollout, agent = await go(world)
    await agent.goodbye()
    agent.switch(NEW, world.stock.digests[NEW])
    await outage(world)
    await back(world)
    assert await world.state(rollout) == "RUNNING"
    agent = world.agent("host-1")
    await agent.connect()
    assignment = await agent.expect("assignment")
    assert (assignment.version, assignment.generation, assignment.excused) == (NEW, 2, True)
    await agent.connect()
    await world.update("host-1")
    await world.online("host-2")
    await world.update("host-2")
    assert await world.state(rollout) == "COMPLETED"
    for scope in ("global", "fleet/", "rollout/"):
        assert await world.budget(scope) == (0, 0)


async def test_a_canary_that_found_no_server_although_it_was_there_counts_and_halts(world: World) -> None:
    rollout, agent = await go(world)
    await agent.goodbye()
    agent.switch(NEW, world.stock.digests[NEW])
    await world.watch(LEASE_SECONDS)
    await back(world)
    assert await world.states("host-1", "host-2") == ["rolled_back", "pending"]
    assert await world.state(rollout) == "HALTED"
    agent = world.agent("host-1")
    await agent.connect()
    assert await agent.waiting("assignment") == []
    await world.cancel(rollout)


async def test_a_hello_that_its_own_agent_spoils_closes_nothing(world: World) -> None:
    """Else whoever can reach the port could excuse every version."""
    agent = world.agent("host-1")
    with pytest.raises(RefusedError):
        await agent.greet(await agent.open(), signature=b"x" * 64)
    with pytest.raises(RefusedError):
        await agent.greet(await agent.open(agent_id="agent-nobody"), agent_id="agent-nobody")
    assert world.services.door.refusals == 0
