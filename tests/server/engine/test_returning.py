"""A host that left is offline, and out of its wave's count, only after it had the time to come back to a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.stocks import NEW

if TYPE_CHECKING:
    from tests.faults.worlds import World


async def all_but_the_third(world: World) -> str:
    """Update two of three hosts; the third has its offer."""
    await world.online("host-1", "host-2", "host-3")
    rollout = await world.roll("host-1", "host-2", "host-3", limits={"max_concurrent": 3})
    await world.staged("host-3")
    await world.update("host-1")
    return rollout


async def restart(world: World, *, killed: bool, down: float) -> None:
    """Let the server be gone for a while."""
    if killed:
        await world.crash()
        world.clock.advance(down)
    else:
        await world.stop()
        world.clock.advance(down)
        await world.start()
        world.readdress()


@pytest.mark.parametrize("killed", [False, True], ids=["stopped", "killed"])
async def test_no_wave_passes_after_a_restart_before_its_hosts_could_come_back(world: World, *, killed: bool) -> None:
    rollout = await all_but_the_third(world)
    await restart(world, killed=killed, down=0 if killed else 3600)
    await world.online("host-1", "host-2")
    await world.update("host-2")
    await world.watch(55)
    assert await world.state(rollout) == "RUNNING"
    assert "may come back until" in (await world.show(rollout)).waiting_for
    await world.online("host-3")
    agent = world.agent("host-3")
    await agent.granted()
    await world.on_trial("host-3")
    await agent.commit()
    assert agent.disk.version == NEW
    assert await world.state(rollout) == "COMPLETED"


@pytest.mark.parametrize("killed", [False, True], ids=["stopped", "killed"])
async def test_a_host_that_stays_away_is_out_of_the_count_after_a_minute(world: World, *, killed: bool) -> None:
    rollout = await all_but_the_third(world)
    await restart(world, killed=killed, down=0 if killed else 3600)
    await world.online("host-1", "host-2")
    await world.update("host-2")
    await world.watch(55)
    assert await world.state(rollout) == "RUNNING"
    await world.watch(5)
    assert await world.state(rollout) == "COMPLETED"


async def test_a_line_that_breaks_for_a_moment_costs_a_host_nothing(world: World) -> None:
    rollout = await all_but_the_third(world)
    await world.drop("host-3")
    await world.update("host-2")
    await world.watch(20)
    assert await world.state(rollout) == "RUNNING"
    await world.online("host-3")
    agent = world.agent("host-3")
    await agent.granted()
    await world.on_trial("host-3")
    await agent.commit()
    assert await world.state(rollout) == "COMPLETED"
