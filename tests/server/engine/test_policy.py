"""Policies in the engine: who is offered what, who gets Go when, and what a change does to a rollout under way."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import sqlalchemy as sa

from fleetroll.v1 import agent_stream_pb2 as stream_pb2
from fleetroll_server.store.tables import PolicyRow, ReleaseRow, WaveRow, table_of
from tests.faults.policies import rule, window
from tests.faults.stocks import NEW, NEWER
from tests.faults.virtual_disk import code

if TYPE_CHECKING:
    from tests.faults.worlds import World

HOUR, DAY = 3600, 86_400


async def one_staged(world: World, **order: Any) -> str:
    """Start a rollout to one host and let it stage; return the rollout."""
    await world.online("host-1")
    rollout = await world.roll("host-1", **order)
    await world.staged("host-1")
    return rollout


async def go_through(world: World, name: str) -> None:
    """Let a staged host have Go, and go all the way."""
    await world.agent(name).granted()
    await world.on_trial(name)
    await world.agent(name).commit()


async def waits_for(world: World, rollout: str) -> str:
    return str((await world.show(rollout)).waiting_for)


# Windows, at Go.


async def test_a_host_stages_outside_its_window_and_gets_go_when_it_opens(world_on_each: World) -> None:
    world = world_on_each
    await rule(world, windows=[window(world, 60, 120)])
    rollout = await one_staged(world)
    agent = world.agent("host-1")
    answer = await agent.ask()
    assert isinstance(answer, stream_pb2.NoGo)
    assert "the next opening begins at" in answer.message
    assert "(the fleet's policy)" in answer.message
    assert 59 * 60 < answer.retry_after.seconds <= HOUR
    row = await world.host("host-1")
    assert (row["state"], row["waiting"], row["retry_at"].second) == ("staged", "WINDOW", 0)
    assert await waits_for(world, rollout) == "the windows of 1 host of wave 1"
    world.clock.advance(HOUR)
    await go_through(world, "host-1")


async def test_the_window_goes_by_the_zone_that_the_host_reported(world: World) -> None:
    for name, zone in (("host-1", "Asia/Kolkata"), ("host-2", "UTC")):
        world.agent(name).disk.time_zone = zone
    await world.online("host-1", "host-2")
    await rule(world, windows=[window(world, -60, 120, "local")], max_concurrent=2)
    await world.roll("host-1", "host-2")
    for name in ("host-1", "host-2"):
        await world.staged(name)
    assert await world.agent("host-1").refused_go() == "WINDOW"
    await go_through(world, "host-2")


async def test_a_host_that_told_no_zone_is_shut_for_windows_of_its_own_clock_and_says_why(world: World) -> None:
    await rule(world, windows=["mon-sun 00:00-24:00 local"])
    await one_staged(world)
    answer = await world.agent("host-1").ask()
    assert "the host told no time zone yet" in answer.message
    await rule(world, windows=["mon-sun 00:00-24:00 UTC"])
    await go_through(world, "host-1")


async def test_no_work_begins_on_a_blackout_nor_so_late_that_it_would_reach_into_one(world: World) -> None:
    today = world.clock.now().date()
    await rule(world, blackouts=[f"{today} UTC"])
    await one_staged(world)
    assert await world.agent("host-1").refused_go() == "WINDOW"
    await rule(world, "blackouts")
    await go_through(world, "host-1")


async def test_too_little_of_the_window_left_is_too_late(world: World) -> None:
    await rule(world, windows=[window(world, -10, 40)], expected=25 * 60)
    await one_staged(world)
    world.clock.advance(10 * 60)
    assert await world.agent("host-1").refused_go() == "WINDOW"


async def test_a_stored_policy_that_cannot_be_read_keeps_hosts_shut(world: World) -> None:
    await rule(world, windows=["mon-sun 00:00-24:00 UTC"])
    await one_staged(world)

    async def job(tx: Any) -> None:
        table = table_of(PolicyRow)
        (row,) = (await tx.execute(sa.select(table).where(table.c.fleet_id == "default"))).mappings().all()
        entries = {"windows": {**row["entries"]["windows"], "value": ["whenever"]}}
        await tx.execute(sa.update(table).where(table.c.fleet_id == "default").values(entries=entries))

    await world.services.store.writer.command(job)
    answer = await world.agent("host-1").ask()
    assert "the stored policy can't be read" in answer.message


# What a host may take.


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"pin": "patch 1.0.7"}, "PINNED"),
        ({"channel": "beta"}, "CHANNEL_NOT_ALLOWED"),
        ({"updates_off": True}, "OPTED_OUT"),
        ({"windows": ["mon-sun 02:00-02:01 UTC"]}, "WINDOW_TOO_SHORT"),
    ],
)
async def test_what_a_policy_forbids_is_left_out_at_the_start_skipped_at_the_offer_and_ended_at_the_ask(
    world: World, said: dict[str, Any], reason: str
) -> None:
    """The same rule each time: the host's own, beside two that have none."""
    await rule(world, host="host-1", **said)
    await world.online("host-1", "host-2", "host-4")
    order = world.order("host-1", "host-2", "host-3", "host-4")
    answer = await world.call(world.rollouts.StartRollout, order)
    assert [(found.name, found.code) for found in answer.exclusions] == [("host-1", code(reason))]
    assert "the host's policy on the server" in answer.exclusions[0].message
    agent = await world.staged("host-2")
    await rule(world, host="host-2", **said)
    await agent.expect("ask_again")
    assert await agent.refused_go() == reason
    assert (await agent.expect("assignment")).version == ""
    await rule(world, host="host-3", **said)
    await world.online("host-3")
    assert await world.states("host-2", "host-3") == ["skipped", "skipped"]
    assert [(await world.host(name))["code"] for name in ("host-2", "host-3")] == [reason, reason]
    await world.update("host-4")
    assert await world.state(answer.rollout.id) == "COMPLETED", "skipped is not failed"


