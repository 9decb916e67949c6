"""A version is not blamed for a server that could not be reached: its host is offered it again, and told so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_server.domain.excuses import MAX_EXCUSES
from fleetroll_server.store.tables import AssignmentRow, ReportRow
from tests.faults.stocks import NEW, OLD
from tests.faults.virtual_disk import code

if TYPE_CHECKING:
    from fleetroll.v1 import agent_stream_pb2 as stream_pb2
    from tests.faults.virtual_agent import VirtualAgent
    from tests.faults.worlds import World


@pytest.fixture
async def world(world_on_each: World) -> World:
    """A running server, once on each kind of database."""
    return world_on_each


UNPROVEN: dict[str, Any] = {"unproven": True, "code": code("LOST_CONTACT"), "message": "no contact within the lease"}


async def on_trial(world: World, name: str = "host-1") -> VirtualAgent:
    """Let a host begin a trial that its server does not hear of."""
    agent = await world.staged(name)
    await agent.granted()
    await agent.report("applying", step="restart")
    await agent.cut()
    agent.switch(NEW, world.stock.digests[NEW])
    return agent


def go_back(agent: VirtualAgent, **facts: Any) -> list[stream_pb2.Report]:
    """Let the launcher put the old version back; the report waits in the journal, a hello shows the result."""
    disk = agent.disk
    assert disk.attempt is not None
    disk.version, disk.sha256, disk.on_trial = disk.previous, "", False
    reports = agent.journal("rolled_back", running_version=OLD, **{**UNPROVEN, **facts})
    disk.attempt |= {**UNPROVEN, **facts}
    return reports


async def come_home(agent: VirtualAgent, reports: list[stream_pb2.Report]) -> None:
    """Say hello, deliver what waits, forget the attempt."""
    await agent.connect()
    await agent.deliver(reports)
    agent.disk.attempt = None


async def gap(world: World, seconds: float = 60) -> None:
    """Nobody is heard for a while."""
    world.clock.advance(seconds)
    await world.engine.sweep()


async def owed(world: World, name: str = "host-1") -> tuple[bool, str]:
    """Return whether the host's assignment is excused, and what is owed to it."""
    (row,) = await world.rows(AssignmentRow, agent_id=world.agent(name).disk.agent_id)
    return row["excused"], row["excuse_owed"]


async def test_a_way_back_in_an_outage_is_offered_again_with_its_excuse(world: World) -> None:
    await world.online("host-1", "host-2")
    rollout = await world.roll("host-1", "host-2", waves=[1, 0])
    agent = await on_trial(world)
    assert not agent.disk.attempt["generation"] > 1  # type: ignore[index]
    await gap(world)
    await come_home(agent, go_back(agent))
    assert await world.state(rollout) == "RUNNING"
    shown = (await world.show(rollout)).waves[0]
    assert (shown.bad, shown.attempted) == (0, 0)
    assert await world.budget("rollout/") == (0, 0)
    assignment = await agent.expect("assignment")
    assert (assignment.generation, assignment.excused) == (2, True)
    await agent.connect()
    agent.disk.attempt = None
    again = await world.staged("host-1")
    assert await owed(world) == (True, NEW)
    await again.granted()
    await world.on_trial("host-1")
    assert await owed(world) == (True, ""), "its hello showed that it took the offer"
    await again.commit()
    await world.update("host-2")
    assert await world.state(rollout) == "COMPLETED"
    (entry,) = [e for e in await world.events("attempt.state") if "not counted" in e["message"]]
    assert (entry["code"], entry["attempt_state"]) == ("LOST_CONTACT", "pending")


@pytest.mark.parametrize("facts", [{}, {"unproven": False, "code": code("HEALTH_FAILED")}], ids=["unproven", "proven"])
@pytest.mark.parametrize("outage", [False, True], ids=["open", "outage"])
async def test_it_counts_where_the_server_was_there_or_the_version_was_at_fault(
    world: World, *, outage: bool, facts: dict[str, Any]
) -> None:
    await world.online("host-1", "host-2")
    rollout = await world.roll("host-1", "host-2", waves=[1, 0])
    agent = await on_trial(world)
    await gap(world) if outage else await world.watch(60)
    await come_home(agent, go_back(agent, **facts))
    excused = outage and not facts
    assert await world.state(rollout) == ("RUNNING" if excused else "HALTED")
    assert await world.states("host-1") == ["offered" if excused else "rolled_back"]
    assert await owed(world) == ((True, NEW) if excused else (False, ""))
    assert (await world.budget("rollout/"))[1] == (0 if excused else 1)
    await world.cancel(rollout)


