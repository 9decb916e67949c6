"""A Go that was not used: who frees it, who never does, and what a host without a word holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fleetroll.v1 import agent_stream_pb2 as stream_pb2
from tests.faults.stocks import NEW, NEWER, OLD
from tests.faults.virtual_disk import attempt_state

if TYPE_CHECKING:
    from tests.faults.worlds import World


async def one_staged(world: World) -> str:
    """Start a rollout to one host and let it stage; return the rollout."""
    await world.online("host-1")
    rollout = await world.roll("host-1")
    await world.staged("host-1")
    return rollout


async def granted(world: World) -> str:
    """Start a rollout to one host that has Go; return the rollout."""
    rollout = await one_staged(world)
    await world.agent("host-1").granted()
    assert await world.budget("rollout/") == (1, 0)
    return rollout


async def test_a_hello_that_says_staged_frees_a_lost_go_and_only_that(world: World) -> None:
    rollout = await granted(world)
    agent = world.agent("host-1")
    await world.drop("host-1")
    assert await world.states("host-1") == ["granted"]
    assert await world.budget("rollout/") == (1, 0)
    await world.pause(rollout)
    await world.sweep(30)
    assert await world.budget("rollout/") == (1, 0), "neither the cut nor a pause nor time frees it"
    await agent.connect()
    assert await world.states("host-1") == ["staged"]
    for scope in ("global", "fleet/", "rollout/"):
        assert await world.budget(scope) == (0, 0)
    assert not (await world.host("host-1"))["attempted"]
    await world.resume(rollout)
    await agent.granted()
    assert await world.budget("rollout/") == (1, 0)
    await world.on_trial("host-1")
    await agent.commit()


async def test_a_staged_report_frees_nothing(world: World) -> None:
    await granted(world)
    agent = world.agent("host-1")
    assert await agent.report("staged") == agent.disk.sequence
    assert await world.states("host-1") == ["granted"]
    assert await world.budget("rollout/") == (1, 0)
    await agent.report("applying")
    await agent.back("cancelled")


async def test_a_newer_ask_is_granted_again_on_the_same_charge(world: World) -> None:
    await granted(world)
    agent = world.agent("host-1")
    for _ in range(3):
        await agent.granted()
        for scope in ("global", "fleet/", "rollout/"):
            assert await world.budget(scope) == (1, 0)
    await agent.report("applying")
    await agent.back("cancelled")


async def test_a_newer_ask_that_is_refused_frees_the_charge_of_the_older_one(world: World) -> None:
    rollout = await granted(world)
    agent = world.agent("host-1")
    await world.pause(rollout)
    assert await agent.refused_go() == "PAUSED"
    assert await world.states("host-1") == ["staged"]
    assert await world.budget("rollout/") == (0, 0)
    await world.cancel(rollout)


async def test_a_doubled_ask_is_no_proof_and_changes_nothing(world: World) -> None:
    await granted(world)
    agent = world.agent("host-1")
    answer = await agent.ask(number=agent.here.ask)
    assert isinstance(answer, stream_pb2.NoGo), answer
    assert await world.states("host-1") == ["granted"]
    assert await world.budget("rollout/") == (1, 0)
    await agent.report("applying")
    await agent.back("cancelled")


async def test_a_go_granted_just_before_a_pause_is_usable_and_its_hosts_word_settles_it(world: World) -> None:
    rollout = await granted(world)
    await world.pause(rollout)
    agent = await world.on_trial("host-1")
    assert await world.budget("rollout/") == (1, 0)
    await agent.commit()
    assert await world.budget("rollout/") == (0, 0)
    assert await world.state(rollout) == "PAUSED"
    await world.resume(rollout)
    assert await world.state(rollout) == "COMPLETED"


@pytest.mark.parametrize("end", ["cancel", "not_after", "kill"])
async def test_from_granted_on_only_the_hosts_word_ends_an_attempt(world: World, end: str) -> None:
    rollout = await granted(world)
    agent = world.agent("host-1")
    if end == "cancel":
        await world.cancel(rollout)
        none = await agent.expect("assignment")
        assert (none.version, none.stop_before_switch) == ("", True)
    elif end == "not_after":
        await world.sweep(8 * 86_400)
    else:
        await world.press()
    assert await world.states("host-1") == ["granted"]
    assert await world.budget("rollout/") == (1, 0)
    await agent.report("cancelled", code=stream_pb2.Refusal().code)
    assert await world.states("host-1") == ["cancelled"]
    assert await world.budget("rollout/") == (0, 0)


async def test_go_without_a_session_is_lost_after_90_seconds_and_broken(world: World) -> None:
    rollout = await granted(world)
    await world.sweep(600)
    assert await world.states("host-1") == ["granted"], "while the session lives its host may be about to use it"
    await world.drop("host-1")
    await world.sweep(89)
    assert await world.states("host-1") == ["granted"]
    await world.sweep(1)
    row = await world.host("host-1")
    assert (row["state"], row["code"]) == ("lost", "HOST_WENT_OFFLINE")
    for scope in ("global", "fleet/", "rollout/"):
        assert await world.budget(scope) == (0, 1)
    assert await world.state(rollout) == "HALTED"
    world.left_over = {"global": (0, 1), "fleet": (0, 1), "rollout": (0, 1)}


async def lost(world: World) -> str:
    """Start a rollout to one host whose Go is lost; return the rollout."""
    rollout = await granted(world)
    await world.drop("host-1")
    await world.sweep(91)
    assert await world.states("host-1") == ["lost"]
    return rollout


async def test_a_lost_host_that_is_staged_was_never_broken(world: World) -> None:
    rollout = await lost(world)
    agent = world.agent("host-1")
    await agent.connect()
    assert await world.states("host-1") == ["staged"]
    for scope in ("global", "fleet/", "rollout/"):
        assert await world.budget(scope) == (0, 0)
    assert (await world.show(rollout)).waves[0].bad == 0
    assert await world.state(rollout) == "HALTED", "a person continues"
    assert await agent.refused_go() == "PAUSED"
    await world.resume(rollout)
    await agent.granted()
    await world.on_trial("host-1")
    await agent.commit()
    assert await world.state(rollout) == "COMPLETED"


async def test_a_lost_host_that_is_applying_is_in_use_again(world: World) -> None:
    rollout = await lost(world)
    agent = world.agent("host-1")
    agent.disk.attempt["state"] = attempt_state("applying")  # type: ignore[index]
    await agent.connect()
    assert await world.states("host-1") == ["applying"]
    assert await world.budget("rollout/") == (1, 0)
    await world.on_trial("host-1")
    await agent.commit()
    assert await world.budget("rollout/") == (0, 0)
    assert (await world.show(rollout)).waves[0].bad == 0
    assert await world.state(rollout) == "HALTED"


@pytest.mark.parametrize("result", ["succeeded", "rolled_back"])
async def test_a_lost_host_that_ended_brings_its_result(world: World, result: str) -> None:
    rollout = await lost(world)
    agent = world.agent("host-1")
    late = agent.journal("applying", "trial", result, running_version=NEW if result == "succeeded" else OLD)
    if result == "succeeded":
        agent.disk.version, agent.disk.sha256 = NEW, world.stock.digests[NEW]
    await agent.connect()
    assert await world.states("host-1") == [result]
    await agent.deliver(late)
    wave = (await world.show(rollout)).waves[0]
    assert (wave.bad, wave.attempted) == (0 if result == "succeeded" else 1, 1)
    assert await world.budget("global") == (0, 0), "the host is well again, whatever it runs"
    broken_here = 0 if result == "succeeded" else 1
    assert await world.budget("rollout/") == (0, broken_here)
    await world.cancel(rollout)
    assert await world.budget("rollout/") == (0, 0)


async def test_a_host_that_shows_itself_past_go_without_a_grant_is_charged_above_the_limit(world: World) -> None:
    await world.online("host-1", "host-2")
    await world.roll("host-1", "host-2")
    first, second = await world.staged("host-1"), await world.staged("host-2")
    await first.granted()
    await second.cut()
    second.disk.attempt["state"] = attempt_state("applying")  # type: ignore[index]
    await second.connect()
    assert await world.states("host-1", "host-2") == ["granted", "applying"]
    for scope in ("global", "fleet/", "rollout/"):
        assert await world.budget(scope) == (2, 0)
    assert len(await world.events("alert.go_without_grant")) == 1
    await second.back("cancelled")
    await first.report("cancelled")


async def test_a_host_of_a_halted_scope_may_be_fixed_by_a_newer_release(world: World) -> None:
    first = await world.roll("host-1", "host-2")
    await world.online("host-1")
    await world.fail("host-1")
    assert await world.state(first) == "HALTED"
    assert await world.budget("rollout/") == (0, 1)
    await world.cancel(first)
    second = await world.roll("host-1", version=NEWER)
    await world.update("host-1", NEWER)
    assert await world.state(second) == "COMPLETED"


async def test_a_host_that_is_broken_everywhere_does_not_block_its_own_fix(world: World) -> None:
    for scope in ("global", "fleet/default"):
        await world.set_budget(scope, max_in_use=1, max_out=1)
    rollout = await lost(world)
    await world.cancel(rollout)
    agent = world.agent("host-1")
    agent.disk.healthy = False
    agent.disk.attempt["state"] = attempt_state("rollback_failed")  # type: ignore[index]
    await agent.connect()
    assert await world.states("host-1") == ["rollback_failed"]
    assert await world.budget("global") == (0, 1)
    agent.disk.attempt = None
    second = await world.roll("host-1", version=NEWER)
    await world.staged("host-1", NEWER)
    await agent.granted()
    assert await world.budget("global") == (1, 0)
    await world.on_trial("host-1", NEWER)
    await agent.commit()
    assert await world.state(second) == "COMPLETED"


@pytest.mark.parametrize("let_finish", [False, True])
async def test_a_host_that_is_lost_after_its_rollout_was_cancelled_holds_nothing_of_it(
    world: World, *, let_finish: bool
) -> None:
    rollout = await granted(world)
    await world.cancel(rollout, let_finish=let_finish)
    await world.drop("host-1")
    await world.sweep(91)
    assert await world.states("host-1") == ["lost"]
    assert await world.budget("rollout/") == (0, 0)
    for scope in ("global", "fleet/"):
        assert await world.budget(scope) == (0, 1)
    agent = world.agent("host-1")
    agent.disk.attempt = None
    await agent.connect()
    assert await world.budget("global") == (0, 0), "it holds its health"
    world.left_over = {}
