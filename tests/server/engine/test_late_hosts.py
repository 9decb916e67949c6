"""Hosts that were away when something was decided: they are told, held by nobody, and block nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fleetroll.v1 import rollouts_pb2
from tests.faults.recounts import check
from tests.faults.stocks import NEW, NEWER
from tests.faults.virtual_disk import attempt_state, code

if TYPE_CHECKING:
    from tests.faults.worlds import World


async def test_a_host_that_took_its_offer_in_the_moment_of_the_cut_goes_on(world: World) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1")
    agent = world.agent("host-1")
    await agent.take()
    await world.drop("host-1")
    assert await world.states("host-1") == ["pending"]
    await agent.connect()
    assert await world.states("host-1") == ["downloading"]
    assert await agent.waiting("assignment") == []
    agent.disk.attempt["sha256"] = bytes.fromhex(world.stock.digests[NEW])  # type: ignore[index]
    await agent.report("staged")
    await agent.granted()
    await world.on_trial("host-1")
    await agent.commit()
    assert await world.state(rollout) == "COMPLETED"


async def test_what_goes_on_after_a_cut_is_held_by_its_rollout(world: World) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1")
    agent = world.agent("host-1")
    await agent.take()
    await world.drop("host-1")
    await agent.connect()
    await check(world)
    await world.cancel(rollout)


async def test_a_host_that_expired_while_away_is_told_that_nothing_is_desired(world: World) -> None:
    await world.online("host-1")
    await world.roll("host-1", limits={"not_after": 3600})
    agent = world.agent("host-1")
    await agent.take()
    await world.drop("host-1")
    await world.sweep(3601)
    assert await world.states("host-1") == ["expired"]
    agent.disk.attempt["state"] = attempt_state("staged")  # type: ignore[index]
    await agent.connect()
    assert (await agent.expect("assignment")).version == "", "else it would stay staged for ever"
    await agent.report("cancelled")
    assert await world.states("host-1") == ["expired"]


@pytest.mark.parametrize("state", ["downloading", "staged"])
async def test_a_late_host_of_a_completed_rollout_blocks_no_newer_one(world: World, state: str) -> None:
    await world.online("host-1", "host-2")
    first = await world.roll("host-1", "host-2")
    late = world.agent("host-2")
    if state == "staged":
        await world.staged("host-2")
    else:
        await late.take()
        await late.report("downloading")
    await world.drop("host-2")
    await world.update("host-1")
    await world.sweep(60)
    assert await world.state(first) == "COMPLETED"
    second = await world.roll("host-1", "host-2", version=NEWER)
    await late.connect()
    await world.update("host-1", NEWER)
    await world.update("host-2", NEWER)
    assert await world.state(second) == "COMPLETED"


async def test_a_killed_host_of_a_rollout_that_was_cancelled_is_cancelled(world: World) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1")
    agent = await world.staged("host-1")
    await agent.granted()
    await agent.report("applying")
    await world.press()
    await world.cancel(rollout)
    await agent.report("cancelled", code=code("KILLED"))
    assert await world.states("host-1") == ["cancelled"], "there is no queue to go back to"
    await world.lift()


@pytest.mark.parametrize("policy", ["skip", "fail"])
async def test_a_host_that_left_before_go_keeps_its_place_whatever_the_policy_for_absent_ones(
    world: World, policy: str
) -> None:
    await world.online("host-1", "host-2")
    value = rollouts_pb2.OfflinePolicy.Value(f"OFFLINE_POLICY_{policy.upper()}")
    rollout = await world.roll("host-1", "host-2", limits={"offline_policy": value})
    await world.staged("host-1")
    await world.drop("host-1")
    row = await world.host("host-1")
    assert (row["state"], row["waiting"]) == ("staged", "HOST_OFFLINE"), "it was there at dispatch"
    agent = world.agent("host-1")
    await agent.connect()
    await agent.granted()
    await world.on_trial("host-1")
    await agent.commit()
    await world.update("host-2")
    assert await world.state(rollout) == "COMPLETED"


async def test_every_offer_says_how_many_tries_its_rollout_allows(world: World) -> None:
    """The first one, the one after a cut, and the one that is sent again when the rollout goes on."""
    await world.online("host-1")
    rollout = await world.roll("host-1", limits={"max_attempts": 5})
    agent = world.agent("host-1")
    assert (await agent.expect("assignment")).max_attempts == 5
    await world.drop("host-1")
    await agent.connect()
    assert (await agent.expect("assignment")).max_attempts == 5
    await world.pause(rollout)
    await world.resume(rollout)
    assert (await agent.expect("assignment")).max_attempts == 5
    await world.cancel(rollout)