async def test_refused_hellos_excuse_before_the_record_knows_of_them(world: World) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1")
    agent = await on_trial(world)
    await world.watch(30)
    world.clock.advance(2)
    world.services.door.refuse()
    await come_home(agent, go_back(agent))
    assert await owed(world) == (True, NEW)
    await world.cancel(rollout)


@pytest.mark.parametrize("killed", [False, True], ids=["stopped", "killed"])
async def test_an_excuse_survives_what_comes_between_it_and_its_offer(world: World, *, killed: bool) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1")
    agent = await on_trial(world)
    await gap(world)
    await world.pause(rollout)
    reports = go_back(agent)
    await come_home(agent, reports)
    assert await world.states("host-1") == ["pending"]
    assert {row["status"] for row in await world.rows(ReportRow)} == {"accepted", "history"}
    await agent.connect()
    assert await owed(world) == (False, NEW), "a hello that took no offer of it delivers nothing"
    if killed and world.services.store.is_sqlite:  # only files can be copied as a kill leaves them
        await world.crash()
    else:
        await world.restart()
    agent = world.agent("host-1")
    await agent.connect()
    await world.resume(rollout)
    assert (await agent.expect("assignment")).excused
    await agent.connect()
    assert (await agent.expect("assignment")).excused, "not taken yet"
    await agent.connect()
    await world.update("host-1")
    assert await owed(world) == (True, "")
    assert await world.state(rollout) == "COMPLETED"


async def test_an_excuse_goes_with_its_own_version_alone(world: World) -> None:
    await world.online("host-1")
    first = await world.roll("host-1")
    agent = await on_trial(world)
    await gap(world)
    await world.pause(first)
    await come_home(agent, go_back(agent))
    await world.cancel(first)
    second = await world.roll("host-1", version="1.2.0")
    assert not (await agent.take()).excused
    assert await owed(world) == (False, NEW)
    await world.cancel(second)
    await agent.report("cancelled")
    third = await world.roll("host-1")
    assert (await agent.take()).excused
    await world.cancel(third)


async def test_a_lost_host_that_comes_back_unproven_from_an_outage_is_queued(world: World) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1")
    agent = await on_trial(world)
    await gap(world)
    await world.watch(640)
    assert await world.states("host-1") == ["lost"]
    assert await world.budget("global") == (0, 1)
    await come_home(agent, go_back(agent))
    assert await world.states("host-1") == ["pending"]
    assert await world.budget("global") == (0, 0)
    assert await world.state(rollout) == "HALTED", "a person continues"
    await world.resume(rollout)
    assert (await agent.expect("assignment")).excused
    await agent.connect()
    await world.update("host-1")
    assert await world.state(rollout) == "COMPLETED"


async def test_outages_without_end_are_looked_at_by_a_person(world: World) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1")
    for excuses in range(MAX_EXCUSES + 1):
        assert (await world.host("host-1"))["tries"] == excuses
        agent = await on_trial(world)
        await gap(world)
        await come_home(agent, go_back(agent))
    assert await world.states("host-1") == ["rolled_back"]
    assert await world.state(rollout) == "HALTED"
    assert await owed(world) == (True, ""), "the last excuse was delivered, and none is owed for what counts"
    await world.cancel(rollout)


async def test_an_ended_rollout_takes_nobody_back(world: World) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1")
    agent = await on_trial(world)
    await world.cancel(rollout)
    await gap(world)
    await come_home(agent, go_back(agent))
    assert await world.states("host-1") == ["rolled_back"]
    assert await owed(world) == (False, NEW), "the host's own count holds it against the next rollout of the version"
    world.clock.advance(1)
    await agent.connect()
    second = await world.roll("host-1")
    assert await owed(world) == (True, NEW), "its offer carries it"
    await world.cancel(second)


async def test_a_late_host_that_comes_back_from_an_outage_gets_another_turn(world: World) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1", "host-2", "host-3")
    await world.update("host-1")
    assert await world.state(rollout) == "COMPLETED"
    await world.online("host-2", "host-3")
    agent = await on_trial(world, "host-2")
    await gap(world)
    await come_home(agent, go_back(agent))
    assert await world.states("host-3") != ["cancelled"]
    assert not (await world.show(rollout)).late.bad
    assert await owed(world, "host-2") == (True, NEW)
    await agent.connect()
    await world.update("host-2")
    await world.agent("host-3").connect()
    await world.update("host-3")
    assert await world.states("host-2", "host-3") == ["succeeded", "succeeded"]
    assert (await world.show(rollout)).late.left == 0
