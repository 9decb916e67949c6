"""A host that checks in is online between its visits: waves wait for it, no policy judges it, until it misses one."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from fleetroll.v1 import rollouts_pb2
from fleetroll_server.domain.states import AttemptState
from tests.faults.virtual_disk import code
from tests.server.engine.test_presence import is_online, leaves, told

if TYPE_CHECKING:
    from tests.faults.virtual_agent import VirtualAgent
    from tests.faults.worlds import World

HOUR = 3600.0
"""The server's interval, which each welcome names; the hosts' own is not longer."""


async def visit(world: World, *names: str) -> list[VirtualAgent]:
    """Let hosts check in, and stay."""
    for name in names:
        world.agent(name).disk.check_in_seconds = 600
    return await world.online(*names)


async def visited(world: World, *names: str) -> None:
    """Let hosts have been there: they have said goodbye until their next check-in."""
    await visit(world, *names)
    for name in names:
        await leaves(world, name)


async def waits(world: World, name: str) -> tuple[str, str]:
    row = await world.host(name)
    return row["state"], row["waiting"]


async def test_it_is_online_for_two_of_its_intervals(world: World) -> None:
    await visited(world, "host-1")
    await world.sweep(2 * HOUR - 1)
    assert await is_online(world, "host-1")
    await visited(world, "host-1")
    await world.sweep(2 * HOUR - 1)
    assert await is_online(world, "host-1")
    assert await told(world) == ["online"]
    await world.sweep(1)
    assert not await is_online(world, "host-1")
    assert await told(world) == ["online", "offline"]


async def test_its_own_longer_interval_is_believed(world: World) -> None:
    world.agent("host-1").disk.check_in_seconds = 3 * HOUR
    await world.online("host-1")
    await leaves(world, "host-1")
    await world.sweep(6 * HOUR - 1)
    assert await is_online(world, "host-1")
    await world.sweep(1)
    assert not await is_online(world, "host-1")


@pytest.mark.parametrize("policy", ["WAIT", "SKIP", "FAIL"])
async def test_a_wave_waits_for_its_check_in_whatever_the_offline_policy(world: World, policy: str) -> None:
    value = rollouts_pb2.OfflinePolicy.Value(f"OFFLINE_POLICY_{policy}")
    await visited(world, "host-1")
    await world.online("host-2")
    rollout = await world.roll("host-1", "host-2", limits={"offline_policy": value})
    assert await waits(world, "host-1") == ("pending", "CHECK_IN")
    await world.update("host-2")
    await world.watch(100)
    shown = await world.show(rollout)
    assert (await world.state(rollout), shown.waiting_for) == ("RUNNING", "the next check-in of 1 host of wave 1")
    await world.sweep(HOUR)
    await visit(world, "host-1")
    await world.update("host-1")
    assert await world.state(rollout) == "COMPLETED"


@pytest.mark.parametrize(
    ("policy", "ends", "then"),
    [
        ("WAIT", ("pending", "HOST_OFFLINE"), "COMPLETED"),
        ("SKIP", ("skipped", ""), "COMPLETED"),
        ("FAIL", ("failed", ""), "HALTED"),
    ],
)
async def test_one_that_misses_its_check_in_is_offline_for_the_wave_too(
    world: World, policy: str, ends: tuple[str, str], then: str
) -> None:
    value = rollouts_pb2.OfflinePolicy.Value(f"OFFLINE_POLICY_{policy}")
    await visited(world, "host-1")
    await world.online("host-2")
    rollout = await world.roll("host-1", "host-2", limits={"offline_policy": value})
    await world.update("host-2")
    await world.sweep(2 * HOUR - 1)
    assert await world.state(rollout) == "RUNNING"
    await world.sweep(1)
    assert await waits(world, "host-1") == ends
    assert await world.state(rollout) == then


async def test_a_fleet_of_visitors_is_updated_one_visit_after_the_other(world: World) -> None:
    names = ("host-1", "host-2", "host-3")
    await visited(world, *names)
    rollout = await world.roll(*names, waves=[1, 0])
    for name in names:
        assert await world.state(rollout) == "RUNNING"
        await world.sweep(HOUR / 3)
        await visit(world, name)
        await world.update(name)
        await leaves(world, name)
    assert await world.state(rollout) == "COMPLETED"
    assert await world.states(*names) == ["succeeded"] * 3


async def test_what_it_said_it_waits_for_stands_between_its_visits(world: World) -> None:
    (agent,) = await visit(world, "host-1")
    rollout = await world.roll("host-1")
    await world.staged("host-1")
    await agent.report("staged", code=code("WINDOW"))
    await leaves(world, "host-1")
    assert await waits(world, "host-1") == ("staged", "WINDOW")
    await world.sweep(HOUR)
    assert await waits(world, "host-1") == ("staged", "WINDOW")
    await world.sweep(HOUR)
    assert await waits(world, "host-1") == ("staged", "HOST_OFFLINE")
    await world.cancel(rollout)


async def test_a_line_that_breaks_at_a_visit_costs_it_nothing(world: World) -> None:
    (agent,) = await visit(world, "host-1")
    rollout = await world.roll("host-1")
    await agent.take()
    await agent.report("downloading")
    await world.drop("host-1")
    assert await waits(world, "host-1") == ("downloading", "CHECK_IN")
    await world.watch(120)
    await agent.connect()
    assert await waits(world, "host-1") == ("downloading", "")
    await world.cancel(rollout)


async def test_a_permit_of_a_host_that_is_gone_is_lost_all_the_same(world: World) -> None:
    (agent,) = await visit(world, "host-1")
    rollout = await world.roll("host-1")
    await world.staged("host-1")
    await agent.granted()
    await world.drop("host-1")
    await world.watch(90)
    assert await world.states("host-1") == ["lost"]
    world.left_over[f"rollout/{rollout}"] = world.left_over["fleet"] = world.left_over["global"] = (0, 1)


async def test_its_silence_after_a_success_is_bad_once_it_misses_a_check_in(world: World) -> None:
    (agent,) = await visit(world, "host-1")
    await world.online("host-2")
    rollout = await world.roll("host-1", "host-2", limits={"max_concurrent": 2})
    await world.update("host-1")
    await leaves(world, "host-1")
    await world.staged("host-2")
    await world.sweep(2 * HOUR - 1)
    assert await world.states("host-1") == ["succeeded"]
    await world.watch(65)
    assert await world.states("host-1") == ["lost"]
    assert await world.state(rollout) == "HALTED"
    world.left_over[f"rollout/{rollout}"] = world.left_over["fleet"] = world.left_over["global"] = (0, 1)
    await agent.connect()
    assert await world.states("host-1") == [AttemptState.SUCCEEDED.value]
    world.left_over.clear()


async def test_visits_that_no_server_could_take_are_not_missed(world: World) -> None:
    await visited(world, "host-1")
    await world.stop()
    world.clock.advance(3 * HOUR)
    await world.start()
    world.readdress()
    await world.watch(300)
    assert await is_online(world, "host-1")
    assert await told(world) == ["online"]
    await world.watch(300)
    assert await told(world) == ["online", "offline"]


async def test_a_late_host_comes_to_its_turn_at_its_next_visit(world: World) -> None:
    await visited(world, "host-1")
    await world.online("host-2")
    rollout = await world.roll("host-1", "host-2")
    await world.update("host-2")
    await world.sweep(2 * HOUR)
    assert await world.state(rollout) == "COMPLETED"
    await visited(world, "host-1")
    (agent,) = await visit(world, "host-1")
    await agent.goodbye()
    agent.disk.attempt = None
    await world.drop("host-1")
    assert await waits(world, "host-1") == ("pending", "CHECK_IN")
    assert "1 late host away or held" in (await world.show(rollout)).waiting_for
    await visit(world, "host-1")
    await world.update("host-1")
    assert await world.states("host-1") == ["succeeded"]


async def test_a_check_in_is_asked_for_when_the_host_can_go_on(world: World) -> None:
    (agent,) = await visit(world, "host-1")
    rollout = await world.roll("host-1")
    await world.staged("host-1")
    (report,) = agent.journal("staged", code=code("WINDOW"))
    report.retry_at.FromDatetime(world.clock.now() + timedelta(seconds=1000))
    await agent.deliver([report])
    await leaves(world, "host-1")
    world.clock.advance(300)
    welcome = await agent.connect()
    assert welcome.next_check_in.ToTimedelta() == timedelta(seconds=700)
    await world.cancel(rollout)
