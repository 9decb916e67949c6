"""What a host says of an attempt that was excused, once more or late: it moves nothing while the host is queued."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from fleetroll.v1 import agents_pb2, types_pb2
from tests.faults.stocks import NEW, OLD
from tests.faults.virtual_disk import code

if TYPE_CHECKING:
    from fleetroll.v1 import agent_stream_pb2 as stream_pb2
    from tests.faults.virtual_agent import VirtualAgent
    from tests.faults.worlds import World

BACK: dict[str, Any] = {"unproven": True, "code": code("LOST_CONTACT"), "message": "no contact within the lease"}
RESTARTED: dict[str, Any] = {"unproven": True, "code": code("STEP_FAILED"), "message": "started anew"}


async def applying(world: World) -> tuple[str, VirtualAgent]:
    """Let the canary of two hosts apply, and pause its rollout: whoever is queued again stays queued."""
    await world.online("host-1", "host-2")
    rollout = await world.roll("host-1", "host-2", waves=[1, 0])
    agent = await world.staged("host-1")
    await agent.granted()
    await agent.report("applying", step="self_test")
    await agent.cut()
    await world.pause(rollout)
    return rollout, agent


def back_from_a_trial(agent: VirtualAgent) -> list[stream_pb2.Report]:
    """Let a trial that its server did not hear of end in an outage; its whole story waits in the journal."""
    disk = agent.disk
    assert disk.attempt is not None
    agent.switch(NEW, agent.disk.sha256)
    reports = agent.journal("trial", running_version=NEW)
    disk.version, disk.sha256, disk.on_trial = disk.previous, "", False
    reports += agent.journal("rolled_back", running_version=OLD, **BACK)
    disk.attempt |= BACK
    return reports


async def is_queued(world: World, rollout: str) -> None:
    """Nothing is held against the host, and nobody is alarmed."""
    assert await world.states("host-1") == ["pending"]
    assert await world.state(rollout) == "PAUSED"
    assert (await world.show(rollout)).waves[0].bad == 0
    assert await world.budget("rollout/") == (0, 0)
    assert await world.events("alert.go_without_grant") == []


async def goes_on(world: World, rollout: str) -> None:
    """The rollout offers it again, and completes."""
    await world.resume(rollout)
    agent = world.agent("host-1")
    await agent.connect()
    await world.update("host-1")
    await world.agent("host-2").connect()
    await world.update("host-2")
    assert await world.state(rollout) == "COMPLETED"


async def test_a_journal_that_comes_after_its_hello_tells_the_story_of_an_attempt_that_is_over(world: World) -> None:
    rollout, agent = await applying(world)
    reports = back_from_a_trial(agent)
    world.clock.advance(60)
    await world.engine.sweep()
    await agent.connect()
    await is_queued(world, rollout)
    await agent.deliver(reports)
    agent.disk.attempt = None
    await is_queued(world, rollout)
    await goes_on(world, rollout)


async def test_a_hello_that_repeats_a_start_anew_counts_it_no_second_time(world: World) -> None:
    rollout, agent = await applying(world)
    reports = agent.journal("failed", **RESTARTED)
    assert agent.disk.attempt is not None
    agent.disk.attempt |= RESTARTED
    await agent.connect()
    await is_queued(world, rollout)
    await agent.connect()
    await is_queued(world, rollout)
    await agent.deliver(reports)
    agent.disk.attempt = None
    await is_queued(world, rollout)
    await goes_on(world, rollout)


async def earlier(world: World) -> types_pb2.Attempt:
    """Return what `agents show` tells of the newest attempt of host-1 that ended."""
    answer = await world.call(world.hosts_stub.ListAgents, agents_pb2.ListAgentsRequest())
    (product,) = next(agent.products for agent in answer.agents if agent.name == "host-1")
    told: types_pb2.Attempt = product.last_attempt
    return told


async def test_the_history_says_that_it_was_excused_and_why_and_when_it_had_go(world: World) -> None:
    rollout, agent = await applying(world)
    reports = back_from_a_trial(agent)
    world.clock.advance(60)
    await world.engine.sweep()
    await agent.connect()
    await agent.deliver(reports)
    agent.disk.attempt = None
    await world.resume(rollout)
    await agent.take()
    told = await earlier(world)
    assert (told.id[-2:], told.state) == ("/1", types_pb2.ATTEMPT_STATE_EXCUSED)
    assert (told.code, told.message.startswith("not counted")) == (code("LOST_CONTACT"), True)
    assert told.HasField("granted_at")
    await world.cancel(rollout)


async def test_the_history_calls_an_attempt_that_was_killed_by_no_such_name(world: World) -> None:
    rollout, agent = await applying(world)
    await agent.connect()
    await agent.report("cancelled", code=code("KILLED"))
    await is_queued(world, rollout)
    await world.resume(rollout)
    await agent.take()
    assert (await earlier(world)).state == types_pb2.ATTEMPT_STATE_PENDING
    await world.cancel(rollout)


@pytest.mark.parametrize("said", ["downloading", "failed"])
async def test_a_queued_host_that_has_taken_its_next_offer_is_believed(world: World, said: str) -> None:
    """Its offer was withdrawn when the line broke: that generation is no excused one."""
    rollout, agent = await applying(world)
    reports = back_from_a_trial(agent)
    world.clock.advance(60)
    await world.engine.sweep()
    await agent.connect()
    await agent.deliver(reports)
    agent.disk.attempt = None
    await world.resume(rollout)
    assert (await agent.take()).generation == 2
    await world.drop("host-1")
    assert await world.states("host-1") == ["pending"]
    words = agent.journal(said, unproven=said == "failed")
    await agent.connect()
    await agent.deliver(words)
    assert await world.states("host-1") == [said]
    await world.cancel(rollout)
