"""Revoking a host ends what it had not begun, in the same transaction: no wave waits for a host that can't come."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fleetroll_server.store.tables import AssignmentRow, WaveRow

if TYPE_CHECKING:
    from tests.faults.worlds import World


async def reach(world: World, name: str, state: str) -> None:
    """Bring a host that has an offer to a state before Go."""
    if state == "downloading":
        await world.agent(name).take()
        await world.agent(name).report("downloading")
    if state == "staged":
        await world.staged(name)


@pytest.mark.parametrize("away", [False, True], ids=["online", "away"])
@pytest.mark.parametrize("state", ["offered", "downloading", "staged"])
async def test_a_host_before_go_is_skipped_and_its_wave_passes(world: World, state: str, *, away: bool) -> None:
    await world.online("host-1", "host-2")
    rollout = await world.roll("host-1", "host-2")
    await reach(world, "host-2", state)
    if away:
        await world.drop("host-2")
    await world.update("host-1")
    assert await world.state(rollout) == "RUNNING"
    await world.revoke("host-2")
    row = await world.host("host-2")
    assert (row["state"], row["code"], row["waiting"], row["deadline"]) == ("skipped", "HOST_REVOKED", "", None)
    assert await world.state(rollout) == "COMPLETED", "at once, not when its time is over"
    (desired,) = await world.rows(AssignmentRow, agent_id=row["agent_id"])
    assert (desired["version"], desired["code"]) == ("", "HOST_REVOKED")


async def test_a_host_that_never_had_an_offer_is_skipped_too(world: World) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1", "host-3", waves=[1, 0])
    await world.revoke("host-3")
    assert await world.states("host-3") == ["skipped"]
    waves = sorted(await world.rows(WaveRow, rollout_id=rollout), key=lambda row: row["number"])
    assert [wave["counters"]["ended"] for wave in waves] == [0, 1]
    await world.cancel(rollout)


async def test_a_wave_whose_only_host_is_revoked_asks_a_person_at_once(world: World) -> None:
    await world.online("host-2")
    rollout = await world.roll("host-1", "host-2", waves=[1, 0])
    await world.sweep()
    await world.revoke("host-1")
    assert await world.state(rollout) == "PAUSED", "nothing was tried: the canary proved nothing"
    await world.advance(rollout)
    await world.update("host-2")
    assert await world.state(rollout) == "COMPLETED"


async def test_a_host_past_go_is_not_skipped(world: World) -> None:
    await world.online("host-1")
    await world.roll("host-1")
    agent = await world.staged("host-1")
    await agent.granted()
    await agent.report("applying", step="restart")
    await world.revoke("host-1")
    assert await world.states("host-1") == ["applying"], "what became of it is not known"
    world.left_over = {"global": (1, 0), "fleet": (1, 0), "rollout": (1, 0)}


async def test_the_kill_switch_and_a_pause_hold_while_a_host_is_revoked(world: World) -> None:
    await world.online("host-1", "host-2")
    rollout = await world.roll("host-1", "host-2")
    await world.staged("host-2")
    await world.update("host-1")
    await world.pause(rollout)
    await world.revoke("host-2")
    assert await world.states("host-2") == ["skipped"]
    assert await world.state(rollout) == "PAUSED"
    await world.resume(rollout)
    assert await world.state(rollout) == "COMPLETED"