async def test_a_higher_major_version_needs_leave(world: World) -> None:
    world.agent("host-1").disk.version = "0.9.0"
    await world.online("host-1")
    with pytest.raises(grpc.RpcError, match="1 NOT_ALLOWED"):
        await world.roll("host-1")
    await rule(world, allow_major=True)
    await one_staged(world)
    await go_through(world, "host-1")


async def test_a_rollout_without_a_version_takes_the_newest_within_the_fleets_pin(world: World) -> None:
    await world.online("host-1")
    await rule(world, pin="minor 1.1")
    rollout = await world.roll("host-1", version="")
    assert (await world.show(rollout)).version == NEW
    await world.cancel(rollout)
    await rule(world, "pin")
    assert (await world.show(await world.roll("host-1", version=""))).version == NEWER


# Limits.


async def test_limits_that_a_request_leaves_out_come_from_the_fleets_policy_then_the_default(world: World) -> None:
    await world.online("host-1", "host-2")
    await rule(world, fleet="", max_concurrent=5, soak=90)
    await rule(world, max_concurrent=2, bake=30)
    limits = (await world.show(await world.roll("host-1"))).limits
    shown = (limits.max_concurrent, limits.soak.seconds, limits.bake.seconds, limits.max_failed, limits.max_out)
    assert shown == (2, 90, 30, 1, 2)
    limits = (await world.show(await world.roll("host-2", limits={"max_concurrent": 3, "bake": 10}))).limits
    assert (limits.max_concurrent, limits.soak.seconds, limits.bake.seconds) == (3, 90, 10)


async def test_a_rollout_that_ends_before_a_host_may_begin_is_refused_and_names_it(world: World) -> None:
    await world.online("host-1", "host-2")
    await rule(world, host="host-2", windows=[window(world, 3 * 24 * 60, 60)])
    with pytest.raises(grpc.RpcError, match="before host-2 may begin"):
        await world.roll("host-1", "host-2", limits={"not_after": 2 * DAY})
    assert await world.rows(WaveRow) == [], "nothing is written"
    await world.roll("host-1", "host-2", limits={"not_after": 4 * DAY})


# A change is pushed.


async def test_a_change_wakes_staged_hosts_and_makes_older_decisions_stale(world: World) -> None:
    await rule(world, windows=[window(world, 600, 60)])
    rollout = await one_staged(world)
    agent = world.agent("host-1")
    assert await agent.refused_go() == "WINDOW"
    before = (await world.show(rollout)).decision_revision
    answer = await rule(world, windows=[])
    assert answer.rollouts == 1
    await agent.expect("ask_again")
    assert (await world.show(rollout)).decision_revision > before
    (event,) = await world.events("rollout.policy_changed")
    assert (event["rollout_id"], event["fleet_id"]) == (rollout, "default")
    await go_through(world, "host-1")


