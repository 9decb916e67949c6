"""A machine that takes a host's place knows nothing of its attempts: what broke the old one is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from google.protobuf.duration_pb2 import Duration

from fleetroll_server.store.tables import AssignmentRow, ClaimRow
from tests.faults.stocks import NEW, NEWER, OLD
from tests.faults.virtual_disk import code_name

if TYPE_CHECKING:
    from tests.faults.virtual_agent import VirtualAgent
    from tests.faults.worlds import World


async def canary(world: World, state: str) -> tuple[str, VirtualAgent]:
    """Let the canary of two hosts get as far as ``state``, and its machine die there."""
    await world.online("host-1", "host-2")
    rollout = await world.roll("host-1", "host-2", waves=[1, 0], limits={"bake": 4000})
    if state == "succeeded":
        agent = await world.update("host-1")
    else:
        agent = await world.staged("host-1")
        await agent.granted()
        if state != "granted":
            await agent.report("applying", step="restart", time_limit=Duration(seconds=60))
        if state == "trial":
            await agent.report("trial", running_version=NEW)
    assert await world.states("host-1") == [state]
    await world.drop("host-1")
    return rollout, agent


async def replaced(world: World) -> VirtualAgent:
    """Put a machine with an empty state folder in the place of host-1, under its id."""
    disk = await world.readmit("host-1", b"\x52" * 32)
    disk.highest, disk.attempt, disk.version, disk.sha256, disk.previous = 0, None, OLD, "", ""
    agent = world.another(disk, "host-1")
    await agent.connect()
    return agent


@pytest.mark.parametrize(
    ("state", "lost"),
    [(state, lost) for state in ("granted", "applying", "trial") for lost in (True, False)] + [("succeeded", True)],
)
async def test_a_host_that_its_update_may_have_broken_stays_bad_when_another_machine_takes_its_place(
    world: World, state: str, *, lost: bool
) -> None:
    rollout, _ = await canary(world, state)
    await world.watch(1200 if lost else 0, 60)
    assert await world.states("host-1") == ["lost" if lost else state]
    agent = await replaced(world)
    assert await world.states("host-1") == ["failed"]
    shown = await world.show(rollout)
    assert (shown.waves[0].bad, await world.state(rollout)) == (1, "HALTED")
    assert [row["version"] for row in await world.rows(AssignmentRow, agent_id=agent.disk.agent_id)] == [""]
    assert await world.rows(ClaimRow, agent_id=agent.disk.agent_id) == []
    assert (code_name(shown.state_decision.code), await world.budget("fleet")) == ("WAVE_NOT_PASSED", (0, 0))
    await world.cancel(rollout)
    again = await world.roll("host-1", version=NEWER)
    agent.disk.highest = (await agent.expect("assignment")).generation
    await world.update("host-1", NEWER)
    assert await world.state(again) == "COMPLETED"


async def test_what_has_its_result_is_not_offered_to_a_machine_that_knows_nothing_of_it(world: World) -> None:
    """It would stage it and ask for ever: an attempt that has ended gets no Go."""
    rollout, _ = await canary(world, "succeeded")
    agent = await replaced(world)
    assert await agent.waiting("assignment") == []
    assert await world.states("host-1") == ["succeeded"]
    await world.cancel(rollout)


async def test_before_its_go_it_is_offered_again_and_counts_nothing(world: World) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1")
    await world.staged("host-1")
    await world.drop("host-1")
    await replaced(world)
    assert (await world.show(rollout)).waves[0].bad == 0
    await world.update("host-1")
    assert await world.state(rollout) == "COMPLETED"


@pytest.mark.parametrize("state", ["granted", "trial"])
async def test_a_copy_with_an_older_memory_ends_nothing_that_the_original_has_under_way(
    world: World, state: str
) -> None:
    await world.online("host-1")
    older = world.agent("host-1").disk.copy()
    for _ in range(2):
        await world.online("host-1")
    rollout, agent = await canary(world, state)
    copy = world.another(older, "copy")
    await copy.connect()
    assert (await world.identity("host-1"))["quarantined"]
    assert await world.states("host-1") == [state]
    assert (await world.show(rollout)).waves[0].bad == 0
    assert await world.budget("rollout/") == (1, 0)
    await copy.close()
    await agent.connect()
    if state == "granted":
        await agent.report("failed")
    else:
        await agent.back()
    await world.cancel(rollout)
