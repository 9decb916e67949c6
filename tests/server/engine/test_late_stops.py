"""Pause, kill switch, cancel and a withdrawn release stop the late hosts of a completed rollout at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest
import sqlalchemy as sa

from fleetroll_server.store.fleets import every_fleet
from fleetroll_server.store.tables import AgentRow, ReleaseRow, table_of
from tests.faults.recounts import check
from tests.faults.stocks import NEW
from tests.faults.virtual_disk import code

if TYPE_CHECKING:
    from tests.faults.worlds import World


@pytest.fixture
async def late(world: World) -> str:
    """A completed rollout with host-2 staged in it, and host-3 off."""
    await world.online("host-1")
    rollout = await world.roll("host-1", "host-2", "host-3")
    await world.update("host-1")
    await world.online("host-2")
    await world.staged("host-2")
    assert await world.state(rollout) == "COMPLETED"
    return rollout


async def stopped(world: World, rollout: str) -> str:
    """Return the code of the stop; empty while late hosts are offered."""
    shown = (await world.show(rollout)).late
    return "" if not shown.HasField("stopped") else next(c for c in CODES if shown.stopped.code == code(c))


CODES = ("PAUSED", "SUSPENDED", "CANCELLED_BY", "WAVE_NOT_PASSED", "YANKED", "THRESHOLD_MISSING")


async def test_a_paused_one_gives_no_go_and_no_offer_until_a_person_resumes(world: World, late: str) -> None:
    seen = (await world.show(late)).decision_revision
    await world.pause(late)
    await world.pause(late)
    assert (await stopped(world, late), await world.state(late)) == ("PAUSED", "COMPLETED")
    with pytest.raises(grpc.aio.AioRpcError) as stale:
        await world.resume(late, revision=seen)
    assert "decision_revision" in str(stale.value.details())
    assert "a person to resume or cancel: 2 late hosts" in (await world.show(late)).waiting_for
    assert await world.agent("host-2").refused_go() == "PAUSED"
    await world.agent("host-2").report("failed", code=code("WRONG_HASH"))
    await world.online("host-3")
    await world.sweep(1)
    assert await world.states("host-3") == ["pending"], "nothing is offered"
    await world.resume(late)
    assert await stopped(world, late) == "WAVE_NOT_PASSED", "it went bad in the meantime"


async def test_after_a_resume_the_late_host_is_told_to_ask_again_and_its_time_moved_on(world: World, late: str) -> None:
    before = (await world.show(late)).ended_at
    await world.pause(late)
    await world.sweep(8 * 24 * 3600)
    assert await world.states("host-2", "host-3") == ["staged", "pending"], "their time stands"
    await world.resume(late)
    agent = world.agent("host-2")
    await agent.expect("ask_again")
    await agent.granted()
    await world.on_trial("host-2")
    await agent.commit()
    await world.online("host-3")
    await world.update("host-3")
    assert (await world.show(late)).ended_at == before


async def test_the_kill_switch_stops_them_and_lifting_it_starts_nothing(world: World, late: str) -> None:
    await world.press()
    agent = world.agent("host-2")
    assert await stopped(world, late) == "SUSPENDED"
    assert await agent.refused_go() == "SUSPENDED"
    await agent.report("cancelled", code=code("KILLED"))
    assert await world.states("host-2") == ["pending"], "the switch ends attempts, not plans"
    await world.online("host-3")
    assert await world.states("host-3") == ["pending"]
    with pytest.raises(grpc.aio.AioRpcError):
        await world.resume(late)
    await world.lift()
    await world.sweep(1)
    assert await world.agent("host-3").waiting("assignment") == []
    await world.resume(late)
    assert await world.states("host-2", "host-3") == ["offered", "pending"]
    await world.update("host-2")
    await world.update("host-3")


async def test_a_completed_rollout_without_late_hosts_is_left_alone_by_the_switch(world: World) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1")
    await world.update("host-1")
    await world.press()
    assert not (await world.show(rollout)).HasField("late")
    await world.lift()
    for act in (world.pause, world.cancel):
        with pytest.raises(grpc.aio.AioRpcError):
            await act(rollout)


async def test_a_killed_late_host_past_go_goes_back_and_waits_for_its_turn(world: World, late: str) -> None:
    agent = world.agent("host-2")
    await agent.granted()
    await agent.report("applying")
    await world.press()
    await agent.report("cancelled", code=code("KILLED"))
    assert await world.states("host-2") == ["pending"]
    assert await world.budget("rollout/") == (0, 0)
    await world.lift()
    await world.resume(late)
    await world.update("host-2")


async def test_a_cancel_keeps_it_completed_and_cancels_its_late_hosts(world: World, late: str) -> None:
    await world.cancel(late)
    await world.cancel(late)
    assert (await world.state(late), await stopped(world, late)) == ("COMPLETED", "CANCELLED_BY")
    for name in ("host-2", "host-3"):
        row = await world.host(name)
        assert (row["state"], row["code"], row["message"]) == ("cancelled", "CANCELLED_BY", "wrong one")
    assert (await world.agent("host-2").expect("assignment")).version == ""
    assert await world.states("host-1") == ["succeeded"]
    with pytest.raises(grpc.aio.AioRpcError):
        await world.resume(late)


@pytest.mark.parametrize("let_finish", [True, False])
async def test_a_late_host_past_go_goes_back_or_finishes_after_a_cancel(
    world: World, late: str, let_finish: bool
) -> None:
    agent = world.agent("host-2")
    await agent.granted()
    await agent.report("applying", step="restart")
    await world.cancel(late, let_finish=let_finish)
    assert await world.states("host-2", "host-3") == ["applying", "cancelled"]
    none = await agent.expect("assignment")
    assert (none.version, none.stop_before_switch) == ("", not let_finish)
    if let_finish:
        await world.on_trial("host-2")
        await agent.commit()
    else:
        await agent.report("cancelled", code=code("CANCELLED_BY"))
    assert await world.states("host-2") == ["succeeded" if let_finish else "cancelled"]
    assert await world.state(late) == "COMPLETED"


async def change(world: World, model: Any, column: str, value: str, **values: bool) -> None:
    """Change rows behind the server's back."""
    table = table_of(model)
    changed = every_fleet(sa.update(table).where(table.c[column] == value).values(**values), "a test")
    await world.services.store.writer.command(lambda tx: tx.execute(changed))


