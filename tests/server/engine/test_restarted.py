"""A host that was started anew between its permit and the switch has changed nothing: once, that counts for nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.faults.virtual_disk import code

if TYPE_CHECKING:
    from tests.faults.virtual_agent import VirtualAgent
    from tests.faults.worlds import World


async def restarted(world: World, *, unproven: bool = True) -> VirtualAgent:
    """Let host-1 get Go and end before its launcher armed the trial."""
    agent = await world.staged("host-1")
    await agent.granted()
    await agent.report("applying", step="self_test")
    await agent.cut()
    facts = {"unproven": unproven, "code": code("STEP_FAILED"), "message": "started anew"}
    reports = agent.journal("failed", **facts)
    assert agent.disk.attempt is not None
    agent.disk.attempt |= facts
    await agent.connect()
    await agent.deliver(reports)
    agent.disk.attempt = None
    return agent


async def test_it_is_offered_again_and_the_rollout_goes_on(world: World) -> None:
    await world.online("host-1", "host-2")
    rollout = await world.roll("host-1", "host-2", waves=[1, 0])
    agent = await restarted(world)
    assert await world.state(rollout) == "RUNNING"
    assert (await world.show(rollout)).waves[0].bad == 0
    assignment = await agent.expect("assignment")
    assert (assignment.generation, assignment.excused) == (2, False)
    await agent.connect()
    await world.update("host-1")
    await world.update("host-2")
    assert await world.state(rollout) == "COMPLETED"
    assert await world.budget("global") == (0, 0)


async def test_the_second_time_counts(world: World) -> None:
    await world.online("host-1", "host-2")
    rollout = await world.roll("host-1", "host-2", waves=[1, 0])
    await restarted(world)
    await restarted(world)
    assert await world.states("host-1") == ["failed"]
    assert await world.state(rollout) == "HALTED"
    await world.cancel(rollout)


async def test_a_self_test_that_failed_counts_at_once(world: World) -> None:
    await world.online("host-1", "host-2")
    rollout = await world.roll("host-1", "host-2", waves=[1, 0])
    await restarted(world, unproven=False)
    assert await world.states("host-1") == ["failed"]
    assert await world.state(rollout) == "HALTED"
    await world.cancel(rollout)
