"""Late hosts of a completed rollout when something is wrong: a lost host, a fault of the server, unreadable limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest
import sqlalchemy as sa
from google.protobuf.duration_pb2 import Duration

from fleetroll_server.engine import sweep
from fleetroll_server.store.fleets import every_fleet
from fleetroll_server.store.tables import ClaimRow, ReleaseRow, RolloutRow, table_of
from tests.faults.stocks import NEW, NEWER
from tests.faults.virtual_disk import code
from tests.server.engine.test_late_offers import completed
from tests.server.engine.test_late_stops import change, stopped
from tests.server.engine.test_unreadable_limits import damage

if TYPE_CHECKING:
    from tests.faults.virtual_agent import VirtualAgent
    from tests.faults.worlds import World


async def lost(world: World) -> tuple[str, VirtualAgent]:
    """Return a completed rollout whose only late host is lost with an unused Go, and that host."""
    rollout = await completed(world, "host-2", max_failed=2, failure_limit=1.0)
    await world.online("host-2")
    agent = await world.staged("host-2")
    await agent.granted()
    await world.drop("host-2")
    await world.sweep(91)
    assert await world.states("host-2") == ["lost"]
    return rollout, agent


async def test_a_lost_host_gets_no_go_after_the_switch_until_a_person_resumes(world: World) -> None:
    rollout, agent = await lost(world)
    shown = await world.show(rollout)
    assert (shown.late.left, shown.late.under_way, shown.waiting_for) == (1, 0, "1 late host lost after Go")
    await world.press()
    assert await stopped(world, rollout) == "SUSPENDED"
    await world.lift()
    await agent.connect()
    assert await agent.refused_go() == "PAUSED"
    assert "a person to resume or cancel: 1 late host" in (await world.show(rollout)).waiting_for
    await world.resume(rollout)
    await agent.expect("ask_again")
    await agent.granted()
    await world.on_trial("host-2")
    await agent.commit()
    assert not (await world.show(rollout)).waiting_for


@pytest.mark.parametrize("act", ["pause", "cancel"])
async def test_a_lost_host_is_paused_and_cancelled(world: World, act: str) -> None:
    rollout, agent = await lost(world)
    await getattr(world, act)(rollout)
    assert await stopped(world, rollout) == ("PAUSED" if act == "pause" else "CANCELLED_BY")
    await agent.connect()
    assert await agent.refused_go() == "PAUSED", "and no Go"
    if act == "pause":
        await world.resume(rollout)
        await agent.granted()
    await agent.report("cancelled")


async def test_the_switch_leaves_a_lost_host_alone_that_gets_no_go_any_more(world: World) -> None:
    rollout, _ = await lost(world)
    await world.sweep(8 * 24 * 3600)
    await world.press()
    shown = await world.show(rollout)
    assert (shown.late.HasField("stopped"), shown.waiting_for) == (False, "")
    await world.lift()
    world.left_over = {"global": (0, 1), "fleet": (0, 1)}


async def test_late_hosts_that_cant_be_looked_at_stand_until_a_person_resumes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollout = await completed(world, "host-2", "host-3")
    await world.online("host-2")
    agent = await world.staged("host-2")

    async def wrong(*_rest: Any, **_facts: Any) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as broken:
        broken.setattr(sweep, "look", wrong)
        await world.sweep(1)
        await world.sweep(1)
    stop = (await world.show(rollout)).late.stopped
    assert stop.code == code("INTERNAL")
    assert "ZeroDivisionError" in stop.reason
    assert await agent.refused_go() == "PAUSED"
    await world.sweep(1)
    assert await world.states("host-2", "host-3") == ["staged", "pending"], "nobody loses its place for it"
    await world.resume(rollout)
    await agent.expect("ask_again")
    await agent.granted()
    await agent.report("cancelled")
    await world.cancel(rollout)


async def test_a_completed_rollout_without_late_hosts_that_cant_be_looked_at_is_left_alone(world: World) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1")
    await world.update("host-1")
    await world.services.store.writer.report(lambda tx: sweep.halt(rollout, "fleet-1", "KeyError", tx))
    assert not (await world.show(rollout)).HasField("late")


async def test_under_unreadable_limits_a_resume_is_refused_and_cancels_nobody(world: World) -> None:
    rollout = await completed(world, "host-2", "host-3")
    await world.pause(rollout)
    (row,) = await world.rows(RolloutRow, id=rollout)
    await damage(world, rollout)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await world.resume(rollout)
    assert "min_sample" in str(caught.value.details())
    assert await world.states("host-2", "host-3") == ["pending", "pending"]
    assert await stopped(world, rollout) == "PAUSED"
    table = table_of(RolloutRow)
    mended = every_fleet(sa.update(table).where(table.c.id == rollout).values(limits=row["limits"]), "a test")
    await world.services.store.writer.command(lambda tx: tx.execute(mended))
    await world.resume(rollout)
    await world.online("host-2")
    await world.update("host-2")


@pytest.mark.parametrize("by_asking", [True, False])
async def test_a_staged_late_host_of_a_release_that_is_listed_no_more_ends_at_once(
    world: World, by_asking: bool
) -> None:
    rollout = await completed(world, "host-2", "host-3")
    await world.online("host-2", "host-3")
    agent = await world.staged("host-2")
    await change(world, ReleaseRow, "version", NEW, listed=False)
    if by_asking:
        assert await agent.refused_go() == "YANKED"
    else:
        await agent.connect()
    await world.sweep(1)
    assert await stopped(world, rollout) == "YANKED"
    assert await world.states("host-2", "host-3") == ["cancelled", "cancelled"]
    assert (await world.host("host-2"))["code"] == "YANKED"
    assert (await agent.expect("assignment")).version == ""


async def test_a_host_of_the_waves_that_was_lost_at_the_completion_stops_no_late_host(world: World) -> None:
    limits = {"max_failed": 2, "failure_limit": 1.0, "bake": 120, "max_concurrent": 2}
    await world.online("host-1", "host-2")
    rollout = await world.roll("host-1", "host-2", "host-3", limits=limits)
    await world.update("host-1")
    await world.update("host-2")
    await world.drop("host-1")
    await world.watch(370)
    assert (await world.state(rollout), await world.states("host-1")) == ("COMPLETED", ["lost"])
    assert (await world.show(rollout)).late.left == 1, "it asks for no Go"
    ended = (await world.host("host-1"))["ended_at"]
    first = world.agent("host-1")
    await first.connect()
    row = await world.host("host-1")
    assert (row["state"], row["ended_at"]) == ("succeeded", ended)
    await world.sweep(60)
    first.disk.attempt = {"generation": first.disk.highest, "version": NEW}
    await first.back("rolled_back")
    assert await world.states("host-1") == ["rolled_back"]
    assert (await world.show(rollout)).late.bad == 0


async def test_it_says_that_another_rollout_holds_a_late_host(world: World) -> None:
    first = await completed(world, "host-2")
    second = await world.roll("host-3", version=NEWER)
    host, claim = await world.host("host-2"), table_of(ClaimRow)
    mine = {name: host[name] for name in ("agent_id", "product", "fleet_id")}
    taken = sa.insert(claim).values(**mine, rollout_id=second)
    await world.services.store.writer.command(lambda tx: tx.execute(taken))
    await world.online("host-2")
    assert (await world.host("host-2"))["waiting"] == "UPDATE_IN_PROGRESS"
    assert (await world.show(first)).waiting_for == "another rollout of the product, under way on 1 late host"
    await world.cancel(second)
    which = (claim.c.agent_id == host["agent_id"], claim.c.fleet_id == host["fleet_id"])
    await world.services.store.writer.command(lambda tx: tx.execute(sa.delete(claim).where(*which)))
    await world.sweep(1)
    await world.update("host-2")


async def test_after_not_after_it_says_that_one_past_go_is_under_way(world: World) -> None:
    rollout = await completed(world, "host-2", "host-3", not_after=3600)
    await world.online("host-2")
    agent = await world.staged("host-2")
    await agent.granted()
    await agent.report("applying", step="restart", time_limit=Duration(seconds=7200))
    await world.sweep(3601)
    assert await world.states("host-2", "host-3") == ["applying", "expired"]
    assert (await world.show(rollout)).waiting_for == "1 late host under way"
    await world.on_trial("host-2")
    await agent.commit()
    assert not (await world.show(rollout)).waiting_for
