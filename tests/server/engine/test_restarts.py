"""The server goes away at every state, in good order or killed: the rollout goes on, nothing is sent out twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.stocks import NEW

if TYPE_CHECKING:
    from tests.faults.worlds import World

STATES = ("pending", "offered", "downloading", "staged", "granted", "applying", "trial", "promoted", "succeeded")


async def reach(world: World, state: str) -> None:
    """Bring the first of two hosts to a state."""
    agent, rank = world.agent("host-1"), STATES.index(state)
    if rank >= STATES.index("downloading"):
        await agent.take()
        agent.disk.attempt["sha256"] = bytes.fromhex(world.stock.digests[NEW])  # type: ignore[index]
        await agent.report("downloading")
    if rank >= STATES.index("staged"):
        await agent.report("staged")
    if rank >= STATES.index("granted"):
        await agent.granted()
    if rank >= STATES.index("applying"):
        await agent.report("applying", step="restart")
    if state == "trial":
        await agent.report("trial")
        await world.drop("host-1")
        agent.switch(NEW, world.stock.digests[NEW])
    if rank >= STATES.index("promoted"):
        await agent.try_out(NEW, world.stock.digests[NEW])
        await agent.expect("promote")
    if state == "succeeded":
        await agent.commit()


async def go_on(world: World, state: str) -> None:
    """Go on from where the host stands by its own disk."""
    agent = world.agent("host-1")
    await agent.connect()
    if state in {"pending", "offered"}:
        await world.staged("host-1")
    else:
        assert await agent.waiting("assignment") == [], "what it took is not sent again"
    if state == "downloading":
        await agent.report("staged")
    if STATES.index(state) <= STATES.index("granted"):
        assert await world.states("host-1") == ["staged"]
        assert await world.budget("rollout/") == (0, 0)
        await agent.granted()
        await agent.report("applying", step="restart")
    if STATES.index(state) <= STATES.index("applying"):
        await agent.try_out(NEW, world.stock.digests[NEW])
    if state != "succeeded":
        await agent.expect("promote")
        await agent.commit()


@pytest.mark.parametrize("killed", [False, True], ids=["stopped", "killed"])
@pytest.mark.parametrize("state", STATES)
async def test_a_rollout_goes_on_after_its_server_was_gone(world: World, state: str, *, killed: bool) -> None:
    if state != "pending":
        await world.online("host-1")
    rollout = await world.roll("host-1", "host-2", waves=[1, 0])
    await reach(world, state)
    assert await world.states("host-1") == [state]
    in_use = await world.budget("rollout/")
    if killed:
        await world.crash()
    else:
        await world.restart()
    assert await world.budget("rollout/") == in_use, "the end of a server frees nothing"
    world.clock.advance(20)
    await world.sweep()
    await go_on(world, state)
    assert await world.states("host-1") == ["succeeded"]
    await world.online("host-2")
    await world.update("host-2")
    assert await world.state(rollout) == "COMPLETED"
    grants = [row["agent_id"] for row in await world.events("attempt.state") if row["attempt_state"] == "applying"]
    assert len(grants) == len(set(grants)) == 2, "each host applied once"


@pytest.mark.parametrize("stood", ["PAUSED", "HALTED", "AWAITING"])
async def test_what_waits_for_a_person_still_waits_after_a_kill(world: World, stood: str) -> None:
    await world.online("host-1", "host-2")
    rollout = await world.roll("host-1", "host-2", waves=[1, 0], manual_advance=stood == "AWAITING")
    if stood == "PAUSED":
        await world.staged("host-1")
        await world.pause(rollout)
    elif stood == "HALTED":
        await world.fail("host-1")
    else:
        await world.update("host-1")
    revision = (await world.show(rollout)).decision_revision
    await world.crash()
    await world.online("host-1", "host-2")
    await world.watch(60)
    for name in ("host-1", "host-2"):
        assert await world.agent(name).waiting("assignment", "go", "ask_again") == []
    shown = await world.show(rollout)
    assert shown.decision_revision == revision, "what a person saw before still holds"
    if stood == "PAUSED":
        await world.resume(rollout, revision)
        await world.agent("host-1").granted()
        await world.on_trial("host-1")
        await world.agent("host-1").commit()
    elif stood == "HALTED":
        await world.resume(rollout, revision)
        assert await world.state(rollout) == "PAUSED", "nobody succeeded: only a person can say that this is enough"
        await world.advance(rollout)
    else:
        await world.advance(rollout, revision)
    await world.update("host-2")
    assert await world.state(rollout) == "COMPLETED"


async def test_a_cancel_reaches_a_host_that_was_away_while_the_server_was_killed(world: World) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1")
    await world.staged("host-1")
    await world.drop("host-1")
    await world.cancel(rollout)
    await world.crash()
    agent = world.agent("host-1")
    await agent.connect()
    assert (await agent.expect("assignment")).version == ""
    assert await agent.waiting("assignment") == []


async def test_a_go_whose_server_was_killed_is_lost_only_after_its_host_had_time_to_come_back(world: World) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1")
    agent = await world.staged("host-1")
    await agent.granted()
    await world.crash()
    await world.sweep(80)
    assert await world.states("host-1") == ["granted"]
    await world.sweep(11)
    assert await world.states("host-1") == ["lost"]
    agent = world.agent("host-1")
    await agent.connect()
    assert await world.states("host-1") == ["staged"]
    await world.cancel(rollout)
