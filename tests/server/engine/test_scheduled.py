"""A rollout that begins at a set time: not before, soon after, once, and never under a kill switch."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from fleetroll.v1 import rollouts_pb2 as pb
from fleetroll_server.store.tables import RolloutRow
from tests.faults.ruling import Ruler, yank
from tests.faults.second_admin import second
from tests.faults.stocks import NEW
from tests.faults.virtual_disk import code_name

if TYPE_CHECKING:
    from tests.faults.worlds import World

HOUR = 3600.0


def at(world: World, seconds: float) -> Timestamp:
    made = Timestamp()
    made.FromDatetime(world.clock.now() + timedelta(seconds=seconds))
    return made


@pytest.mark.parametrize("restarted", [False, True], ids=["", "restarted"])
async def test_it_begins_when_its_time_comes(world: World, *, restarted: bool) -> None:
    rollout = await world.roll("host-1", start_at=at(world, HOUR), limits={"not_after": 600})
    shown = await world.show(rollout)
    assert (await world.state(rollout), shown.waiting_for) == ("SCHEDULED", "its time to start")
    assert shown.HasField("start_at")
    await world.sweep(HOUR - 5)
    assert await world.state(rollout) == "SCHEDULED"
    if restarted:
        await world.restart()
    await world.sweep(6)
    shown = await world.show(rollout)
    assert (shown.state, shown.state_decision.reason) == (pb.ROLLOUT_STATE_RUNNING, "its time came")
    (row,) = await world.rows(RolloutRow)
    assert row["not_after"] == world.clock.now() + timedelta(seconds=600), "it counts from the beginning"
    await world.online("host-1")
    await world.update("host-1")
    assert await world.state(rollout) == "COMPLETED"


async def test_it_begins_by_itself_on_postgresql_too(world_on_each: World) -> None:
    world = world_on_each
    await world.online("host-1")
    rollout = await world.roll("host-1", start_at=at(world, 30))
    assert await world.agent("host-1").waiting("assignment") == []
    await world.sweep(31)
    await world.update("host-1")
    assert await world.state(rollout) == "COMPLETED"


async def test_approval_and_time_must_both_come_in_either_order(world: World) -> None:
    other = await second(world)
    early = await world.roll("host-1", start_at=at(world, HOUR), require_approval=True)
    late = await world.roll("host-2", start_at=at(world, HOUR), require_approval=True)
    assert (await other.approve(early)).rollout.state == pb.ROLLOUT_STATE_SCHEDULED
    await world.sweep(HOUR + 1)
    assert [await world.state(each) for each in (early, late)] == ["RUNNING", "AWAITING_APPROVAL"]
    assert (await other.approve(late)).rollout.state == pb.ROLLOUT_STATE_RUNNING
    for each in (early, late):
        await world.cancel(each)


@pytest.mark.parametrize("seconds", [-1, 0, 91 * 86_400], ids=str)
async def test_a_time_that_is_not_ahead_is_refused(world: World, refusal: Any, seconds: float) -> None:
    before = await world.totals()
    why = await refusal(world.roll("host-1", start_at=at(world, seconds)))
    assert (why.code, why.facts["field"], bool(why.remedy)) == ("INVALID_ARGUMENT", "start_at", True)
    assert await world.totals() == before


async def test_a_time_on_no_calendar_is_the_callers_mistake(world: World, refusal: Any) -> None:
    for wrong in (Timestamp(seconds=2**62), Timestamp(seconds=-(2**62)), Timestamp(nanos=-5)):
        why = await refusal(world.roll("host-1", start_at=wrong))
        assert (why.code, why.facts["field"]) == ("INVALID_ARGUMENT", "start_at")


async def test_under_the_kill_switch_it_stands_paused_and_lifting_starts_nothing(world: World) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1", start_at=at(world, HOUR))
    await world.press()
    await world.sweep(HOUR + 1)
    shown = await world.show(rollout)
    assert (shown.state, code_name(shown.state_decision.code)) == (pb.ROLLOUT_STATE_PAUSED, "SUSPENDED")
    await world.lift()
    await world.sweep(5)
    assert await world.state(rollout) == "PAUSED"
    assert await world.agent("host-1").waiting("assignment") == []
    await world.resume(rollout)
    await world.update("host-1")
    assert await world.state(rollout) == "COMPLETED"


async def test_a_pause_holds_it_past_its_time_until_somebody_resumes(world: World) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1", start_at=at(world, 60))
    await world.pause(rollout)
    await world.sweep(120)
    assert await world.state(rollout) == "PAUSED"
    await world.resume(rollout)
    await world.update("host-1")
    assert await world.state(rollout) == "COMPLETED"


async def test_cancelled_before_its_time_it_never_begins(world: World) -> None:
    rollout = await world.roll("host-1", start_at=at(world, 60))
    await world.cancel(rollout)
    await world.sweep(120)
    assert (await world.state(rollout), await world.states("host-1")) == ("CANCELLED", ["cancelled"])


async def test_a_host_that_was_revoked_meanwhile_is_skipped(world: World) -> None:
    rollout = await world.roll("host-1", "host-2", start_at=at(world, 60))
    await world.revoke("host-1")
    await world.sweep(61)
    row = await world.host("host-1", rollout)
    assert (row["state"], row["code"]) == ("skipped", "HOST_REVOKED")
    await world.cancel(rollout)


@pytest.mark.parametrize("restarted", [False, True], ids=["", "restarted"])
async def test_what_was_taken_back_before_its_time_never_begins(world: World, *, restarted: bool) -> None:
    rollout = await world.roll("host-1", start_at=at(world, 60))
    await Ruler(world.call, world.channel).change(yank(NEW))
    if restarted:
        await world.restart()
    await world.sweep(61)
    shown = await world.show(rollout)
    assert (await world.state(rollout), code_name(shown.state_decision.code)) == ("HALTED", "YANKED")
    assert await world.states("host-1") == ["cancelled"]
