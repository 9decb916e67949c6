"""A host that took a number far above every assignment of this server passes over none of the next ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fleetroll_server.domain.generations import MAX_GENERATION_SHOWN

if TYPE_CHECKING:
    from tests.faults.worlds import World


@pytest.mark.parametrize("taken", [2**32, 2**33, 2**62, MAX_GENERATION_SHOWN])
async def test_a_host_that_is_far_ahead_is_updated_from_where_it_is(world_on_each: World, taken: int) -> None:
    world = world_on_each
    world.agent("host-1").disk.highest = taken
    await world.online("host-1", "host-2")
    rollout = await world.roll("host-1", "host-2")
    agent = await world.update("host-1")
    assert agent.disk.highest == taken + 1
    assert (await world.update("host-2")).disk.highest == 1
    assert await world.state(rollout) == "COMPLETED"


async def test_every_later_assignment_goes_on_from_there(world_on_each: World) -> None:
    world = world_on_each
    world.agent("host-1").disk.highest = MAX_GENERATION_SHOWN
    await world.online("host-1")
    rollout = await world.roll("host-1")
    agent = await world.staged("host-1")
    await world.cancel(rollout)
    nothing = await agent.expect("assignment")
    assert (nothing.version, nothing.generation) == ("", MAX_GENERATION_SHOWN + 2)
    agent.disk.highest, agent.disk.attempt = nothing.generation, None
    await agent.connect()
    again = await world.roll("host-1")
    await world.update("host-1")
    assert agent.disk.highest == MAX_GENERATION_SHOWN + 3
    assert await world.state(again) == "COMPLETED"


async def test_a_host_that_shows_more_than_is_believed_harms_nobody(world_on_each: World) -> None:
    world = world_on_each
    world.agent("host-1").disk.highest = 2**63 - 1
    await world.online("host-1", "host-2")
    rollout = await world.roll("host-1", "host-2")
    await world.update("host-2")
    await world.cancel(rollout)
    assert world.services.store.writer.healthy
    assert await world.state(rollout) == "CANCELLED"
