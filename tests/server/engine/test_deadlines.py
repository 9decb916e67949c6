"""Silence is never success: every state's time ends, acted on by itself within seconds, also after a restart."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from google.protobuf.duration_pb2 import Duration

from fleetroll_server.engine import engine
from fleetroll_server.store.tables import SpellRow
from tests.faults.stocks import NEW, OLD
from tests.faults.virtual_disk import code

if TYPE_CHECKING:
    from tests.faults.worlds import World


async def test_an_offer_that_is_not_taken_in_30_seconds_failed(world: World) -> None:
    (agent,) = await world.online("host-1")
    rollout = await world.roll("host-1")
    await agent.take()
    await world.sweep(29)
    assert await world.states("host-1") == ["offered"]
    await world.sweep(1)
    row = await world.host("host-1")
    assert (row["state"], row["code"]) == ("failed", "DISPATCH_FAILED")
    assert (await agent.expect("assignment")).version == "", "none is desired, in the same transaction"
    assert await world.state(rollout) == "HALTED"
    assert await world.budget("rollout/") == (0, 0)
    assert await agent.report("staged") == 1
    assert await world.states("host-1") == ["failed"]
    await world.cancel(rollout)


async def test_an_offer_to_a_host_that_leaves_waits_for_it(world: World) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1")
    await world.drop("host-1")
    row = await world.host("host-1")
    assert (row["state"], row["waiting"]) == ("pending", "HOST_OFFLINE")
    await world.sweep(3600)
    assert await world.states("host-1") == ["pending"]
    agent = world.agent("host-1")
    await agent.connect()
    await world.update("host-1")
    assert (await world.host("host-1"))["generation"] == 2
    assert await world.state(rollout) == "COMPLETED"


async def test_a_download_that_does_not_end_failed(world: World) -> None:
    (agent,) = await world.online("host-1")
    rollout = await world.roll("host-1")
    await agent.take()
    await agent.report("downloading")
    await world.sweep(299)
    assert await world.states("host-1") == ["downloading"]
    await world.sweep(2)
    row = await world.host("host-1")
    assert (row["state"], row["code"]) == ("failed", "DOWNLOAD_FAILED")
    await world.cancel(rollout)


async def test_a_download_of_a_host_that_left_has_no_deadline_until_it_is_back(world: World) -> None:
    (agent,) = await world.online("host-1")
    rollout = await world.roll("host-1")
    await agent.take()
    await agent.report("downloading")
    await world.drop("host-1")
    await world.sweep(7200)
    assert await world.states("host-1") == ["downloading"]
    await agent.connect()
    assert (await world.host("host-1"))["deadline"] is not None
    agent.disk.attempt["sha256"] = bytes.fromhex(world.stock.digests[NEW])  # type: ignore[index]
    await agent.report("staged")
    await agent.granted()
    await world.on_trial("host-1")
    await agent.commit()
    assert await world.state(rollout) == "COMPLETED"


@pytest.mark.parametrize(("announced", "seconds"), [(None, 630), (100, 130)])
async def test_applying_is_lost_after_what_the_host_allowed_itself(
    world: World, announced: int | None, seconds: int
) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1")
    agent = await world.staged("host-1")
    await agent.granted()
    limit = {} if announced is None else {"time_limit": Duration(seconds=announced)}
    await agent.report("applying", step="restart", **limit)
    await world.drop("host-1")
    await world.sweep(seconds - 1)
    assert await world.states("host-1") == ["applying"]
    await world.sweep(2)
    assert await world.states("host-1") == ["lost"]
    assert await world.budget("global") == (0, 1)
    assert await world.state(rollout) == "HALTED"
    late = agent.journal("rolled_back", running_version=OLD)
    agent.disk.attempt = None
    await agent.connect()
    assert await world.states("host-1") == ["lost"], "a hello that does not name the attempt says nothing about it"
    await agent.deliver(late)
    assert await world.states("host-1") == ["rolled_back"]
    assert (await world.show(rollout)).waves[0].bad == 1
    await world.cancel(rollout)


async def test_a_trial_without_a_word_is_lost_after_its_lease(world: World) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1", limits={"soak": 60, "lease": 300})
    agent = await world.staged("host-1")
    await agent.granted()
    await agent.report("applying", step="restart", time_limit=Duration(seconds=200))
    await agent.report("trial")
    await world.drop("host-1")
    await world.sweep(360)
    assert await world.states("host-1") == ["trial"]
    await world.sweep(31)
    row = await world.host("host-1")
    assert (row["state"], row["code"]) == ("lost", "NEVER_CAME_BACK")
    await world.cancel(rollout)
    world.left_over = {"global": (0, 1), "fleet": (0, 1)}


async def test_a_promoted_host_that_never_confirms_is_lost_and_its_late_word_counts(world: World) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1")
    agent = await world.staged("host-1")
    await agent.granted()
    await world.on_trial("host-1")
    assert await world.states("host-1") == ["promoted"]
    await world.sweep(3600)
    assert await world.states("host-1") == ["lost"]
    assert await world.state(rollout) == "HALTED"
    await agent.commit()
    assert await world.states("host-1") == ["succeeded"]
    assert await world.budget("rollout/") == (0, 0)
    assert await world.state(rollout) == "HALTED", "1 of 1 came back: a person continues"
    await world.resume(rollout)
    assert await world.state(rollout) == "COMPLETED"


async def test_promote_is_sent_again_on_every_hello_of_the_trial_and_for_nothing_else(world: World) -> None:
    await world.online("host-1")
    await world.roll("host-1")
    agent = await world.staged("host-1")
    await agent.granted()
    await agent.report("applying")
    await agent.try_out("1.0.9", "ab" * 32)
    assert await agent.waiting("promote") == [], "another version than the wanted one is never kept"
    agent.disk.version, agent.disk.sha256 = NEW, "ab" * 32
    await agent.connect()
    assert await agent.waiting("promote") == [], "nor other bytes"
    agent.disk.sha256 = world.stock.digests[NEW]
    for _ in range(3):
        await agent.connect()
        promote = await agent.expect("promote")
        assert (promote.generation, promote.sha256.hex()) == (agent.generation, world.stock.digests[NEW])
        assert await agent.waiting("promote") == []
    assert await world.states("host-1") == ["promoted"], "succeeded only when the host says so"
    await agent.commit()
    await agent.connect()
    assert await agent.waiting("promote") == []


async def test_a_release_that_runs_under_another_name_is_an_alarm_and_never_kept(world: World) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1")
    agent = await world.staged("host-1")
    await agent.granted()
    await agent.report("applying")
    agent.disk.calls_itself = "1.0.5"
    await agent.try_out(NEW, world.stock.digests[NEW])
    await agent.connect()
    assert await agent.waiting("promote") == []
    (alarm,) = await world.events("alert.came_back_other")
    assert (alarm["code"], alarm["agent_id"]) == ("CAME_BACK_OTHER", agent.disk.agent_id)
    assert f"calls itself 1.0.5, the release is {NEW}" in alarm["message"]
    row = await world.host("host-1")
    assert (row["state"], row["code"]) == ("trial", "CAME_BACK_OTHER")
    agent.disk.calls_itself = ""
    await agent.back(code=code("LOST_CONTACT"), unproven=True)
    assert (await world.states("host-1"), await world.state(rollout)) == (["rolled_back"], "HALTED")
    await world.cancel(rollout)


async def test_a_wave_in_which_nothing_moves_for_a_day_is_halted(world: World) -> None:
    await world.online("host-1", "host-2")
    rollout = await world.roll("host-1", "host-2")
    for name in ("host-1", "host-2"):
        await world.staged(name)
    await world.sweep(24 * 3600 - 1)
    assert await world.state(rollout) == "RUNNING"
    await world.sweep(2)
    assert await world.state(rollout) == "HALTED"
    assert "nothing moved" in (await world.show(rollout)).state_decision.reason
    await world.cancel(rollout)


async def test_the_server_looks_by_itself(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "SWEEP_SECONDS", 0.05)
    await world.restart()
    (agent,) = await world.online("host-1")
    rollout, offered = await world.roll("host-1"), world.clock.now()
    await agent.take()
    async with asyncio.timeout(10):
        while await world.states("host-1") != ["failed"]:
            world.clock.advance(5)
            while max(row["ticked_at"] for row in await world.rows(SpellRow)) < world.clock.now():
                await asyncio.sleep(0.02)
    assert world.clock.now() - offered <= timedelta(seconds=40)
    assert await world.state(rollout) == "HALTED"
    await world.cancel(rollout)


async def test_a_deadline_that_passed_while_the_server_was_down_is_moved_on_by_its_downtime(world: World) -> None:
    await world.online("host-1")
    await world.roll("host-1")
    agent = await world.staged("host-1")
    await agent.granted()
    await agent.report("applying", step="restart", time_limit=Duration(seconds=100))
    await world.crash()
    await world.stop()
    world.clock.advance(3600)
    await world.start()
    world.readdress()
    await world.sweep(1)
    assert await world.states("host-1") == ["applying"], "nobody could be heard"
    agent = world.agent("host-1")
    agent.switch(NEW, world.stock.digests[NEW])
    await agent.connect()
    await agent.expect("promote")
    await agent.commit()
