"""What whoever steers a fleet meets in the first week, through the real engine: the plain course and accidents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.protobuf.duration_pb2 import Duration

from fleetroll.v1 import rollouts_pb2
from tests.faults.stocks import NEW, OLD
from tests.faults.virtual_disk import code_name

if TYPE_CHECKING:
    from tests.faults.worlds import World

THREE = ("host-1", "host-2", "host-3")


async def test_two_hosts_succeed_one_after_the_other(world: World) -> None:
    await world.online("host-1", "host-2")
    rollout = await world.roll("host-1", "host-2")
    first = await world.staged("host-1")
    second = await world.staged("host-2")
    await first.granted()
    assert await second.refused_go() == "BUDGET", "one host at a time"
    await world.on_trial("host-1")
    await first.commit()
    await second.granted()
    await world.on_trial("host-2")
    await second.commit()
    assert (await world.state(rollout), await world.states("host-1", "host-2")) == ("COMPLETED", ["succeeded"] * 2)


async def test_the_second_one_times_out_and_the_third_stays_pending(world: World) -> None:
    await world.online(*THREE)
    rollout = await world.roll(*THREE, waves=[2, 0])
    await world.update("host-1")
    agent = await world.staged("host-2")
    await agent.granted()
    await agent.report("applying", step="restart", time_limit=Duration(seconds=60))
    await world.watch(120)
    assert await world.states(*THREE) == ["succeeded", "lost", "pending"]
    shown = await world.show(rollout)
    assert (await world.state(rollout), "1 bad of 2 attempted" in shown.state_decision.reason) == ("HALTED", True)
    world.left_over = dict.fromkeys(("global", "fleet", "rollout"), (0, 1))
    await world.cancel(rollout)
    world.left_over["rollout"] = (0, 0)


async def test_a_host_that_is_offline_before_go_is_waited_for_and_halts_nothing(world: World) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1", "host-2")
    await world.update("host-1")
    await world.watch(300, step=60)
    assert (await world.host("host-2"))["waiting"] == "HOST_OFFLINE"
    assert (await world.state(rollout), (await world.show(rollout)).waves[0].bad) == ("COMPLETED", 0)


async def test_where_the_policy_says_fail_it_halts_by_name(world: World) -> None:
    await world.online("host-1")
    policy = rollouts_pb2.OFFLINE_POLICY_FAIL
    rollout = await world.roll("host-2", "host-1", limits={"offline_policy": policy, "max_concurrent": 2})
    row = await world.host("host-2")
    assert (row["state"], row["code"]) == ("failed", "HOST_OFFLINE_AT_DISPATCH")
    assert await world.state(rollout) == "HALTED"
    assert code_name((await world.show(rollout)).state_decision.code) == "WAVE_NOT_PASSED"
    await world.cancel(rollout)


async def test_a_host_that_goes_offline_after_go_is_lost_and_halts(world: World) -> None:
    await world.online("host-1", "host-2")
    rollout = await world.roll("host-1", "host-2")
    agent = await world.staged("host-1")
    await agent.granted()
    await world.drop("host-1")
    await world.watch(120)
    row = await world.host("host-1")
    assert (row["state"], row["code"], await world.state(rollout)) == ("lost", "HOST_WENT_OFFLINE", "HALTED")
    await world.agent("host-1").connect()
    assert await world.states("host-1") == ["staged"], "its own word says that its Go is unused"
    await world.cancel(rollout)


async def test_a_host_that_a_direct_update_brought_to_the_target_is_skipped(world: World) -> None:
    await world.online("host-1", "host-2")
    rollout = await world.roll("host-1", "host-2", limits={"max_downloading": 1})
    await world.direct("host-2")
    await world.update("host-2")
    await world.update("host-1")
    await world.sweep()
    row = await world.host("host-2", rollout)
    assert (row["state"], row["code"], await world.state(rollout)) == ("skipped", "ALREADY_AT_TARGET", "COMPLETED")


async def test_a_cancel_in_mid_run_leaves_what_is_done_and_stops_what_is_not_begun(world: World) -> None:
    await world.online(*THREE)
    rollout = await world.roll(*THREE)
    await world.update("host-1")
    agent = await world.staged("host-2")
    await agent.granted()
    await agent.report("applying", step="restart")
    await world.cancel(rollout)
    await agent.back("cancelled")
    assert await world.states(*THREE) == ["succeeded", "cancelled", "cancelled"]
    assert [world.agent(name).disk.version for name in THREE] == [NEW, OLD, OLD]


async def test_a_second_start_on_the_same_hosts_is_refused_and_names_the_first(world: World, refusal: Any) -> None:
    await world.online("host-1", "host-2")
    first = await world.roll("host-1")
    why = await refusal(world.roll("host-1", "host-2", version="1.2.0"))
    assert (why.code, why.facts["rollout"], why.facts["host"]) == ("ROLLOUT_ACTIVE", first, "host-1")
    await world.cancel(first)


async def test_t12_hosts_that_staged_before_an_abort_do_not_upgrade_later(world: World) -> None:
    """Neither one that hears of it, nor one that was away and comes back with what it has staged."""
    await world.online("host-1", "host-2")
    rollout = await world.roll("host-1", "host-2")
    here, away = await world.staged("host-1"), await world.staged("host-2")
    await world.drop("host-2")
    await world.cancel(rollout)
    assert (await here.expect("assignment")).version == ""
    assert await here.refused_go() != ""
    await world.watch(3600, step=600)
    await away.connect()
    assert (await away.expect("assignment")).version == ""
    assert await away.refused_go() != ""
    assert [world.agent(name).disk.version for name in ("host-1", "host-2")] == [OLD, OLD]
