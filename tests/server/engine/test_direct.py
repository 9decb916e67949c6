"""One host now: the same machine, refusals by code, and what it means for a rollout that waits for the host."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from fleetroll.v1 import rollouts_pb2
from fleetroll_server.store.fleets import every_fleet
from fleetroll_server.store.tables import AgentRow, ArtifactRow, ClaimRow, HostProductRow, RolloutRow, table_of
from tests.faults.ruling import Ruler, floor, revoke, yank
from tests.faults.stocks import NEW, NEWER, OLD
from tests.faults.virtual_disk import code, code_name

if TYPE_CHECKING:
    from tests.faults.worlds import World


async def test_one_host_is_updated_now_and_its_rollout_completes(world_on_each: World) -> None:
    world = world_on_each
    await world.online("host-1", "host-2")
    begun = await world.direct("host-1", reason="it is the one with the fault")
    agent_id = world.agent("host-1").disk.agent_id
    assert (begun.attempt_id, begun.generation) == (f"{agent_id}/agent/1", 1)
    assert (begun.from_version, begun.to_version) == (OLD, NEW)
    assert (await world.show(begun.rollout_id)).kind == rollouts_pb2.ROLLOUT_KIND_DIRECT
    await world.update("host-1")
    assert await world.state(begun.rollout_id) == "COMPLETED"
    assert await world.agent("host-2").waiting("assignment") == []
    assert await world.rows(ClaimRow) == []


async def test_the_newest_stable_release_is_meant_where_no_version_is_named(world: World) -> None:
    await world.online("host-1")
    begun = await world.direct("host-1", version="")
    assert begun.to_version == NEWER
    await world.update("host-1", NEWER)


@pytest.mark.parametrize(
    ("prepare", "wanted"),
    [
        ("", "HOST_NOT_FOUND"),
        ("offline", "HOST_OFFLINE"),
        ("at_target", "ALREADY_UP_TO_DATE"),
        ("quarantined", "QUARANTINED"),
        ("no_artifact", "NO_ARTIFACT"),
        ("suspended", "SUSPENDED"),
        ("revoked", "HOST_REVOKED"),
        ("yanked", "YANKED"),
    ],
)
async def test_a_refusal_has_its_code_and_writes_nothing(world: World, refusal: Any, prepare: str, wanted: str) -> None:
    name = "host-9" if not prepare else "host-1"
    if prepare not in {"", "offline"}:
        if prepare == "at_target":
            world.agent(name).disk.version = NEW
        await world.online(name)
    if prepare == "quarantined":
        await change(world, AgentRow, quarantined=True)
    if prepare == "no_artifact":
        await change(world, ArtifactRow, os="plan9")
    if prepare == "suspended":
        await world.press()
    if prepare == "revoked":
        await world.revoke(name)
    if prepare == "yanked":
        await Ruler(world.call, world.channel).change(yank(NEW))
    before = await world.totals()
    why = await refusal(world.direct(name))
    assert why.code == wanted
    assert await world.totals() == before


async def change(world: World, model: Any, **values: Any) -> None:
    table = table_of(model)
    statement = sa.update(table).values(**values)
    statement = every_fleet(statement, "a test") if "fleet_id" in table.c else statement
    await world.services.store.writer.command(lambda tx: tx.execute(statement))


async def test_an_attempt_that_goes_on_is_named_with_its_rollout(world: World, refusal: Any) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1")
    why = await refusal(world.direct("host-1", version=NEWER))
    agent_id = world.agent("host-1").disk.agent_id
    assert why.code == "UPDATE_IN_PROGRESS"
    assert (why.facts["rollout"], why.facts["attempt"]) == (rollout, f"{agent_id}/agent/1")
    await world.update("host-1")
    begun = await world.direct("host-1", version=NEWER)
    again = await refusal(world.direct("host-1", version=NEWER))
    assert again.facts["rollout"] == begun.rollout_id
    await world.update("host-1", NEWER)


async def test_a_host_that_is_held_is_refused_as_held(world: World, refusal: Any) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1")
    agent = await world.staged("host-1")
    await agent.report("staged", code=code("HELD_LOCALLY"))
    assert (await refusal(world.direct("host-1"))).code == "HELD"
    await world.cancel(rollout)


async def test_a_pending_host_of_a_running_rollout_is_taken_and_skipped_there(world_on_each: World) -> None:
    world = world_on_each
    await world.online("host-1", "host-2")
    rollout = await world.roll("host-1", "host-2", limits={"max_downloading": 1})
    assert await world.states("host-2") == ["pending"]
    begun = await world.direct("host-2")
    await world.update("host-2")
    assert await world.state(begun.rollout_id) == "COMPLETED"
    await world.update("host-1")
    await world.sweep()
    row = await world.host("host-2", rollout)
    assert (row["state"], row["code"]) == ("skipped", "ALREADY_AT_TARGET")
    assert await world.state(rollout) == "COMPLETED"


async def test_while_the_direct_update_goes_on_its_host_waits_in_the_rollout(world: World) -> None:
    await world.online("host-1", "host-2")
    rollout = await world.roll("host-1", "host-2", limits={"max_downloading": 1})
    begun = await world.direct("host-2", version=NEWER)
    await world.update("host-1")
    assert (await world.host("host-2", rollout))["waiting"] == "UPDATE_IN_PROGRESS"
    assert await world.state(rollout) == "RUNNING"
    await world.fail("host-2", NEWER)
    await world.cancel(begun.rollout_id)
    await world.sweep()
    await world.update("host-2")
    assert await world.state(rollout) == "COMPLETED"


async def test_a_host_that_goes_back_halts_its_own_rollout_alone(world: World) -> None:
    await world.online("host-1")
    begun = await world.direct("host-1")
    await world.fail("host-1", code=code("START_FAILED"))
    assert await world.state(begun.rollout_id) == "HALTED"
    begun_again = await world.direct("host-1", version=NEWER)
    await world.update("host-1", NEWER)
    assert await world.state(begun_again.rollout_id) == "COMPLETED"
    await world.cancel(begun.rollout_id)


async def test_a_host_that_will_not_ends_its_rollout_instead_of_waiting_for_a_person(world: World) -> None:
    await world.online("host-1")
    begun = await world.direct("host-1")
    agent = world.agent("host-1")
    await agent.take()
    await agent.report("skipped", code=code("OPTED_OUT"), message="agent.toml takes no updates")
    assert (await world.host("host-1"))["code"] == "OPTED_OUT"
    assert await world.state(begun.rollout_id) == "CANCELLED"


async def test_retry_bad_needs_a_reason_and_reaches_the_host(world: World, refusal: Any) -> None:
    await world.online("host-1")
    assert (await refusal(world.direct("host-1", retry_bad=True))).code == "INVALID_ARGUMENT"
    await world.direct("host-1", retry_bad=True, reason="it was the disk")
    (row,) = await world.rows(RolloutRow)
    assert (row["retry_bad"], row["reason"]) == (True, "it was the disk")
    assert (await world.agent("host-1").take()).retry_bad
    await world.agent("host-1").report("failed", code=code("BAD_DIGEST"))
    await world.cancel(row["id"])


async def updated(world: World) -> None:
    """Bring host-1 from one published release to the next."""
    await world.online("host-1")
    await world.direct("host-1")
    await world.update("host-1")
    await world.direct("host-1", version=NEWER)
    await world.update("host-1", NEWER)


async def test_one_host_is_taken_back_to_what_it_had_before(world_on_each: World) -> None:
    world = world_on_each
    await updated(world)
    begun = await world.direct_back("host-1", reason="it eats the disk")
    assert (begun.from_version, begun.to_version) == (NEWER, NEW)
    await world.update("host-1", NEW)
    shown = await world.show(begun.rollout_id)
    assert (await world.state(begun.rollout_id), shown.kind) == ("COMPLETED", rollouts_pb2.ROLLOUT_KIND_DIRECT)
    assert world.agent("host-1").disk.version == NEW


async def test_a_yanked_version_before_is_gone_back_to_and_a_revoked_one_not(world: World, refusal: Any) -> None:
    await updated(world)
    ruler = Ruler(world.call, world.channel)
    await ruler.change(yank(NEW))
    begun = await world.direct_back("host-1")
    await world.staged("host-1", NEW)
    await ruler.change(revoke(NEW))
    assert await world.agent("host-1").refused_go() != ""
    assert await world.state(begun.rollout_id) == "HALTED"
    await world.cancel(begun.rollout_id)
    assert (await refusal(world.direct_back("host-1"))).code == "DIGEST_REVOKED"


async def test_there_is_no_way_back_below_the_floor_after_seven_days_or_to_nowhere(world: World, refusal: Any) -> None:
    await updated(world)
    ruler = Ruler(world.call, world.channel)
    await ruler.change(floor(NEWER, (await ruler.preview(NEWER)).stranded))
    assert (await refusal(world.direct_back("host-1"))).code == "BELOW_FLOOR"
    await ruler.change(floor("1.0.0"))
    world.clock.advance(timedelta(days=7, seconds=1).total_seconds())
    await world.accepted_all_along()
    why = await refusal(world.direct_back("host-1"))
    assert (why.code, "more than 7 days" in why.message) == ("NOT_ALLOWED", True)
    await change(world, HostProductRow, previous_version="", last_success_at=None)
    why = await refusal(world.direct_back("host-1"))
    assert (why.code, "no version before is known" in why.message) == ("NOT_ALLOWED", True)


@pytest.mark.parametrize("killed", [False, True], ids=["stopped", "killed"])
async def test_a_direct_update_goes_on_after_its_server_was_gone(world: World, *, killed: bool) -> None:
    await world.online("host-1")
    begun = await world.direct("host-1")
    await world.staged("host-1")
    await (world.crash() if killed else world.restart())
    await world.online("host-1")
    agent = world.agent("host-1")
    await agent.granted()
    await world.on_trial("host-1")
    await agent.commit()
    assert await world.state(begun.rollout_id) == "COMPLETED"


async def test_a_yank_with_recall_takes_its_hosts_back_in_the_same_step(world_on_each: World) -> None:
    world = world_on_each
    names = ("host-1", "host-2", "host-3")
    for name in names:
        disk = world.agent(name).disk
        disk.version, disk.sha256 = NEW, world.stock.digests[NEW]
    await world.online(*names)
    done = await world.roll("host-1", version=NEWER)
    await world.update("host-1", NEWER)
    rollout = await world.roll("host-2", "host-3", version=NEWER)
    await world.update("host-2", NEWER)
    ruler = Ruler(world.call, world.channel)
    answer = await ruler.change(yank(NEWER), recall=True)
    assert len(answer.reverts) == 2
    assert [await world.state(each) for each in (done, rollout)] == ["ROLLING_BACK", "ROLLING_BACK"]
    row = await world.host("host-3", rollout)
    assert (row["state"], row["generation"]) == ("cancelled", 1)
    for name in names[:2]:
        await world.update(name, NEW)
    await world.sweep()
    assert [await world.state(each) for each in (done, rollout)] == ["ROLLED_BACK", "ROLLED_BACK"]
    assert [world.agent(name).disk.version for name in names] == [NEW, NEW, NEW]


async def test_a_yank_with_recall_is_refused_whole_under_the_kill_switch(world: World, refusal: Any) -> None:
    world.agent("host-1").disk.version = NEW
    await world.online("host-1")
    rollout = await world.roll("host-1", version=NEWER)
    await world.update("host-1", NEWER)
    await world.press()
    ruler = Ruler(world.call, world.channel)
    assert (await refusal(ruler.change(yank(NEWER), recall=True))).code == "SUSPENDED"
    assert (await world.state(rollout), (await ruler.release(NEWER)).state_reason) == ("COMPLETED", "")
    answer = await ruler.change(yank(NEWER))
    assert (list(answer.reverts), code_name((await world.show(rollout)).late.stopped.code)) == ([], "UNSPECIFIED")
