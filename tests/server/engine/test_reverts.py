"""A rollout is taken back: each host goes to the version that it had before, by a rollout with limits of its own."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from fleetroll.v1 import agents_pb2, rollouts_pb2
from fleetroll_server.store.tables import ArtifactRow, ClaimRow, ReleaseRow, RolloutHostRow, table_of
from tests.faults.ruling import Ruler, floor, revoke, yank
from tests.faults.stocks import NEW as OLD
from tests.faults.stocks import NEWER as NEW
from tests.faults.virtual_disk import code, code_name

if TYPE_CHECKING:
    from tests.faults.worlds import World

THREE = ("host-1", "host-2", "host-3")


async def online(world: World, *names: str) -> None:
    """Connect hosts that run the version before, which is published as well."""
    for name in names:
        disk = world.agent(name).disk
        disk.version, disk.sha256 = OLD, world.stock.digests[OLD]
    await world.online(*names)


async def roll(world: World, *names: str, **values: Any) -> str:
    return await world.roll(*names, **{"version": NEW, **values})


async def down(world: World, name: str, version: str = OLD) -> None:
    """Let an online host take its way back to the end."""
    await world.update(name, version)


async def halted(world: World, *good: str, bad: str = "host-3", **values: Any) -> str:
    """Update hosts one after the other; the last one goes back by itself, and the rollout halts."""
    await online(world, *good, bad)
    rollout = await roll(world, *good, bad, **values)
    for name in good:
        await world.update(name, NEW)
    await world.fail(bad, NEW, code=code("START_FAILED"))
    assert await world.state(rollout) == "HALTED"
    return rollout


def left_out(answer: rollouts_pb2.RollBackRolloutResponse) -> dict[str, tuple[str, str]]:
    return {one.name: (code_name(one.code), one.message) for one in answer.exclusions}


async def versions(world: World, *names: str) -> list[str]:
    return [world.agent(name).disk.version for name in names]


async def test_a_halted_rollout_is_taken_back_to_what_ran_before(world_on_each: World) -> None:
    world = world_on_each
    rollout = await halted(world, "host-1", "host-2")
    answer = await world.roll_back(rollout)
    revert = answer.revert.id
    assert await world.state(rollout) == "ROLLING_BACK"
    assert (answer.rollout.revert_id, answer.revert.parent_id) == (revert, rollout)
    assert answer.revert.kind == rollouts_pb2.ROLLOUT_KIND_REVERT
    assert answer.revert.version == OLD
    assert left_out(answer) == {"host-3": ("ALREADY_AT_TARGET", f"host-3: runs {OLD} already")}
    for name in ("host-1", "host-2"):
        await down(world, name)
    await world.sweep()
    assert await world.state(revert) == "COMPLETED"
    assert await world.state(rollout) == "ROLLED_BACK"
    assert await versions(world, *THREE) == [OLD] * 3
    assert [(await world.host(name, rollout))["state"] for name in THREE] == ["succeeded", "succeeded", "rolled_back"]
    assert await world.rows(ClaimRow) == []


async def test_the_limits_are_the_rollouts_but_for_what_is_said(world: World) -> None:
    rollout = await halted(world, "host-1", "host-2", limits={"max_concurrent": 3, "soak": 30.0, "bake": 0.0})
    limits = rollouts_pb2.RolloutLimits(max_concurrent=2)
    answer = await world.roll_back(rollout, limits=limits)
    got = answer.revert.limits
    assert (got.max_concurrent, got.max_failed, got.soak.seconds, got.min_sample) == (2, 1, 30, 1)
    assert await world.states("host-1", "host-2") == ["offered", "offered"]
    for name in ("host-1", "host-2"):
        await down(world, name)
    await world.sweep()
    assert await world.state(rollout) == "ROLLED_BACK"


async def test_an_offer_before_go_ends_and_a_host_past_go_is_recalled_and_is_back_without_another_attempt(
    world_on_each: World,
) -> None:
    world = world_on_each
    await online(world, *THREE)
    rollout = await roll(world, *THREE, "host-4", limits={"max_concurrent": 2})
    await world.update("host-1", NEW)
    trial = await world.staged("host-2", NEW)
    await trial.granted()
    await world.on_trial("host-2", NEW)
    staged = await world.staged("host-3", NEW)
    answer = await world.roll_back(rollout)
    assert [(await world.host(name, rollout))["state"] for name in ("host-3", "host-4")] == ["cancelled"] * 2
    assert (await staged.expect("assignment")).version == ""
    recall = await trial.expect("assignment")
    assert (recall.version, recall.recall) == ("", True)
    assert left_out(answer) == {}
    assert (await world.host("host-2", answer.revert.id))["waiting"] == "UPDATE_IN_PROGRESS"
    await trial.back("cancelled", code=code("RECALLED"))
    await down(world, "host-1")
    await world.sweep()
    assert [(await world.host(name, answer.revert.id))["state"] for name in THREE[:2]] == ["succeeded", "skipped"]
    assert (await world.host("host-2", answer.revert.id))["code"] == "ALREADY_AT_TARGET"
    assert await world.state(answer.revert.id) == "COMPLETED"
    await world.sweep()
    assert await world.state(rollout) == "ROLLED_BACK"
    assert await versions(world, *THREE) == [OLD] * 3


async def test_a_host_that_is_kept_while_its_recall_is_on_its_way_goes_down_after_it(world: World) -> None:
    await online(world, "host-1")
    rollout = await roll(world, "host-1")
    agent = await world.staged("host-1", NEW)
    await agent.granted()
    await world.on_trial("host-1", NEW)
    await world.pause(rollout)
    answer = await world.roll_back(rollout)
    await agent.commit()
    assert (await world.host("host-1", rollout))["state"] == "succeeded"
    await world.sweep()
    await down(world, "host-1")
    await world.sweep()
    assert await world.state(answer.revert.id) == "COMPLETED"
    await world.sweep()
    assert await world.state(rollout) == "ROLLED_BACK"
    assert await versions(world, "host-1") == [OLD]


async def test_a_revert_of_hosts_that_are_all_back_by_themselves_completes(world: World) -> None:
    await online(world, "host-1")
    rollout = await roll(world, "host-1")
    agent = await world.staged("host-1", NEW)
    await agent.granted()
    await world.on_trial("host-1", NEW)
    answer = await world.roll_back(rollout)
    await agent.back("cancelled", code=code("RECALLED"))
    await world.sweep()
    await world.sweep()
    assert await world.state(answer.revert.id) == "COMPLETED"
    assert await world.state(rollout) == "ROLLED_BACK"


async def test_failed_takes_back_only_who_went_bad_and_is_not_back(world: World) -> None:
    await online(world, *THREE)
    rollout = await roll(world, *THREE, limits={"max_concurrent": 3, "max_failed": 3, "failure_limit": 1.0})
    await world.update("host-1", NEW)
    await world.fail("host-2", NEW)
    broken = await world.staged("host-3", NEW)
    await broken.granted()
    await world.on_trial("host-3", NEW)
    await broken.back("rollback_failed", code=code("STEP_FAILED"))
    broken.disk.version, broken.disk.healthy = NEW, False
    await world.drop("host-3")
    await world.agent("host-3").connect()
    assert await world.budget("global") == (0, 1)
    answer = await world.roll_back(rollout, "failed")
    assert [name for name, _ in sorted(left_out(answer).items())] == ["host-2"]
    assert [row["name"] for row in await world.rows(RolloutHostRow, rollout_id=answer.revert.id)] == ["host-3"]
    await world.set_budget("global", max_in_use=1, max_out=1)
    await down(world, "host-3")
    await world.sweep()
    assert await world.state(rollout) == "ROLLED_BACK"
    assert await versions(world, *THREE) == [NEW, OLD, OLD]


async def test_wave_takes_back_one_wave(world: World) -> None:
    await online(world, *THREE)
    rollout = await roll(world, *THREE, waves=[1, 0])
    await world.update("host-1", NEW)
    await world.update("host-2", NEW)
    await world.fail("host-3", NEW)
    answer = await world.roll_back(rollout, "wave")
    assert [row["name"] for row in await world.rows(RolloutHostRow, rollout_id=answer.revert.id)] == ["host-2"]
    await down(world, "host-2")
    await world.sweep()
    assert await world.state(rollout) == "ROLLED_BACK"
    assert await versions(world, *THREE) == [NEW, OLD, OLD]


async def test_each_host_goes_to_a_version_of_its_own(world_on_each: World) -> None:
    world = world_on_each
    older = "1.0.0"
    await published(world, older)
    world.agent("host-2").disk.version = older
    await online(world, "host-1")
    await world.online("host-2")
    rollout = await roll(world, "host-1", "host-2", limits={"max_concurrent": 2})
    for name in ("host-1", "host-2"):
        await world.update(name, NEW)
    answer = await world.roll_back(rollout, limits=rollouts_pb2.RolloutLimits(max_concurrent=2))
    request = rollouts_pb2.ListRolloutHostsRequest(rollout_id=answer.revert.id)
    listed = (await world.call(world.rollouts.ListRolloutHosts, request)).hosts
    assert {host.name: host.attempt.to_version for host in listed} == {"host-1": OLD, "host-2": older}
    await down(world, "host-1")
    assigned = await world.staged("host-2", older)
    assert assigned.disk.attempt is not None
    assert assigned.disk.attempt["version"] == older
    await assigned.granted()
    await world.on_trial("host-2", older)
    await assigned.commit()
    await world.sweep()
    assert await world.state(rollout) == "ROLLED_BACK"
    assert await versions(world, "host-1", "host-2") == [OLD, older]
    shown = await world.call(world.hosts_stub.GetAgent, agents_pb2.GetAgentRequest(agent="host-2"))
    assert [attempt.to_version for attempt in shown.attempts] == [older, NEW]


async def published(world: World, version: str) -> None:
    """List one more release, of bytes of its own."""
    world.stock.digests[version] = digest = "d" * 64
    release, artifact = table_of(ReleaseRow), table_of(ArtifactRow)
    (known,) = await world.rows(ReleaseRow, version=OLD)
    (file,) = await world.rows(ArtifactRow, release_id=known["id"])
    rows = {**known, "id": "release-older", "version": version}, {**file, "release_id": "release-older"}
    own = {"sha256": digest, "path": f"agent/{version}/file"}

    async def write(tx: Any) -> None:
        await tx.execute(sa.insert(release).values(**rows[0]))
        await tx.execute(sa.insert(artifact).values(rows[1] | own))

    await world.services.store.writer.command(write)


async def test_a_completed_rollout_is_taken_back_and_its_late_hosts_leave(world: World) -> None:
    await online(world, "host-1")
    rollout = await roll(world, "host-1", "host-2")
    await world.update("host-1", NEW)
    assert await world.state(rollout) == "COMPLETED"
    answer = await world.roll_back(rollout)
    assert await world.state(rollout) == "ROLLING_BACK"
    assert not (await world.show(rollout)).HasField("ended_at")
    assert (await world.host("host-2", rollout))["state"] == "cancelled"
    await down(world, "host-1")
    await world.sweep()
    assert await world.state(answer.revert.id) == "COMPLETED"
    assert await world.state(rollout) == "ROLLED_BACK"


async def test_who_can_not_go_back_is_named_with_the_reason(world: World, refusal: Any) -> None:
    rollout = await halted(world, "host-1", "host-2")
    ruler = Ruler(world.call, world.channel)
    preview = await ruler.preview(NEW)
    await ruler.change(floor(NEW, preview.stranded))
    why = await refusal(world.roll_back(rollout))
    assert why.code == "NO_HOSTS"
    assert f"host-1: cannot go back: floor {NEW}" in why.message
    assert await world.state(rollout) == "HALTED", "nothing was written"
    await world.cancel(rollout)


async def test_a_change_of_more_than_seven_days_ago_stays(world: World, refusal: Any) -> None:
    rollout = await halted(world, "host-1")
    world.clock.advance(timedelta(days=7, seconds=1).total_seconds())
    await world.accepted_all_along()
    why = await refusal(world.roll_back(rollout))
    assert (why.code, "more than 7 days ago" in why.message) == ("NO_HOSTS", True)
    await world.cancel(rollout)


async def test_a_host_that_something_else_changed_since_is_left_alone(world: World) -> None:
    rollout = await halted(world, "host-1", "host-2")
    world.agent("host-1").disk.version = "7.0.0"
    await world.agent("host-1").connect()
    answer = await world.roll_back(rollout)
    assert left_out(answer)["host-1"][0] == "NOT_ALLOWED"
    assert "runs 7.0.0" in left_out(answer)["host-1"][1]
    await down(world, "host-2")
    await world.sweep()
    assert await world.state(rollout) == "ROLLED_BACK"


async def test_a_yanked_version_before_is_a_legal_way_back_and_a_revoked_one_never(
    world_on_each: World, refusal: Any
) -> None:
    world = world_on_each
    rollout = await halted(world, "host-1", "host-2")
    ruler = Ruler(world.call, world.channel)
    await ruler.change(yank(OLD))
    answer = await world.roll_back(rollout)
    await down(world, "host-1")
    staged = await world.staged("host-2", OLD)
    await ruler.change(revoke(OLD))
    assert code_name((await world.show(answer.revert.id)).state_decision.code) == "YANKED"
    assert await staged.refused_go() in {"NOT_FOUND", "PAUSED", "YANKED", "ROLLOUT_STATE"}
    assert (await world.host("host-2", answer.revert.id))["state"] == "cancelled"
    await world.cancel(answer.revert.id)
    await world.sweep()
    assert await world.state(rollout) == "HALTED"
    why = await refusal(world.roll_back(rollout))
    assert (why.code, "was revoked" in why.message) == ("NO_HOSTS", True)
    await world.cancel(rollout)


async def test_no_way_back_begins_under_the_kill_switch_or_on_an_older_revision(world: World, refusal: Any) -> None:
    rollout = await halted(world, "host-1")
    seen = (await world.show(rollout)).decision_revision
    assert (await refusal(world.roll_back(rollout, decision_revision=seen - 1))).code == "STALE_DECISION"
    assert (await refusal(world.roll_back(rollout, decision_revision=0))).code == "REVISION"
    await world.press()
    assert (await refusal(world.roll_back(rollout))).code == "SUSPENDED"
    assert await world.state(rollout) == "HALTED"
    await world.lift()
    answer = await world.roll_back(rollout)
    why = await refusal(world.roll_back(rollout))
    assert why.code == "ROLLOUT_STATE", "it is being taken back already"
    assert (await refusal(world.roll_back(answer.revert.id))).code == "ROLLOUT_STATE", "nor is a revert taken back"
    await down(world, "host-1")
    await world.sweep()
    assert await world.state(rollout) == "ROLLED_BACK"


async def test_a_revert_that_is_cancelled_leaves_its_rollout_halted_and_it_can_be_taken_back_anew(world: World) -> None:
    rollout = await halted(world, "host-1", "host-2")
    first = await world.roll_back(rollout)
    await down(world, "host-1")
    await world.cancel(first.revert.id)
    await world.sweep()
    assert await world.state(rollout) == "HALTED"
    assert first.revert.id in (await world.show(rollout)).state_decision.reason
    offered, none = [await world.agent("host-2").assigned() for _ in range(2)]
    assert (offered.version, none.version) == (OLD, "")
    world.clock.advance(1)  # else neither of the two would be the newer one
    second = await world.roll_back(rollout)
    assert sorted(left_out(second)) == ["host-1", "host-3"]
    await down(world, "host-2")
    await world.sweep()
    assert await world.state(rollout) == "ROLLED_BACK"
    assert (await world.show(rollout)).revert_id == second.revert.id


async def test_a_revert_halts_by_its_own_limits_and_its_rollout_goes_on_being_taken_back(world: World) -> None:
    rollout = await halted(world, "host-1", "host-2")
    answer = await world.roll_back(rollout)
    await world.fail("host-1", OLD)
    assert await world.state(answer.revert.id) == "HALTED"
    await world.sweep()
    assert await world.state(rollout) == "ROLLING_BACK"
    await world.retry(answer.revert.id)
    for name in ("host-1", "host-2"):
        await down(world, name)
    await world.sweep()
    assert await world.state(rollout) == "ROLLED_BACK"


@pytest.mark.parametrize("killed", [False, True], ids=["stopped", "killed"])
async def test_a_way_back_goes_on_after_its_server_was_gone_at_any_step(world: World, *, killed: bool) -> None:
    async def gone() -> None:
        await (world.crash() if killed else world.restart())
        for name in THREE:
            await world.agent(name).connect()
        await world.sweep(1)

    rollout = await halted(world, "host-1", "host-2")
    answer = await world.roll_back(rollout)
    await gone()
    assert await world.state(rollout) == "ROLLING_BACK"
    await world.staged("host-1", OLD)
    await gone()
    await world.agent("host-1").granted()
    await gone()
    await world.agent("host-1").granted()
    await world.on_trial("host-1", OLD)
    await world.agent("host-1").commit()
    await gone()
    await down(world, "host-2")
    await gone()
    assert await world.state(answer.revert.id) == "COMPLETED"
    assert await world.state(rollout) == "ROLLED_BACK"
    assert await versions(world, *THREE) == [OLD] * 3