async def test_no_more_hosts_are_woken_than_may_be_past_go(world: World) -> None:
    names = ("host-1", "host-2", "host-3")
    await rule(world, windows=[window(world, 600, 60)], max_concurrent=2)
    await world.online(*names)
    await world.roll(*names)
    for name in names:
        await world.staged(name)
        assert await world.agent(name).refused_go() == "WINDOW"
    await rule(world, windows=[])
    for name in names:
        await world.agent(name).fence()
    woken = [await world.agent(name).waiting("ask_again") for name in names]
    assert woken == [["ask_again"], ["ask_again"], []]


async def test_a_change_for_one_product_leaves_the_rollouts_of_others_alone(world: World) -> None:
    await one_staged(world)
    assert (await rule(world, product="shop", max_failed=3)).rollouts == 0
    assert (await rule(world, product="agent", max_failed=3)).rollouts == 1


# The clock of waiting hosts.


async def test_a_wave_does_not_stand_still_while_the_windows_of_its_hosts_are_shut(world: World) -> None:
    """Two days before the window opens, and a day behind its opening the wave of a host that says nothing is stuck."""
    await rule(world, windows=[window(world, 48 * 60, 60)])
    rollout = await one_staged(world)
    assert await world.agent("host-1").refused_go() == "WINDOW"
    await world.sweep(26 * HOUR)
    assert await world.state(rollout) == "RUNNING"
    await world.sweep(22 * HOUR + 200)
    assert (await world.host("host-1"))["waiting"] == "", "it could ask since"
    await world.sweep(23 * HOUR)
    assert await world.state(rollout) == "RUNNING"
    await world.sweep(HOUR)
    assert await world.state(rollout) == "HALTED"


async def test_a_host_that_could_go_on_lets_its_wave_stand_still_although_others_are_shut(world: World) -> None:
    await rule(world, host="host-2", windows=[window(world, 96 * 60, 60)])
    await world.online("host-1", "host-2")
    rollout = await world.roll("host-1", "host-2")
    for name in ("host-1", "host-2"):
        await world.staged(name)
    assert await world.agent("host-2").refused_go() == "WINDOW"
    await world.sweep(23 * HOUR)
    assert await world.state(rollout) == "RUNNING"
    await world.sweep(HOUR + 60)
    assert await world.state(rollout) == "HALTED"


async def test_a_hosts_own_window_stops_the_clock_too_and_over_a_reconnection(world: World) -> None:
    """It tells of its window once; a hello in between shows the reason alone."""
    rollout = await one_staged(world)
    agent = world.agent("host-1")
    opens = stream_pb2.Report().retry_at
    opens.FromDatetime(world.clock.now().replace(microsecond=0) + timedelta(hours=60))
    await agent.report("staged", code=code("WINDOW"), retry_at=opens)
    agent.disk.attempt["code"] = code("WINDOW")  # type: ignore[index]
    await world.drop("host-1")
    await world.sweep(HOUR)
    await agent.connect()
    assert (await world.host("host-1"))["waiting"] == "WINDOW"
    await world.sweep(25 * HOUR)
    assert await world.state(rollout) == "RUNNING"
    assert await waits_for(world, rollout) == "the windows of 1 host of wave 1"


async def test_a_late_host_before_its_window_holds_up_no_other_and_stops_nothing(world: World) -> None:
    await rule(world, host="host-2", windows=[window(world, 60 * 60, 60)])
    await world.online("host-1")
    rollout = await world.roll("host-1", "host-2", "host-3", limits={"not_after": 6 * DAY})
    await world.update("host-1")
    await world.sweep(120)
    assert await world.state(rollout) == "COMPLETED"
    await world.online("host-2")
    await world.staged("host-2")
    assert await world.agent("host-2").refused_go() == "WINDOW"
    await world.online("host-3")
    await world.update("host-3")
    await world.sweep(26 * HOUR)
    shown = await world.show(rollout)
    assert not shown.late.HasField("stopped")
    assert shown.waiting_for.startswith("the windows of 1 late host")


async def test_the_release_is_judged_by_its_channels_of_now(world: World) -> None:
    await rule(world, channel="stable")
    await one_staged(world)

    async def job(tx: Any) -> None:
        table = table_of(ReleaseRow)
        await tx.execute(sa.update(table).values(channels=["beta"]))

    await world.services.store.writer.command(job)
    assert await world.agent("host-1").refused_go() == "CHANNEL_NOT_ALLOWED"
