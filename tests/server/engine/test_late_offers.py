"""A host that was off while its rollout completed gets the release afterwards: one at a time, under the same limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from fleetroll.v1 import rollouts_pb2
from fleetroll_server.store.fleets import every_fleet
from fleetroll_server.store.tables import ClaimRow, RolloutHostRow, table_of
from tests.faults.recounts import check
from tests.faults.stocks import NEW, NEWER
from tests.faults.virtual_disk import code

if TYPE_CHECKING:
    from tests.faults.worlds import World


async def completed(world: World, *late: str, **limits: Any) -> str:
    """Return a rollout that completed on host-1 while ``late`` ones were off."""
    await world.online("host-1")
    rollout = await world.roll("host-1", *late, limits=limits)
    await world.update("host-1")
    assert await world.state(rollout) == "COMPLETED"
    assert await world.states(*late) == ["pending"] * len(late)
    return rollout


async def test_a_host_that_was_off_comes_back_and_gets_the_release(world: World) -> None:
    rollout = await completed(world, "host-2")
    shown = await world.show(rollout)
    assert (shown.late.left, shown.late.waiting, shown.late.under_way) == (1, 1, 0)
    assert "1 late host away or held" in shown.waiting_for
    await world.sweep(3600)
    await world.online("host-2")
    assert await world.states("host-2") == ["offered"]
    assert "late host under way" in (await world.show(rollout)).waiting_for
    agent = await world.staged("host-2")
    await agent.granted()
    for scope in ("global", "fleet/", "rollout/"):
        assert await world.budget(scope) == (1, 0)
    await world.on_trial("host-2")
    await agent.commit()
    assert await world.states("host-1", "host-2") == ["succeeded", "succeeded"]
    assert (await world.host("host-2"))["from_version"] == "1.0.0"
    shown = await world.show(rollout)
    assert (await world.state(rollout), shown.HasField("late"), shown.waiting_for) == ("COMPLETED", False, "")
    assert agent.disk.version == NEW


async def test_late_hosts_go_one_after_the_other_whatever_the_waves_were_allowed(world: World) -> None:
    rollout = await completed(world, "host-2", "host-3", max_concurrent=3)
    await world.online("host-3", "host-2")
    assert await world.states("host-2", "host-3") == ["pending", "offered"], "who is there first goes first"
    await world.update("host-3")
    assert await world.states("host-2", "host-3") == ["offered", "succeeded"]
    await world.update("host-2")
    assert await world.state(rollout) == "COMPLETED"
    assert await world.budget("rollout/") == (0, 0)


async def test_a_bad_late_host_stops_the_others_and_the_rollout_stays_completed(world: World) -> None:
    rollout = await completed(world, "host-2", "host-3", "host-4")
    await world.online("host-2", "host-3")
    await world.fail("host-2", code=code("START_FAILED"))
    assert await world.state(rollout) == "COMPLETED"
    assert await world.states("host-2", "host-3", "host-4") == ["rolled_back", "cancelled", "cancelled"]
    for name in ("host-3", "host-4"):
        row = await world.host(name)
        assert (row["code"], row["message"][:16]) == ("WAVE_NOT_PASSED", "late hosts: 1 ba")
    late = (await world.show(rollout)).late
    assert (late.left, late.bad, late.stopped.code) == (0, 1, code("WAVE_NOT_PASSED"))
    assert "1 bad of 2 attempted" in late.stopped.reason
    await world.restart()
    await world.online("host-4")
    assert await world.agent("host-4").waiting("assignment") == []
    assert await world.states("host-4") == ["cancelled"]


async def test_what_was_bad_before_the_completion_is_no_harm_of_late_hosts(world: World) -> None:
    await world.online("host-1", "host-2")
    limits: dict[str, Any] = {"max_failed": 2, "failure_limit": 1.0}
    rollout = await world.roll(*[f"host-{number}" for number in range(1, 6)], limits=limits)
    await world.fail("host-1", code=code("START_FAILED"))
    await world.update("host-2")
    assert await world.state(rollout) == "COMPLETED"
    await world.online("host-3", "host-4")
    await world.fail("host-3", code=code("START_FAILED"))
    assert await world.states("host-4") == ["offered"], "one of the two that may fail after the completion"
    await world.fail("host-4", code=code("START_FAILED"))
    assert (await world.show(rollout)).late.stopped.code == code("WAVE_NOT_PASSED")
    assert await world.states("host-5") == ["cancelled"]


async def test_a_host_of_the_waves_that_goes_back_afterwards_is_an_alert_and_stops_no_late_host(world: World) -> None:
    await completed(world, "host-2")
    first = world.agent("host-1")
    first.disk.attempt = {"generation": first.disk.highest, "version": NEW}
    await first.back("rolled_back")
    assert await world.states("host-1") == ["rolled_back"]
    assert len(await world.events("alert.rolled_back_late")) == 1
    await world.online("host-2")
    await world.update("host-2")


async def test_a_late_host_that_goes_back_after_its_success_stops_the_others(world: World) -> None:
    rollout = await completed(world, "host-2", "host-3")
    await world.sweep(60)
    await world.online("host-2")
    agent = await world.update("host-2")
    agent.disk.attempt = {"generation": agent.disk.highest, "version": NEW}
    await agent.back("rolled_back")
    assert (await world.show(rollout)).late.stopped.code == code("WAVE_NOT_PASSED")
    assert await world.states("host-3") == ["cancelled"]


async def test_a_late_host_that_leaves_before_go_is_queued_again_and_told_none(world: World) -> None:
    await completed(world, "host-2", "host-3")
    await world.online("host-2", "host-3")
    await world.staged("host-2")
    await world.drop("host-2")
    assert await world.states("host-2", "host-3") == ["pending", "offered"], "the place is the next one's"
    await check(world)
    agent = world.agent("host-2")
    await agent.connect()
    assert (await agent.expect("assignment")).version == "", "else it would stay staged for ever"
    await agent.report("cancelled", code=code("SUPERSEDED"))
    assert await world.states("host-2") == ["pending"], "its turn comes"
    await world.update("host-3")
    assert await world.states("host-2") == ["offered"]
    await world.update("host-2")


async def test_a_late_host_lost_after_go_is_bad_until_it_proves_that_its_go_is_unused(
    world: World,
) -> None:
    rollout = await completed(world, "host-2", "host-3", max_failed=2, failure_limit=1.0)
    await world.online("host-2")
    agent = await world.staged("host-2")
    await agent.granted()
    await world.drop("host-2")
    await world.sweep(91)
    assert await world.states("host-2") == ["lost"]
    assert (await world.show(rollout)).late.bad == 1
    await agent.connect()
    assert (await world.show(rollout)).late.bad == 0
    await agent.granted()
    await world.on_trial("host-2")
    await agent.commit()
    assert await world.states("host-2") == ["succeeded"]


async def test_a_held_late_host_gives_its_place_up_and_is_offered_again_later(
    world: World,
) -> None:
    await completed(world, "host-2", "host-3")
    await world.online("host-2", "host-3")
    agent = await world.staged("host-2")
    await agent.report("staged", code=code("HELD_LOCALLY"))
    row = await world.host("host-2")
    assert (row["state"], row["waiting"]) == ("pending", "HELD_LOCALLY")
    assert (await agent.expect("assignment")).version == ""
    await agent.report("cancelled", code=code("SUPERSEDED"))
    await world.update("host-3")
    assert await world.states("host-2") == ["pending"]
    await world.sweep(3601)
    assert await world.states("host-2") == ["offered"]
    await world.update("host-2")


async def test_a_hello_says_whether_a_late_host_is_held_still(world: World) -> None:
    await completed(world, "host-2")
    await world.online("host-2")
    agent = await world.staged("host-2")
    await agent.report("staged", code=code("HELD_LOCALLY"))
    await agent.expect("assignment")
    await agent.report("cancelled", code=code("SUPERSEDED"))
    await agent.connect()
    assert await world.states("host-2") == ["offered"], "if it is held it says so again"
    await world.update("host-2")


async def test_a_newer_rollout_that_means_a_late_host_ends_it_in_the_older_one(world: World) -> None:
    first = await completed(world, "host-2", "host-3", "host-4")
    await world.online("host-2")
    agent = await world.staged("host-2")
    await world.sweep(1)
    second = await world.roll("host-1", "host-2", "host-3", version=NEWER)
    for name in ("host-2", "host-3"):
        await ended(world, name, first)
    assert (await world.host("host-4", first))["state"] == "pending", "the newer one does not mean it"
    await world.update("host-1", NEWER)
    await agent.take()
    await agent.report("downloading")
    await agent.report("staged", sha256=bytes.fromhex(world.stock.digests[NEWER]))
    await world.cancel(second)


async def ended(world: World, name: str, rollout: str) -> None:
    """Let what follows a start come, and expect the host superseded there."""
    await world.sweep(1)
    row = await world.host(name, rollout)
    assert (row["state"], row["code"]) == ("cancelled", "SUPERSEDED")


async def test_a_late_host_that_is_revoked_is_skipped(world: World) -> None:
    await completed(world, "host-2", "host-3")
    await world.revoke("host-2")
    assert await world.states("host-2") == ["skipped"]
    await world.online("host-3")
    await world.update("host-3")


async def test_a_late_host_that_has_the_version_by_now_is_skipped_and_holds_nobody_up(world: World) -> None:
    await completed(world, "host-2", "host-3")
    world.agent("host-2").disk.version = NEW
    await world.online("host-2", "host-3")
    row = await world.host("host-2")
    assert (row["state"], row["code"]) == ("skipped", "ALREADY_AT_TARGET")
    await world.update("host-3")


async def test_late_hosts_expire_at_not_after_and_get_no_offer_behind_it(world: World) -> None:
    rollout = await completed(world, "host-2", "host-3", not_after=3600)
    await world.online("host-2")
    agent = await world.staged("host-2")
    await world.sweep(3600)
    assert await world.states("host-2", "host-3") == ["expired", "expired"]
    assert (await agent.expect("assignment")).version == ""
    await world.online("host-3")
    assert await world.agent("host-3").waiting("assignment") == []
    assert (await world.show(rollout)).waiting_for == ""


async def test_a_late_host_that_does_not_move_for_a_day_stops_the_others(world: World) -> None:
    rollout = await completed(world, "host-2", "host-3")
    await world.online("host-2")
    await world.staged("host-2")
    await world.sweep(24 * 3600)
    assert "nothing moved" in (await world.show(rollout)).late.stopped.reason
    assert await world.states("host-2", "host-3") == ["cancelled", "cancelled"]


async def test_a_restart_of_the_server_in_between_changes_nothing(world: World) -> None:
    await completed(world, "host-2", "host-3")
    await world.crash()
    await world.online("host-2", "host-3")
    agent = await world.staged("host-2")
    await agent.granted()
    await agent.report("applying", step="restart")
    await world.restart()
    await world.sweep(1)
    assert await world.states("host-2", "host-3") == ["applying", "pending"]
    agent = world.agent("host-2")
    agent.switch(NEW, world.stock.digests[NEW])
    await agent.connect()
    await agent.expect("promote")
    await agent.commit()
    await world.online("host-3")
    await world.update("host-3")
    assert len(await world.rows(RolloutHostRow, state="succeeded")) == 3


async def test_a_lost_host_that_comes_back_past_go_keeps_a_late_one_from_its_own(world: World) -> None:
    await world.online("host-1", "host-2")
    limits: dict[str, Any] = {"max_concurrent": 3, "max_failed": 2, "failure_limit": 1.0}
    rollout = await world.roll("host-1", "host-2", "host-3", limits=limits)
    lost = await world.staged("host-2")
    await lost.granted()
    await lost.report("applying", step="restart")
    await world.update("host-1")
    await world.drop("host-2")
    await world.sweep(631)
    assert await world.states("host-2") == ["lost"]
    assert await world.state(rollout) == "COMPLETED"
    await world.online("host-3")
    late = await world.staged("host-3")
    await lost.connect()
    assert await world.states("host-2", "host-3") == ["applying", "staged"]
    assert (await world.show(rollout)).late.under_way == 2
    assert await late.refused_go() == "BUDGET"
    lost.switch(NEW, world.stock.digests[NEW])
    await lost.connect()
    await lost.expect("promote")
    await lost.commit()
    await late.expect("ask_again")
    await late.granted()
    await world.on_trial("host-3")
    await late.commit()
    assert await world.states("host-2", "host-3") == ["succeeded", "succeeded"]


async def test_an_offer_that_a_host_never_heard_is_sent_again_or_taken_back(world: World) -> None:
    rollout = await completed(world, "host-2")
    agent = world.agent("host-2")
    await agent.connect(lose_welcome=True)
    await agent.connect()
    first = await agent.expect("assignment")
    assert (first.version, await world.states("host-2")) == (NEW, ["offered"])
    await world.pause(rollout)
    await agent.connect()
    assert await world.states("host-2") == ["pending"], "it can't go unanswered"
    assert (await agent.expect("assignment")).version == ""
    await check(world)
    await world.resume(rollout)
    await world.update("host-2")


async def test_a_host_cut_off_in_the_moment_of_its_offer_is_late_without_a_claim(world: World) -> None:
    await world.online("host-1", "host-2")
    rollout = await world.roll("host-1", "host-2")
    agent = world.agent("host-2")
    await agent.take()
    await world.drop("host-2")
    await world.update("host-1")
    await world.sweep(61)
    assert await world.state(rollout) == "COMPLETED"
    assert await world.rows(ClaimRow) == []
    await agent.connect()
    assert await world.states("host-2") == ["offered"]
    await world.update("host-2")


@pytest.mark.parametrize("policy", ["skip", "fail"])
async def test_a_late_host_that_is_off_at_its_turn_waits_whatever_the_policy_for_absent_ones(
    world: World, policy: str
) -> None:
    value = rollouts_pb2.OfflinePolicy.Value(f"OFFLINE_POLICY_{policy.upper()}")
    await world.online("host-1", "host-2")
    await world.roll("host-1", "host-2", limits={"offline_policy": value})
    await world.staged("host-2")
    await world.drop("host-2")
    await world.update("host-1")
    await world.sweep(61)
    assert (await world.host("host-2"))["waiting"] == "HOST_OFFLINE"
    table = table_of(RolloutHostRow)
    turn = sa.update(table).where(table.c.name == "host-2").values(deadline=world.clock.now())
    await world.services.store.writer.command(lambda tx: tx.execute(every_fleet(turn, "a test")))
    await world.sweep(1)
    row = await world.host("host-2")
    assert (row["state"], row["waiting"]) == ("pending", "HOST_OFFLINE")
    await world.online("host-2")
    await world.update("host-2")


async def test_what_goes_bad_between_a_waves_pass_and_the_completion_is_forgiven_too(world: World) -> None:
    await world.online("host-1", "host-2")
    limits: dict[str, Any] = {"max_failed": 2, "failure_limit": 1.0}
    await world.roll("host-1", "host-2", "host-3", "host-4", waves=[1, 0], limits=limits)
    first = await world.update("host-1")
    first.disk.attempt = {"generation": first.disk.highest, "version": NEW}
    await first.back("rolled_back")
    await world.update("host-2")
    await world.online("host-3", "host-4")
    await world.fail("host-3", code=code("START_FAILED"))
    await world.update("host-4")


async def test_a_late_host_that_is_off_expires_at_not_after(world: World) -> None:
    await completed(world, "host-2", not_after=3600)
    await world.sweep(3600)
    assert await world.states("host-2") == ["expired"]