async def test_a_release_that_is_listed_no_more_gets_no_go_and_no_late_offer(world: World, late: str) -> None:
    await change(world, ReleaseRow, "version", NEW, listed=False)
    agent = world.agent("host-2")
    assert await agent.refused_go() == "YANKED"
    await world.online("host-3")
    await agent.report("cancelled")
    assert await stopped(world, late) == "YANKED"
    assert await world.states("host-3") == ["cancelled"]


@pytest.mark.parametrize("by_asking", [True, False])
async def test_a_quarantined_late_host_gives_its_place_up(world: World, late: str, by_asking: bool) -> None:
    await world.online("host-3")
    agent = world.agent("host-2")
    await change(world, AgentRow, "id", agent.disk.agent_id, quarantined=True)
    await (agent.refused_go() if by_asking else agent.connect())
    row = await world.host("host-2")
    assert (row["state"], row["waiting"]) == ("pending", "QUARANTINED")
    assert (await agent.expect("assignment")).version == ""
    assert await world.states("host-3") == ["offered"]
    await world.update("host-3")


async def test_a_stop_outlives_a_restart(world: World, late: str) -> None:
    await world.pause(late)
    await world.restart()
    await world.online("host-2", "host-3")
    assert await stopped(world, late) == "PAUSED"
    assert await world.states("host-2", "host-3") == ["pending", "pending"]
    await check(world)
    await world.resume(late)
    assert await world.states("host-2", "host-3") == ["offered", "pending"]
    await world.cancel(late)
