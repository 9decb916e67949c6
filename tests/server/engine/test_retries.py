"""Another try for hosts that went bad, and one host less: decisions of people in the middle of a rollout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fleetroll_server.engine import retrying
from fleetroll_server.store.tables import AttemptHistoryRow, RolloutRow
from tests.faults.stocks import NEW, OLD
from tests.faults.virtual_disk import code

if TYPE_CHECKING:
    import pytest

    from tests.faults.worlds import World

WIDE = {"max_concurrent": 4, "max_failed": 4, "failure_limit": 1.0}


async def test_a_halted_rollout_goes_on_with_its_failed_host(world_on_each: World) -> None:
    world = world_on_each
    await world.online("host-1", "host-2")
    rollout = await world.roll("host-1", "host-2", waves=[1, 0])
    await world.fail("host-1", code=code("START_FAILED"))
    assert await world.state(rollout) == "HALTED"
    await world.retry(rollout)
    assert (await world.state(rollout), await world.waves(rollout)) == ("RUNNING", ["OPEN", "PENDING"])
    for name in ("host-1", "host-2"):
        await world.update(name)
    assert await world.state(rollout) == "COMPLETED"
    shown = await world.show(rollout)
    assert [(wave.attempted, wave.bad) for wave in shown.waves] == [(1, 0), (1, 0)]
    (kept,) = await world.rows(AttemptHistoryRow)
    assert (kept["generation"], kept["state"], kept["code"]) == (1, "rolled_back", "START_FAILED")
    assert (await world.host("host-1"))["generation"] == 2


async def test_a_late_word_of_the_attempt_before_moves_nothing(world: World) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1")
    agent = await world.fail("host-1")
    agent.disk.attempt = {"generation": 1, "state": 0}
    lost = agent.journal("rolled_back", running_version=OLD)
    agent.disk.attempt = None
    await world.retry(rollout)
    await agent.deliver(lost)
    await world.staged("host-1")
    assert await world.states("host-1") == ["staged"]
    await agent.granted()
    await world.on_trial("host-1")
    await agent.commit()
    assert await world.state(rollout) == "COMPLETED"


async def test_a_paused_rollout_stays_paused_and_a_running_one_runs(world: World) -> None:
    await world.online("host-1", "host-2", "host-3")
    rollout = await world.roll("host-1", "host-2", "host-3", limits=WIDE)
    await world.fail("host-1")
    await world.pause(rollout)
    await world.retry(rollout)
    assert (await world.state(rollout), await world.states("host-1")) == ("PAUSED", ["pending"])
    await world.resume(rollout)
    await world.fail("host-1")
    await world.retry(rollout)
    assert await world.state(rollout) == "RUNNING"
    for name in ("host-1", "host-2", "host-3"):
        await world.update(name)
    assert await world.state(rollout) == "COMPLETED"


async def test_what_a_host_rolled_back_as_bad_is_tried_again_only_where_it_is_said_with_a_reason(
    world: World, refusal: Any
) -> None:
    await world.online("host-1", "host-2")
    rollout = await world.roll("host-1", "host-2")
    agent = await world.fail("host-1")
    assert (await refusal(world.retry(rollout, retry_bad=True, reason=""))).code == "INVALID_ARGUMENT"
    await world.retry(rollout, retry_bad=True, reason="it was the disk")
    assert (await agent.expect("assignment")).retry_bad
    agent.session.inbox.clear()
    (said,) = await world.events("rollout.retried")
    assert (said["reason"], said["message"], said["actor_kind"]) == (
        "it was the disk",
        "1 hosts with retry_bad",
        "token",
    )
    await world.cancel(rollout)


async def test_hosts_of_a_rollout_without_retry_bad_are_asked_nothing_else(world: World) -> None:
    await world.online("host-1", "host-2")
    rollout = await world.roll("host-1", "host-2")
    await world.fail("host-1")
    await world.retry(rollout, retry_bad=True)
    await world.update("host-1")
    assert not (await world.agent("host-2").expect("assignment")).retry_bad
    await world.cancel(rollout)


async def test_a_retry_is_refused_where_it_means_nobody_and_on_an_older_revision(world: World, refusal: Any) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1")
    assert (await refusal(world.retry(rollout))).code == "NO_HOSTS"
    seen = (await world.show(rollout)).decision_revision
    await world.fail("host-1")
    assert (await refusal(world.retry(rollout, decision_revision=seen))).code == "STALE_DECISION"
    await world.press()
    assert (await refusal(world.retry(rollout))).code == "SUSPENDED"
    await world.lift()
    await world.cancel(rollout)
    assert (await refusal(world.retry(rollout))).code == "ROLLOUT_STATE"


async def test_a_crowd_is_queued_in_batches_and_a_restart_loses_none(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("host-1", "host-2", "host-3", "host-4", "host-5")
    await world.online(*names)
    rollout = await world.roll(*names, limits=WIDE)
    await world.update("host-4")
    for name in names[:3]:
        await world.fail(name)
    monkeypatch.setattr(retrying, "ONE_BY_ONE", 2)
    monkeypatch.setattr(retrying, "look_again", lambda *_: None)
    await world.retry(rollout)
    assert sorted(await world.states(*names[:3])) == ["offered", "offered", "rolled_back"]
    await world.restart()
    await world.online(*names)
    await world.sweep(1)
    await world.sweep(1)
    assert "rolled_back" not in await world.states(*names)
    (row,) = await world.rows(RolloutRow)
    assert row["retried_at"] is None
    for name in (*names[:3], "host-5"):
        await world.update(name)
    assert await world.state(rollout) == "COMPLETED"


async def test_a_host_before_go_is_skipped_at_once_and_told_so(world_on_each: World) -> None:
    world = world_on_each
    await world.online("host-1", "host-2")
    rollout = await world.roll("host-1", "host-2", "host-3", limits={"max_downloading": 1})
    staged = await world.staged("host-1")
    await world.skip(rollout, "host-1")
    assert (await staged.expect("assignment")).version == ""
    row = await world.host("host-1")
    assert (row["state"], row["code"], row["message"]) == ("skipped", "CANCELLED_BY", "not this one")
    await world.skip(rollout, "host-1")
    await world.skip(rollout, "host-3")
    await world.update("host-2")
    assert await world.state(rollout) == "COMPLETED"


async def test_a_host_past_go_is_not_skipped_and_an_unknown_one_is_named(world: World, refusal: Any) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1")
    agent = await world.staged("host-1")
    await agent.granted()
    why = await refusal(world.skip(rollout, "host-1"))
    assert (why.code, "past Go (granted)" in why.message) == ("ROLLOUT_STATE", True)
    assert (await refusal(world.skip(rollout, "host-7"))).code == "HOST_NOT_FOUND"
    await world.on_trial("host-1")
    await agent.commit()
    assert (await refusal(world.skip(rollout, "host-1"))).code == "ROLLOUT_STATE"


async def test_a_halted_rollout_is_superseded_and_its_hosts_move(world_on_each: World, refusal: Any) -> None:
    world = world_on_each
    names = ("host-1", "host-2", "host-3")
    await world.online(*names)
    older = await world.roll(*names, limits={"max_concurrent": 2})
    past = await world.staged("host-2")
    await past.granted()
    staged = await world.staged("host-3")
    await world.fail("host-1")
    assert await world.state(older) == "HALTED"
    assert (await refusal(world.roll(*names, version="1.2.0"))).code == "ROLLOUT_ACTIVE"
    newer = await world.roll(*names, version="1.2.0", supersede=True, limits={"max_concurrent": 3})
    assert (await world.state(older), await world.state(newer)) == ("SUPERSEDED", "RUNNING")
    assert newer in (await world.show(older)).state_decision.reason
    row = await world.host("host-3", older)
    assert (row["state"], row["code"]) == ("cancelled", "SUPERSEDED")
    assert (await world.host("host-2", newer))["waiting"] == "UPDATE_IN_PROGRESS"
    assert (await staged.expect("assignment")).version in {"", "1.2.0"}
    await world.on_trial("host-2", NEW)
    await past.commit()
    await world.sweep()
    staged.session.inbox.clear()
    await staged.connect()
    for name in names:
        await world.update(name, "1.2.0")
    assert await world.state(newer) == "COMPLETED"
    assert (await world.host("host-2", older))["state"] == "succeeded"


async def test_what_waits_for_a_person_itself_supersedes_nothing(world: World, refusal: Any) -> None:
    await world.online("host-1")
    older = await world.roll("host-1")
    await world.pause(older)
    why = await refusal(world.roll("host-1", version="1.2.0", supersede=True, require_approval=True))
    assert (why.code, why.facts["field"]) == ("INVALID_ARGUMENT", "supersede")
    assert await world.state(older) == "PAUSED"


async def test_what_runs_is_not_superseded(world: World, refusal: Any) -> None:
    await world.online("host-1")
    older = await world.roll("host-1")
    why = await refusal(world.roll("host-1", version="1.2.0", supersede=True))
    assert (why.code, why.facts["rollout"]) == ("ROLLOUT_ACTIVE", older)
    assert await world.state(older) == "RUNNING"
    await world.pause(older)
    newer = await world.roll("host-1", version="1.2.0", supersede=True)
    assert await world.state(older) == "SUPERSEDED"
    await world.cancel(newer)
