"""A rollout from its first wave to its last, and everything that stops it on the way."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll.v1 import rollouts_pb2
from fleetroll_server.store.tables import RolloutHostRow, WaveRow
from tests.faults.stocks import NEW, NEWER, OLD
from tests.faults.virtual_disk import code

if TYPE_CHECKING:
    from tests.faults.worlds import World

SIX = tuple(f"host-{number}" for number in range(1, 7))


async def members(world: World, wave: int) -> list[str]:
    """Return the hosts of a wave in their order."""
    rows = sorted(await world.rows(RolloutHostRow, wave=wave), key=lambda row: row["position"])
    return [row["name"] for row in rows]


async def test_waves_of_one_three_and_the_rest_pass_one_after_the_other(world: World) -> None:
    await world.online(*SIX)
    rollout = await world.roll(*SIX, waves=[1, 3, 0])
    assert [await members(world, wave) for wave in (1, 2, 3)] == [list(SIX[:1]), list(SIX[1:4]), list(SIX[4:])]
    done: list[str] = []
    for number, wave in enumerate((SIX[:1], SIX[1:4], SIX[4:]), 1):
        assert await world.waves(rollout) == ["PASSED"] * (number - 1) + ["OPEN"] + ["PENDING"] * (3 - number)
        rest = [name for name in SIX if name not in (*done, *wave)]
        for name in rest:
            assert await world.agent(name).waiting("assignment") == [], "its wave has not begun"
        for name in wave:
            await world.update(name)
        done += wave
    assert await world.state(rollout) == "COMPLETED"
    assert await world.states(*SIX) == ["succeeded"] * 6
    shown = await world.show(rollout)
    assert [(wave.hosts, wave.attempted, wave.bad) for wave in shown.waves] == [(1, 1, 0), (3, 3, 0), (2, 2, 0)]
    assert shown.HasField("ended_at")


async def test_a_canary_that_fails_halts_and_nobody_else_is_touched(world: World) -> None:
    await world.online(*SIX)
    rollout = await world.roll(*SIX, waves=[1, 3, 0])
    await world.fail("host-1", code=code("START_FAILED"), message="exit 1", output_tail="Traceback")
    shown = await world.show(rollout)
    assert await world.state(rollout) == "HALTED"
    assert await world.waves(rollout) == ["FAILED", "PENDING", "PENDING"]
    assert "1 bad of 1 attempted" in shown.state_decision.reason
    assert (shown.state_decision.actor.id, shown.waiting_for) == ("gate", "a person to resume or cancel it")
    await world.watch(600, step=60)
    for name in SIX[1:]:
        assert await world.agent(name).waiting("assignment", "go") == []
    assert await world.states(*SIX) == ["rolled_back"] + ["pending"] * 5
    row = await world.host("host-1")
    assert (row["code"], row["message"], row["output_tail"]) == ("START_FAILED", "exit 1", "Traceback")
    assert await world.budget("rollout/") == (0, 1)
    await world.cancel(rollout)
    assert await world.states(*SIX) == ["rolled_back"] + ["cancelled"] * 5


async def test_after_a_halt_a_person_resumes_and_the_broken_host_does_not_block_it(world: World) -> None:
    await world.online("host-1", "host-2")
    rollout = await world.roll("host-1", "host-2")
    await world.fail("host-1")
    assert await world.state(rollout) == "HALTED"
    await world.resume(rollout)
    assert await world.budget("rollout/") == (0, 0)
    await world.update("host-2")
    assert await world.state(rollout) == "COMPLETED"


async def test_the_next_bad_host_after_a_resume_halts_again(world: World) -> None:
    await world.online("host-1", "host-2", "host-3")
    rollout = await world.roll("host-1", "host-2", "host-3")
    await world.fail("host-1")
    await world.resume(rollout)
    await world.fail("host-2")
    assert await world.state(rollout) == "HALTED"
    await world.resume(rollout)
    await world.update("host-3")
    assert await world.state(rollout) == "COMPLETED"


async def test_every_wave_but_the_first_waits_for_a_person(world: World, refusal: Any) -> None:
    await world.online("host-1", "host-2")
    rollout = await world.roll("host-1", "host-2", waves=[1, 0], manual_advance=True)
    why = await refusal(world.advance(rollout))
    assert why.code == "WAVE_NOT_PASSED"
    await world.update("host-1")
    assert await world.waves(rollout) == ["PASSED", "AWAITING_APPROVAL"]
    assert (await world.show(rollout)).waiting_for == "a person to advance it to wave 2"
    await world.watch(60)
    assert await world.agent("host-2").waiting("assignment") == []
    await world.advance(rollout)
    await world.update("host-2")
    assert await world.state(rollout) == "COMPLETED"


async def test_a_decision_to_spread_on_old_facts_is_refused_with_what_changed(world: World, refusal: Any) -> None:
    await world.online("host-1", "host-2")
    rollout = await world.roll("host-1", "host-2", waves=[1, 0], manual_advance=True)
    seen = (await world.show(rollout)).decision_revision
    await world.fail("host-1", message="it died")
    why = await refusal(world.resume(rollout, seen))
    assert why.code == "STALE_DECISION"
    assert "halted" in why.message
    assert "1 bad of 1 attempted" in why.message
    assert int(why.facts["current"]) == (await world.show(rollout)).decision_revision > seen
    assert (await refusal(world.resume(rollout, 0))).code == "REVISION"
    assert await world.state(rollout) == "HALTED"
    await world.cancel(rollout)


async def test_progress_alone_makes_no_decision_stale(world: World) -> None:
    await world.online("host-1", "host-2", "host-3")
    rollout = await world.roll("host-1", "host-2", "host-3")
    seen = (await world.show(rollout)).decision_revision
    await world.update("host-1")
    await world.staged("host-2")
    await world.watch(20)
    assert (await world.show(rollout)).decision_revision == seen
    await world.pause(rollout)
    assert (await world.show(rollout)).decision_revision > seen
    await world.cancel(rollout)


async def test_pausing_twice_and_cancelling_twice_are_no_errors_and_the_ended_is_not_resumed(
    world: World, refusal: Any
) -> None:
    rollout = await world.roll("host-1")
    for _ in range(2):
        await world.pause(rollout)
    for _ in range(2):
        await world.cancel(rollout)
    assert (await refusal(world.resume(rollout))).code == "ROLLOUT_STATE"
    assert (await refusal(world.pause(rollout))).code == "ROLLOUT_STATE"


@pytest.mark.parametrize("let_finish", [False, True])
async def test_a_cancel_stops_for_free_before_go_and_tells_hosts_past_it_what_it_means(
    world: World, *, let_finish: bool
) -> None:
    names = ("host-1", "host-2", "host-3", "host-4")
    await world.online(*names)
    rollout = await world.roll(*names, limits={"max_concurrent": 2, "max_downloading": 3})
    trial, applying, staged = [await world.staged(name) for name in names[:3]]
    for agent in (trial, applying):
        await agent.granted()
    await world.on_trial("host-1")
    await applying.report("applying")
    await world.cancel(rollout, let_finish=let_finish)
    assert await world.states(*names) == ["promoted", "applying", "cancelled", "cancelled"]
    for agent in (trial, applying):
        none = await agent.expect("assignment")
        assert (none.version, none.stop_before_switch, none.recall) == ("", not let_finish, False)
    assert (await staged.expect("assignment")).version == ""
    assert await world.budget("rollout/") == (2, 0)
    await trial.commit()
    if let_finish:
        await world.on_trial("host-2")
        await applying.commit()
    else:
        await applying.back("cancelled")
    assert await world.states(*names[:2]) == ["succeeded", "succeeded" if let_finish else "cancelled"]
    assert await world.budget("rollout/") == (0, 0)
    assert await world.state(rollout) == "CANCELLED"


async def test_a_bad_result_after_the_cancel_is_counted_and_holds_nothing(world: World) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1")
    agent = await world.staged("host-1")
    await agent.granted()
    await agent.report("applying")
    await world.cancel(rollout)
    await agent.back("rolled_back")
    assert (await world.show(rollout)).waves[0].bad == 1
    assert await world.state(rollout) == "CANCELLED"


async def test_offline_hosts_that_wait_halt_nothing_and_expire_at_the_end(world: World) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1", "host-2", waves=[2], limits={"not_after": 3600})
    await world.update("host-1")
    row = await world.host("host-2")
    assert (row["state"], row["waiting"]) == ("pending", "HOST_OFFLINE")
    assert await world.state(rollout) == "COMPLETED", "nobody waits for a sleeping laptop"
    await world.sweep(3601)
    assert await world.states("host-2") == ["expired"]
    assert (await world.show(rollout)).waves[0].bad == 0


async def test_a_wave_of_sleeping_hosts_passes_nothing(world: World) -> None:
    rollout = await world.roll("host-1", "host-2", waves=[1, 0], limits={"not_after": 3600})
    await world.watch(1800, step=300)
    assert await world.waves(rollout) == ["OPEN", "PENDING"]
    await world.sweep(3600)
    assert await world.states("host-1") == ["expired"]
    assert await world.state(rollout) == "PAUSED", "nothing is left that could speak: a person decides"
    await world.cancel(rollout)


async def test_an_offline_host_that_comes_gets_its_turn(world: World) -> None:
    rollout = await world.roll("host-1")
    assert (await world.host("host-1"))["waiting"] == "HOST_OFFLINE"
    await world.online("host-1")
    await world.update("host-1")
    assert await world.state(rollout) == "COMPLETED"


async def test_offline_policy_skip_is_no_failure(world: World) -> None:
    await world.online("host-2")
    policy = rollouts_pb2.OFFLINE_POLICY_SKIP
    rollout = await world.roll("host-1", "host-2", limits={"offline_policy": policy})
    row = await world.host("host-1")
    assert (row["state"], row["code"]) == ("skipped", "HOST_OFFLINE")
    await world.update("host-2")
    assert await world.state(rollout) == "COMPLETED"


async def test_offline_policy_fail_is_bad_at_once(world: World) -> None:
    policy = rollouts_pb2.OFFLINE_POLICY_FAIL
    rollout = await world.roll("host-1", "host-2", limits={"offline_policy": policy})
    row = await world.host("host-1")
    assert (row["state"], row["code"]) == ("failed", "HOST_OFFLINE_AT_DISPATCH")
    assert await world.state(rollout) == "HALTED"
    assert await world.budget("rollout/") == (0, 0), "it never had Go"
    await world.cancel(rollout)


async def test_a_host_at_the_target_is_skipped_and_skipped_is_no_success(world: World) -> None:
    agent = world.agent("host-1")
    agent.disk.version = NEW
    await agent.connect()
    await world.online("host-2")
    rollout = await world.roll("host-1", "host-2")
    assert (await world.states("host-2")) == ["offered"]
    await world.update("host-2")
    assert await world.state(rollout) == "COMPLETED"


async def test_time_that_a_rollout_stood_does_not_count_against_its_hosts(world: World) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1", limits={"not_after": 3600})
    await world.staged("host-1")
    await world.pause(rollout)
    await world.sweep(7200)
    assert await world.states("host-1") == ["staged"]
    await world.resume(rollout)
    agent = world.agent("host-1")
    await agent.expect("ask_again")
    await agent.granted()
    await world.on_trial("host-1")
    await agent.commit()
    assert await world.state(rollout) == "COMPLETED"


async def test_a_wave_is_watched_for_its_bake_and_only_while_somebody_watches(world: World) -> None:
    await world.online("host-1", "host-2")
    await world.sweep()
    rollout = await world.roll("host-1", "host-2", waves=[1, 0], limits={"bake": 60})
    await world.update("host-1")
    assert await world.waves(rollout) == ["BAKING", "PENDING"]
    await world.watch(30)
    assert (await world.show(rollout)).waves[0].baked.ToTimedelta().total_seconds() == 30
    await world.drop("host-1")
    await world.watch(30)
    assert (await world.show(rollout)).waves[0].baked.ToTimedelta().total_seconds() == 30, "its host is away"
    await world.online("host-1")
    await world.sweep()
    await world.restart()
    world.clock.advance(3600)
    await world.sweep()
    assert (await world.show(rollout)).waves[0].baked.ToTimedelta().total_seconds() == 30, "nobody was there"
    await world.online("host-1", "host-2")
    await world.watch(35)
    assert await world.waves(rollout) == ["PASSED", "OPEN"]
    await world.update("host-2")
    await world.watch(65)
    assert await world.state(rollout) == "COMPLETED"


async def test_a_host_that_goes_back_during_the_bake_fails_its_wave(world: World) -> None:
    await world.online("host-1", "host-2")
    rollout = await world.roll("host-1", "host-2", waves=[1, 0], limits={"bake": 60})
    agent = await world.update("host-1")
    agent.disk.attempt = {"generation": agent.disk.highest, "version": NEW}
    await agent.back("rolled_back")
    assert await world.state(rollout) == "HALTED"
    assert await world.agent("host-2").waiting("assignment") == []
    await world.cancel(rollout)


async def test_downloads_have_a_limit_of_their_own_and_spend_no_budget(world: World) -> None:
    await world.online(*SIX)
    rollout = await world.roll(*SIX, limits={"max_downloading": 2})
    assert (await world.states(*SIX)).count("offered") == 2
    await world.staged("host-1")
    assert (await world.states(*SIX)) == ["staged", "offered", "offered", "pending", "pending", "pending"]
    assert await world.budget("rollout/") == (0, 0)
    await world.cancel(rollout)


async def test_a_wave_that_failed_before_go_holds_no_budget(world: World) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1")
    agent = world.agent("host-1")
    await agent.take()
    await agent.report("failed", code=code("WRONG_HASH"), message="other bytes")
    assert await world.state(rollout) == "HALTED"
    assert await world.budget("rollout/") == (0, 0)
    (wave,) = await world.rows(WaveRow)
    assert (wave["counters"]["bad"], wave["counters"]["attempted"]) == (1, 1)
    await world.cancel(rollout)


async def test_a_rollback_that_failed_stays_broken_until_the_host_is_well(world: World) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1")
    agent = await world.staged("host-1")
    await agent.granted()
    await agent.report("applying")
    agent.disk.healthy = False
    await agent.back("rollback_failed")
    await world.cancel(rollout)
    assert await world.budget("global") == (0, 1)
    await agent.connect()
    assert await world.budget("global") == (0, 1)
    agent.disk.healthy = True
    await agent.connect()
    assert await world.budget("global") == (0, 0)


async def test_a_host_that_is_revoked_past_go_stays_charged_until_it_is_lost(
    world: World,
) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1")
    agent = await world.staged("host-1")
    await agent.granted()
    await world.revoke("host-1")
    await agent.ended()
    async with asyncio.timeout(5):
        while (await world.identity("host-1"))["server_id"]:
            await asyncio.sleep(0.01)
    assert await world.budget("global") == (1, 0)
    await world.sweep(91)
    assert await world.states("host-1") == ["lost"]
    assert (await world.show(rollout)).waves[0].bad == 1
    assert await world.budget("global") == (0, 0), "it can't come back and tell"
    assert await world.budget("rollout/") == (0, 1)
    await world.cancel(rollout)


async def test_a_newer_release_reaches_hosts_after_the_older_one(world: World) -> None:
    await world.online("host-1")
    first = await world.roll("host-1")
    await world.update("host-1")
    second = await world.roll("host-1", version=NEWER)
    await world.update("host-1", NEWER)
    assert [await world.state(rollout) for rollout in (first, second)] == ["COMPLETED", "COMPLETED"]
    row = await world.host("host-1", second)
    assert (row["from_version"], row["generation"]) == (NEW, 2)


async def test_nobody_is_asked_to_go_back_to_what_runs_by_an_old_assignment(world: World) -> None:
    await world.online("host-1")
    await world.roll("host-1")
    agent = await world.update("host-1")
    await agent.connect()
    assert await agent.waiting("assignment", "promote", "go") == []
    assert agent.disk.previous == OLD
