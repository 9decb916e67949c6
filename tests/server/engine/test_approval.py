"""A rollout, or each wave of it, that a second person approves: nothing spreads before, nor by who asked for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from fleetroll.v1 import options_pb2
from fleetroll.v1 import rollouts_pb2 as pb
from tests.faults.ruling import Ruler, yank
from tests.faults.second_admin import approval, second
from tests.faults.stocks import NEW, NEWER
from tests.faults.virtual_disk import code, code_name

if TYPE_CHECKING:
    from tests.faults.worlds import World

DAY = 86_400.0


async def test_nothing_begins_before_a_second_admin_approved_it(world_on_each: World, refusal: Any) -> None:
    world = world_on_each
    await world.online("host-1")
    rollout = await world.roll("host-1", require_approval=True)
    shown = await world.show(rollout)
    assert (await world.state(rollout), shown.waiting_for) == ("AWAITING_APPROVAL", "a second person to approve it")
    assert shown.require_approval
    assert shown.HasField("approve_by")
    assert not shown.HasField("approved")
    await world.watch(20)
    assert await world.agent("host-1").waiting("assignment") == []
    why = await refusal(world.call(world.rollouts.ApproveRollout, await approval(world, rollout)))
    assert (why.code, bool(why.remedy)) == ("NOT_ALLOWED", True)
    assert await world.state(rollout) == "AWAITING_APPROVAL"

    other = await second(world)
    answer = await other.approve(rollout)
    assert answer.rollout.state == pb.ROLLOUT_STATE_RUNNING
    assert (answer.rollout.approved.actor.id, answer.rollout.approved.reason) == (other.token_id, "looked at it")
    assert not answer.rollout.HasField("approve_by")
    assert answer.rollout.started.actor.id in answer.note
    assert other.token_id in answer.note
    assert "both may be one person's" in answer.note
    await world.update("host-1")
    assert await world.state(rollout) == "COMPLETED"
    (event,) = await world.events("rollout.approved")
    assert (event["actor_id"], event["rollout_id"]) == (other.token_id, rollout)


async def test_a_decision_on_older_sight_and_a_smaller_role_are_refused(world: World, refusal: Any) -> None:
    rollout = await world.roll("host-1", require_approval=True)
    other = await second(world)
    for revision, refused in ((0, "REVISION"), (7, "STALE_DECISION")):
        why = await refusal(other.approve(rollout, revision))
        assert why.code == refused
    operator = await second(world, options_pb2.ROLE_OPERATOR)
    assert (await refusal(operator.approve(rollout))).code == "PERMISSION_DENIED"
    nowhere = pb.ApproveRolloutRequest(rollout_id="none", decision_revision=1)
    assert (await refusal(other.call(world.rollouts.ApproveRollout, nowhere))).code == "NOT_FOUND"
    assert await world.state(rollout) == "AWAITING_APPROVAL"
    await world.cancel(rollout)


async def test_what_waits_for_nobody_is_not_approved(world: World, refusal: Any) -> None:
    other = await second(world)
    running = await world.roll("host-1")
    assert (await refusal(other.approve(running))).code == "ROLLOUT_STATE"
    await world.cancel(running)
    once = await world.roll("host-2", require_approval=True)
    await other.approve(once)
    assert (await refusal(other.approve(once))).code == "ROLLOUT_STATE", "it was approved already"
    await world.cancel(once)


async def test_a_rejection_is_a_cancel_and_leaves_the_hosts_free(world: World, refusal: Any) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1", require_approval=True)
    why = await refusal(world.roll("host-1", version=NEWER))
    assert (why.code, rollout in why.message) == ("ROLLOUT_ACTIVE", True), "it means its hosts while it waits"
    other = await second(world)
    await other.call(world.rollouts.CancelRollout, pb.CancelRolloutRequest(rollout_id=rollout, reason="no"))
    assert (await world.state(rollout), (await world.host("host-1"))["state"]) == ("CANCELLED", "cancelled")
    assert (await refusal(other.approve(rollout))).code == "ROLLOUT_STATE"
    await world.cancel(await world.roll("host-1", version=NEWER))


@pytest.mark.parametrize("restarted", [False, True], ids=["", "restarted"])
async def test_what_nobody_approves_is_cancelled_after_seven_days(world: World, *, restarted: bool) -> None:
    rollout = await world.roll("host-1", require_approval=True)
    await world.sweep(7 * DAY - 10)
    assert await world.state(rollout) == "AWAITING_APPROVAL"
    if restarted:
        await world.restart()
    await world.sweep(11)
    shown = await world.show(rollout)
    assert (shown.state, shown.state_decision.code) == (pb.ROLLOUT_STATE_CANCELLED, code("EXPIRED"))
    assert "nobody approved it" in shown.state_decision.reason
    assert (await world.host("host-1"))["state"] == "cancelled"
    assert not shown.HasField("approve_by")


async def test_hosts_wait_for_go_from_the_approval_on(world: World) -> None:
    rollout = await world.roll("host-1", require_approval=True, limits={"not_after": 3600})
    await world.sweep(2 * DAY)
    await (await second(world)).approve(rollout)
    await world.sweep(3000)
    assert await world.state(rollout) == "RUNNING"
    await world.sweep(700)
    assert (await world.host("host-1"))["state"] == "expired"


async def test_it_can_not_be_advanced_resumed_or_paused_past_its_approval(world: World, refusal: Any) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1", require_approval=True)
    for act in (world.advance, world.resume, world.pause):
        assert (await refusal(act(rollout))).code == "ROLLOUT_STATE"
    await world.press()
    other = await second(world)
    assert (await refusal(other.approve(rollout))).code == "SUSPENDED"
    await world.lift()
    assert await world.state(rollout) == "AWAITING_APPROVAL"
    assert await world.agent("host-1").waiting("assignment") == []
    await world.cancel(rollout)


async def test_each_wave_is_approved_by_another_than_who_started(world: World, refusal: Any) -> None:
    await world.online("host-1", "host-2", "host-3")
    rollout = await world.roll("host-1", "host-2", "host-3", waves=[1, 1, 0], wave_advance=pb.WAVE_ADVANCE_APPROVAL)
    assert (await world.show(rollout)).wave_advance == pb.WAVE_ADVANCE_APPROVAL
    other = await second(world)
    assert (await refusal(other.approve(rollout))).code == "ROLLOUT_STATE", "the first wave is open"
    for number, name in ((2, "host-2"), (3, "host-3")):
        await world.update(f"host-{number - 1}")
        shown = await world.show(rollout)
        assert shown.waiting_for == f"a second person to approve wave {number}"
        why = await refusal(world.advance(rollout))
        assert (why.code, "approve" in why.remedy) == ("NOT_ALLOWED", True)
        why = await refusal(world.call(world.rollouts.ApproveRollout, await approval(world, rollout)))
        assert why.code == "NOT_ALLOWED"
        assert await world.agent(name).waiting("assignment") == []
        assert "both may be one person's" in (await other.approve(rollout)).note
    await world.update("host-3")
    assert await world.state(rollout) == "COMPLETED"
    assert [event["message"] for event in await world.events("rollout.approved")] == ["wave 2", "wave 3"]


async def test_start_and_waves_may_both_need_an_approval(world: World) -> None:
    await world.online("host-1", "host-2")
    rollout = await world.roll(
        "host-1", "host-2", waves=[1, 0], require_approval=True, wave_advance=pb.WAVE_ADVANCE_APPROVAL
    )
    other = await second(world)
    await other.approve(rollout)
    await world.update("host-1")
    assert await world.waves(rollout) == ["PASSED", "AWAITING_APPROVAL"]
    await other.approve(rollout)
    await world.update("host-2")
    assert await world.state(rollout) == "COMPLETED"


async def test_the_older_field_still_says_manual_and_a_contradiction_is_refused(world: World, refusal: Any) -> None:
    rollout = await world.roll("host-1", "host-2", waves=[1, 0], manual_advance=True)
    shown = await world.show(rollout)
    assert (shown.manual_advance, shown.wave_advance) == (True, pb.WAVE_ADVANCE_MANUAL)
    await world.cancel(rollout)
    rollout = await world.roll("host-1", "host-2", waves=[1, 0], wave_advance=pb.WAVE_ADVANCE_MANUAL)
    assert (await world.show(rollout)).manual_advance
    await world.cancel(rollout)
    wrong: list[dict[str, Any]] = [{"manual_advance": True, "wave_advance": pb.WAVE_ADVANCE_AUTO}, {"wave_advance": 99}]
    for values in wrong:
        why = await refusal(world.roll("host-1", **values))
        assert (why.code, why.facts["field"]) == ("INVALID_ARGUMENT", "wave_advance")


async def test_a_late_host_is_not_taken_by_a_newer_rollout_before_that_has_begun(world: World) -> None:
    await world.online("host-1")
    first = await world.roll("host-1", "host-2")
    await world.update("host-1")
    assert await world.state(first) == "COMPLETED"
    world.clock.advance(10)
    waiting = await world.roll("host-2", version=NEWER, require_approval=True)
    await world.sweep(5)
    assert (await world.host("host-2", first))["state"] == "pending", "a plan that may be refused takes nobody"
    await (await second(world)).approve(waiting)
    await world.sweep(5)
    late = await world.host("host-2", first)
    assert (late["state"], late["code"]) == ("cancelled", "SUPERSEDED")
    await world.cancel(waiting)


async def test_what_was_taken_back_meanwhile_is_not_approved_and_nobody_resumes_it(world: World, refusal: Any) -> None:
    rollout = await world.roll("host-1", require_approval=True)
    await Ruler(world.call, world.channel).change(yank(NEW))
    shown = await world.show(rollout)
    assert (shown.state, code_name(shown.state_decision.code)) == (pb.ROLLOUT_STATE_HALTED, "YANKED")
    assert (await world.host("host-1"))["state"] == "cancelled"
    other = await second(world)
    assert (await refusal(other.approve(rollout))).code == "YANKED"
    assert (await refusal(world.resume(rollout))).code == "YANKED"
    await world.cancel(rollout)
