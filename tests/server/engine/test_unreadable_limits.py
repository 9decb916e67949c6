"""A rollout whose stored limits can't be read halts alone: stopping, showing and every other rollout work on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest
import sqlalchemy as sa

from fleetroll.v1 import rollouts_pb2
from fleetroll_server.engine import book, sweep
from fleetroll_server.store.tables import RolloutRow, table_of
from tests.faults.stocks import FLEET
from tests.faults.virtual_disk import code_name

if TYPE_CHECKING:
    from fleetroll_server.engine.book import Book
    from fleetroll_server.services import Services
    from fleetroll_server.store.tx import Tx
    from tests.faults.worlds import World

DAMAGES: dict[str, Any] = {
    "a threshold is missing": lambda limits: {k: v for k, v in limits.items() if k != "min_sample"},
    "another limit is missing": lambda limits: {k: v for k, v in limits.items() if k != "max_attempts"},
    "a limit says nothing": lambda limits: {**limits, "max_failed": "", "offline_policy": None, "bake_seconds": "x"},
    "there are none": lambda _: [],
}
SAID = "its stored limits can't be read: limits"


async def damage(world: World, rollout: str, what: str = "a threshold is missing") -> None:
    """Leave the stored limits as an upgrade, or a hand in the database, may."""
    table = table_of(RolloutRow)
    (row,) = await world.rows(RolloutRow, id=rollout)
    which = (table.c.id == rollout, table.c.fleet_id == FLEET)
    change = sa.update(table).where(*which).values(limits=DAMAGES[what](row["limits"]))
    await world.services.store.writer.command(lambda tx: tx.execute(change))


async def listed(world: World) -> list[str]:
    """Return the ids of the rollouts that are listed."""
    request = rollouts_pb2.ListRolloutsRequest(fleet_id=FLEET)
    return [rollout.id for rollout in (await world.call(world.rollouts.ListRollouts, request)).rollouts]


@pytest.mark.parametrize("what", list(DAMAGES))
async def test_the_sweep_halts_it_with_a_reason_and_goes_on_with_the_others(world: World, what: str) -> None:
    await world.online("host-1", "host-2")
    first = await world.roll("host-1")
    second = await world.roll("host-2", limits={"bake": 10})
    await world.update("host-2")
    await damage(world, first, what)
    await world.watch(20)
    shown = await world.show(first)
    assert await world.state(first) == "HALTED"
    assert shown.state_decision.reason.startswith(SAID), shown.state_decision.reason
    assert shown.state_decision.reason.endswith("; cancel it")
    assert code_name(shown.state_decision.code) == "THRESHOLD_MISSING"
    assert await world.state(second) == "COMPLETED"
    await world.cancel(first)
    assert await world.states("host-1") == ["cancelled"]


async def test_it_is_shown_listed_paused_and_cancelled(world: World) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1")
    agent = await world.staged("host-1")
    await damage(world, rollout)
    assert (await world.show(rollout)).limits.max_concurrent == 1
    assert not (await world.show(rollout)).limits.HasField("min_sample")
    assert await listed(world) == [rollout]
    await world.pause(rollout)
    assert await world.state(rollout) == "PAUSED"
    await world.cancel(rollout)
    assert (await agent.expect("assignment")).version == ""
    assert await world.state(rollout) == "CANCELLED"


async def test_the_kill_switch_pauses_it_and_every_other(world: World) -> None:
    await world.online("host-1", "host-2")
    first, second = await world.roll("host-1"), await world.roll("host-2")
    await damage(world, first)
    await world.press()
    assert [await world.state(rollout) for rollout in (first, second)] == ["PAUSED", "PAUSED"]
    for rollout in (first, second):
        await world.cancel(rollout)


async def test_its_hosts_come_back_and_what_they_say_is_heard(world: World) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1")
    agent = await world.staged("host-1")
    await agent.granted()
    await damage(world, rollout)
    await world.drop("host-1")
    await world.online("host-1")
    await agent.report("applying", step="restart")
    await agent.report("trial")
    assert await world.states("host-1") == ["trial"]
    assert await world.state(rollout) == "HALTED"
    await agent.back()
    await world.cancel(rollout)


async def test_go_and_resume_are_refused(world: World) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1")
    agent = await world.staged("host-1")
    await damage(world, rollout)
    refused = await agent.ask()
    assert code_name(refused.code) == "THRESHOLD_MISSING"
    assert await world.budget("rollout/") == (0, 0)
    assert await world.state(rollout) == "HALTED"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await world.resume(rollout)
    assert "min_sample" in str(caught.value.details())
    assert await world.state(rollout) == "HALTED"
    await world.cancel(rollout)


async def test_a_rollout_that_cant_be_looked_at_halts_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.online("host-1", "host-2")
    first = await world.roll("host-1")
    second = await world.roll("host-2", limits={"bake": 10})
    await world.update("host-2")
    right = sweep.look

    async def wrong(tx: Tx, services: Services, rollout_id: str, fleet_id: str, *, up: bool) -> None:
        if rollout_id == first:
            raise ZeroDivisionError
        await right(tx, services, rollout_id, fleet_id, up=up)

    monkeypatch.setattr(sweep, "look", wrong)
    await world.watch(20)
    assert [await world.state(rollout) for rollout in (first, second)] == ["HALTED", "COMPLETED"]
    shown = await world.show(first)
    assert code_name(shown.state_decision.code) == "INTERNAL"
    assert "ZeroDivisionError" in shown.state_decision.reason
    await world.cancel(first)


async def test_a_rollout_whose_passed_deadlines_cant_speak_halts_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.online("host-1", "host-2")
    broken, other = sorted([await world.roll("host-1"), await world.roll("host-2")])
    right = sweep.due_hosts

    async def wrong(tx: Tx, services: Services, rollout_id: str, fleet_id: str) -> int:
        if rollout_id == broken:
            raise ZeroDivisionError
        return await right(tx, services, rollout_id, fleet_id)

    monkeypatch.setattr(sweep, "due_hosts", wrong)
    await world.sweep(60)
    assert sorted(await world.states("host-1", "host-2")) == ["failed", "offered"]
    shown = await world.show(broken)
    assert (code_name(shown.state_decision.code), await world.state(other)) == ("INTERNAL", "HALTED")
    assert "ZeroDivisionError" in shown.state_decision.reason
    assert code_name((await world.show(other)).state_decision.code) == "WAVE_NOT_PASSED"
    for rollout in (broken, other):
        await world.cancel(rollout)


async def test_a_rollout_that_cant_even_be_opened_holds_up_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.online("host-1", "host-2")
    broken, other = sorted([await world.roll("host-1"), await world.roll("host-2")])
    right = book.open_book

    async def wrong(tx: Tx, rollout_id: str, fleet_id: str) -> Book | None:
        if rollout_id == broken:
            raise ZeroDivisionError
        return await right(tx, rollout_id, fleet_id)

    with monkeypatch.context() as damaged:
        damaged.setattr(sweep, "open_book", wrong)
        await world.sweep(60)
    assert sorted(await world.states("host-1", "host-2")) == ["failed", "offered"]
    assert [await world.state(rollout) for rollout in (broken, other)] == ["RUNNING", "HALTED"]
    for rollout in (broken, other):
        await world.cancel(rollout)
