"""A host that succeeded and falls silent is bad after its offline limit, and well again at its next word."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.recounts import check
from tests.faults.stocks import NEWER

if TYPE_CHECKING:
    from tests.faults.worlds import World


async def baking(world: World) -> str:
    """Start a rollout whose first wave, of host-1, is watched."""
    await world.online("host-1", "host-2")
    rollout = await world.roll("host-1", "host-2", waves=[1, 0], limits={"bake": 600})
    await world.update("host-1")
    await world.sweep()
    return rollout


async def test_a_host_that_falls_silent_during_the_bake_is_bad_after_its_offline_limit(world: World) -> None:
    rollout = await baking(world)
    await world.drop("host-1")
    await world.watch(60)
    assert await world.states("host-1") == ["succeeded"]
    await world.sweep(5)
    row = await world.host("host-1")
    assert (row["state"], row["code"]) == ("lost", "HOST_WENT_OFFLINE")
    assert await world.state(rollout) == "HALTED"
    assert [await world.budget(scope) for scope in ("global", "fleet/", "rollout/")] == [(0, 1)] * 3
    await check_left_over(world)
    await world.agent("host-1").connect()
    assert await world.states("host-1") == ["succeeded"]
    row = await world.host("host-1")
    assert (row["code"], row["message"]) == ("", "")
    assert await world.state(rollout) == "HALTED", "a person continues"
    await world.resume(rollout)
    await world.watch(605)
    assert await world.waves(rollout) == ["PASSED", "OPEN"]
    await world.cancel(rollout)


async def check_left_over(world: World) -> None:
    """Recount while the host is lost."""
    world.left_over = dict.fromkeys(("global", "fleet", "rollout"), (0, 1))
    await check(world)
    world.left_over = {}


async def test_a_host_that_said_goodbye_is_merely_away(world: World) -> None:
    rollout = await baking(world)
    await world.agent("host-1").goodbye()
    await world.watch(600)
    assert await world.states("host-1") == ["succeeded"]
    assert await world.waves(rollout) == ["PASSED", "OPEN"]
    await world.cancel(rollout)


async def test_a_host_that_comes_back_in_time_is_not_lost_later(world: World) -> None:
    rollout = await baking(world)
    for _ in range(3):
        await world.drop("host-1")
        await world.watch(50)
        await world.agent("host-1").connect()
    assert await world.states("host-1") == ["succeeded"]
    await world.sweep(61)
    assert await world.states("host-1") == ["succeeded"]
    assert await world.state(rollout) == "RUNNING"
    await world.cancel(rollout)


async def test_a_host_of_an_open_wave_counts_too_and_one_of_a_passed_wave_does_not(world: World) -> None:
    await world.online("host-1", "host-2", "host-3")
    rollout = await world.roll("host-1", "host-2", "host-3", waves=[1, 0], limits={"max_concurrent": 2})
    await world.update("host-1")
    await world.drop("host-1")
    await world.update("host-2")
    await world.drop("host-2")
    await world.staged("host-3")
    await world.watch(70)
    assert await world.states("host-1", "host-2") == ["succeeded", "lost"]
    assert await world.state(rollout) == "HALTED"
    await world.agent("host-2").connect()
    await world.cancel(rollout)


async def test_a_host_of_a_completed_rollout_is_left_alone(world: World) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1")
    await world.update("host-1")
    assert await world.state(rollout) == "COMPLETED"
    await world.drop("host-1")
    await world.watch(120)
    assert await world.states("host-1") == ["succeeded"]


async def test_silence_while_the_rollout_is_paused_counts_when_it_goes_on(world: World) -> None:
    rollout = await baking(world)
    await world.pause(rollout)
    await world.drop("host-1")
    await world.watch(70)
    assert await world.states("host-1") == ["lost"]
    assert await world.state(rollout) == "PAUSED"
    await world.resume(rollout)
    assert await world.state(rollout) == "HALTED"
    await world.agent("host-1").connect()
    await world.cancel(rollout)


async def test_a_host_that_was_silent_while_the_rollout_stood_halted_is_judged_after_the_resume(world: World) -> None:
    await world.online("host-1", "host-2")
    rollout = await world.roll("host-1", "host-2", limits={"bake": 600})
    await world.update("host-1")
    await world.fail("host-2")
    assert await world.state(rollout) == "HALTED"
    await world.drop("host-1")
    await world.watch(120)
    assert await world.states("host-1") == ["succeeded"]
    await world.resume(rollout)
    await world.watch(70)
    assert await world.states("host-1") == ["lost"], "else its bake would stand still for ever"
    assert await world.state(rollout) == "HALTED"
    await world.agent("host-1").connect()
    await world.cancel(rollout)


@pytest.mark.parametrize("way", ["stopped", "killed"])
async def test_time_in_which_no_server_could_hear_it_is_not_the_hosts_silence(world: World, way: str) -> None:
    rollout = await baking(world)
    if way == "stopped":
        await world.stop()
    else:
        await world.crash()
        await world.stop()
    world.clock.advance(3600)
    await world.start()
    world.readdress()
    await world.watch(55)
    assert await world.states("host-1") == ["succeeded"]
    await world.online("host-1", "host-2")
    await world.watch(120)
    assert await world.states("host-1") == ["succeeded"]
    assert await world.state(rollout) == "RUNNING"
    await world.cancel(rollout)


async def test_a_lost_host_that_went_back_meanwhile_is_rolled_back_late(world: World) -> None:
    rollout = await baking(world)
    agent = world.agent("host-1")
    await world.drop("host-1")
    await world.watch(70)
    assert await world.states("host-1") == ["lost"]
    agent.disk.attempt = {"generation": agent.disk.highest, "version": "1.1.0"}
    late = agent.journal("rolled_back", running_version="1.0.0")
    await agent.connect()
    await agent.deliver(late)
    agent.disk.attempt = None
    row = await world.host("host-1")
    assert (row["state"], row["late"]) == ("rolled_back", True)
    assert await world.budget("global") == (0, 0)
    assert (await world.show(rollout)).waves[0].bad == 1
    await world.cancel(rollout)


async def test_a_host_that_was_lost_after_its_success_can_be_planned_into_the_rollout_that_mends_it(
    world: World,
) -> None:
    rollout = await baking(world)
    await world.drop("host-1")
    await world.watch(70)
    await world.cancel(rollout)
    mend = await world.roll("host-1", version=NEWER)
    await world.agent("host-1").connect()
    assert await world.states("host-1") == ["offered"]
    await world.update("host-1", NEWER)
    assert await world.state(mend) == "COMPLETED"
