"""What a person let pass by resuming after a halt never holds the rollout's own budget again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.stocks import OLD

if TYPE_CHECKING:
    from tests.faults.worlds import World


async def resumed(world: World) -> str:
    """Lose host-1 past Go, which halts, and let a person go on."""
    await world.online("host-1", "host-2")
    rollout = await world.roll("host-1", "host-2")
    agent = await world.staged("host-1")
    await world.staged("host-2")
    await agent.granted()
    await agent.report("applying", step="restart")
    await world.drop("host-1")
    await world.watch(640)
    assert await world.states("host-1") == ["lost"]
    assert await world.state(rollout) == "HALTED"
    assert await world.budget("rollout/") == (0, 1)
    await world.resume(rollout)
    assert await world.budget("rollout/") == (0, 0)
    return rollout


@pytest.mark.parametrize("by_the_way_of", [(), ("applying",)])
async def test_a_forgiven_host_that_comes_back_badly_does_not_starve_its_rollout(
    world: World, by_the_way_of: tuple[str, ...]
) -> None:
    rollout = await resumed(world)
    agent = world.agent("host-1")
    late = agent.journal(*by_the_way_of, "rolled_back", running_version=OLD)
    agent.disk.attempt = None
    await agent.connect()
    await agent.deliver(late)
    assert await world.states("host-1") == ["rolled_back"]
    assert await world.budget("rollout/") == (0, 0), "a person knew of it when the rollout was resumed"
    if by_the_way_of:
        await world.resume(rollout)
    await world.agent("host-2").granted()
    await world.on_trial("host-2")
    await world.agent("host-2").commit()
    assert await world.state(rollout) == "COMPLETED"


async def test_a_forgiven_host_that_came_back_well_and_goes_bad_later_is_charged(world: World) -> None:
    rollout = await resumed(world)
    agent = world.agent("host-1")
    await agent.connect()
    agent.disk.version, agent.disk.sha256 = "1.1.0", world.stock.digests["1.1.0"]
    await agent.report("succeeded", running_version="1.1.0")
    assert await world.states("host-1") == ["succeeded"]
    agent.disk.attempt = {"generation": agent.disk.highest, "version": "1.1.0"}
    await agent.back("rolled_back")
    assert await world.states("host-1") == ["rolled_back"]
    assert await world.budget("rollout/") == (0, 1)
    assert await world.state(rollout) == "HALTED", "it is bad anew"
    await world.cancel(rollout)


async def test_a_forgiven_host_that_fails_to_go_back_is_broken_in_the_wider_scopes_alone(world: World) -> None:
    rollout = await resumed(world)
    agent = world.agent("host-1")
    agent.disk.healthy = False
    await agent.connect()
    await agent.report("rollback_failed")
    assert [await world.budget(scope) for scope in ("global", "fleet/", "rollout/")] == [(0, 1), (0, 1), (0, 0)]
    await world.cancel(rollout)
    world.left_over = {"global": (0, 1), "fleet": (0, 1)}
