"""A release that is taken back: from that commit on no offer and no Go, on each kind of database."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import grpc
import pytest
import sqlalchemy as sa

from fleetroll_server.engine.listed import stays_listed
from fleetroll_server.store.tables import ReleaseRow, table_of
from tests.faults.ruling import WHY, Ruler, channels, floor, intermediates, retire, revoke, yank
from tests.faults.stocks import NEW, NEWER, OLD
from tests.faults.virtual_disk import code_name

if TYPE_CHECKING:
    from fleetroll_server.store.tx import Tx
    from tests.faults.worlds import World


@pytest.fixture
def ruler(world_on_each: World) -> Ruler:
    return Ruler(world_on_each.call, world_on_each.channel)


async def refused(call: object) -> str:
    """Await a call that must be refused; return its words."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call  # type: ignore[misc]
    return str(caught.value.details())


@pytest.mark.parametrize("verb", [yank, revoke])
async def test_hosts_before_go_are_told_none_and_what_is_past_go_finishes(
    world_on_each: World, ruler: Ruler, verb: object
) -> None:
    world = world_on_each
    await world.online("host-1", "host-2", "host-3")
    rollout = await world.roll("host-1", "host-2", "host-3", "host-4", limits={"max_concurrent": 2})
    past, staged = await world.staged("host-1"), await world.staged("host-2")
    await past.granted()
    assert await world.states("host-1", "host-2", "host-3", "host-4") == ["granted", "staged", "offered", "pending"]
    changed = await ruler.change(verb(NEW))  # type: ignore[operator]
    assert [(one.version, one.state_reason) for one in changed.releases] == [(NEW, WHY)]
    none = await staged.expect("assignment")
    assert (none.version, code_name(none.decision.code)) == ("", "YANKED")
    shown = await world.show(rollout)
    assert (await world.state(rollout), code_name(shown.state_decision.code)) == ("HALTED", "YANKED")
    assert WHY in shown.state_decision.reason
    assert await world.states("host-2", "host-3", "host-4") == ["cancelled"] * 3
    assert {(await world.host(name))["code"] for name in ("host-2", "host-3", "host-4")} == {"YANKED"}
    await world.on_trial("host-1")
    await past.commit()
    assert await world.states("host-1") == ["succeeded"]
    assert await world.state(rollout) == "HALTED"


async def test_no_go_is_given_for_what_was_taken_back(world_on_each: World, ruler: Ruler) -> None:
    """Also to a host that has not heard of it: Go reads the release in its own transaction."""
    world = world_on_each
    await world.online("host-1")
    rollout = await world.roll("host-1")
    agent = await world.staged("host-1")
    await unlist(world)
    assert await agent.refused_go() == "YANKED"
    await world.sweep(1)
    await ruler.change(yank(NEW))
    assert (await world.state(rollout), await world.states("host-1")) == ("HALTED", ["cancelled"])
    assert await agent.refused_go() != ""


async def test_nothing_of_it_is_offered_to_a_host_that_comes_later(world_on_each: World, ruler: Ruler) -> None:
    world = world_on_each
    await world.online("host-1")
    rollout = await world.roll("host-1", "host-2", "host-3")
    await ruler.change(yank(NEW))
    agents = await world.online("host-2", "host-3")
    await world.sweep(5)
    for agent in agents:
        assert await agent.waiting("assignment") == []
    assert await world.states("host-2", "host-3") == ["cancelled"] * 2
    assert "revision" not in await refused(world.resume(rollout))
    assert f"{NEW} is yanked" in await refused(world.resume(rollout))
    await world.cancel(rollout)
    assert await world.state(rollout) == "CANCELLED"


@pytest.mark.parametrize(("verb", "state"), [(yank, "yanked"), (retire, "retired"), (revoke, "revoked")])
async def test_a_rollout_of_a_withdrawn_release_is_refused_with_its_reason(
    world_on_each: World, ruler: Ruler, verb: object, state: str
) -> None:
    world = world_on_each
    await world.online("host-1")
    await ruler.change(verb(NEW))  # type: ignore[operator]
    words = await refused(world.roll("host-1"))
    assert f"{NEW} is {state}" in words
    assert WHY in words
    assert (await world.show(await world.roll("host-1", version=""))).version == NEWER, "the newest is what is listed"


async def test_late_hosts_of_a_yanked_release_are_let_go(world_on_each: World, ruler: Ruler) -> None:
    world = world_on_each
    await world.online("host-1")
    rollout = await world.roll("host-1", "host-2")
    await world.update("host-1")
    assert await world.state(rollout) == "COMPLETED"
    await ruler.change(yank(NEW))
    stopped = (await world.show(rollout)).late.stopped
    assert code_name(stopped.code) == "YANKED"
    await world.online("host-2")
    await world.sweep(5)
    assert await world.states("host-1", "host-2") == ["succeeded", "cancelled"]


async def test_a_rollout_that_was_halted_stands_for_the_yank_now(world_on_each: World, ruler: Ruler) -> None:
    world = world_on_each
    await world.online("host-1", "host-2")
    rollout = await world.roll("host-1", "host-2", limits={"max_concurrent": 2})
    await world.staged("host-2")
    await world.fail("host-1")
    world.left_over["rollout"] = (0, 1)
    assert await world.state(rollout) == "HALTED"
    await ruler.change(yank(NEW))
    assert code_name((await world.show(rollout)).state_decision.code) == "YANKED"
    assert await world.states("host-2") == ["cancelled"]


async def test_a_fleet_too_large_for_one_transaction_is_let_go_in_several(
    world_on_each: World, ruler: Ruler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No offer of any of them in between: the rollout stands from the first commit on."""
    world = world_on_each
    names = [f"host-{number}" for number in range(1, 7)]
    await world.online(*names)
    rollout = await world.roll(*names, limits={"max_concurrent": 6})
    monkeypatch.setattr("fleetroll_server.engine.crowd.ONE_BY_ONE", 2)
    monkeypatch.setattr("fleetroll_server.engine.crowd.Room.__init__.__defaults__", (200, 2, 1))
    await ruler.change(yank(NEW))
    assert await world.state(rollout) == "HALTED"
    assert {(await world.host(name))["code"] for name in names} >= {"YANKED"}
    for _ in range(3):
        await world.sweep(1)
    assert await world.states(*names) == ["cancelled"] * 6


async def test_what_hosts_need_is_counted_and_not_retired(world_on_each: World, ruler: Ruler) -> None:
    world = world_on_each
    await world.online("host-1", "host-2")
    assert await ruler.in_use() == {OLD: (2, 0, 0, False)}
    rollout = await world.roll("host-1", "host-2", "host-3")
    assert (await ruler.in_use())[NEW] == (0, 0, 3, False)
    assert "3 are meant to run it" in await refused(ruler.change(retire(NEW)))
    await world.update("host-1")
    assert await ruler.in_use() == {OLD: (1, 1, 0, False), NEW: (1, 0, 2, False)}
    await world.cancel(rollout)
    assert (await ruler.in_use())[NEW] == (1, 0, 0, False)
    assert "1 run it" in await refused(ruler.change(retire(NEW)))
    assert (await ruler.release(NEW)).state_reason == ""
    assert (await ruler.change(retire(NEWER))).releases[0].version == NEWER
    await ruler.change(yank(NEW))


async def test_an_intermediate_is_in_use(world_on_each: World, ruler: Ruler) -> None:
    await ruler.change(intermediates(NEW))
    assert await ruler.in_use() == {NEW: (0, 0, 0, True)}
    assert "intermediate" in await refused(ruler.change(retire(NEW)))


async def test_a_revoked_artefact_that_runs_is_an_alert_for_each_host(world_on_each: World, ruler: Ruler) -> None:
    world = world_on_each
    await world.online("host-1", "host-2")
    await world.roll("host-1")
    await world.update("host-1")
    await ruler.change(revoke(NEW))
    (alert,) = await world.events("alert.revoked_running")
    assert (alert["agent_id"], alert["fleet_id"]) == (world.agent("host-1").disk.agent_id, "default")
    assert (await ruler.in_use())[NEW][0] == 1, "it is listed"
    disk = world.agent("host-2").disk
    disk.version, disk.sha256 = NEW, world.stock.digests[NEW]
    await world.agent("host-2").connect()
    await world.agent("host-2").connect()
    assert [one["agent_id"] for one in await world.events("alert.revoked_running")][1:] == [disk.agent_id]


async def test_a_floor_is_previewed_and_set_only_on_the_number_that_was_seen(
    world_on_each: World, ruler: Ruler
) -> None:
    world = world_on_each
    await world.online("host-1", "host-2")
    seen = await ruler.preview(NEW)
    assert (seen.below, seen.stranded) == (2, 0)
    seen = await ruler.preview("2.0.0")
    assert (seen.below, seen.stranded, [host.name for host in seen.hosts]) == (2, 2, ["host-1", "host-2"])
    assert "nothing at or above 2.0.0" in seen.hosts[0].message
    assert "leaves 2 hosts without a way up, not 0" in await refused(ruler.change(floor("2.0.0")))
    assert (await ruler.policy()).serial == 0
    await ruler.change(floor("2.0.0", 2))
    assert [one["agent_id"] for one in await world.events("alert.below_floor")] == [
        world.agent(name).disk.agent_id for name in ("host-1", "host-2")
    ]
    words = await refused(world.roll("host-1"))
    assert f"{NEW} is below the floor 2.0.0" in words
    assert "no release of" in await refused(world.roll("host-1", version=""))
    await ruler.change(floor(NEWER))
    assert (await ruler.policy()).floor == NEWER, "it may fall"
    await world.roll("host-1", version=NEWER)


async def test_a_floor_that_rises_ends_what_would_bring_hosts_below_it(world_on_each: World, ruler: Ruler) -> None:
    """From that commit on there is no offer and no Go, and nobody resumes it; past Go it finishes."""
    world = world_on_each
    await world.online("host-1", "host-2", "host-3")
    rollout = await world.roll("host-1", "host-2", "host-4", limits={"max_concurrent": 2})
    other = await world.roll("host-3", version=NEWER)
    past, staged = await world.staged("host-1"), await world.staged("host-2")
    await past.granted()
    await ruler.change(floor(NEWER))
    none = await staged.expect("assignment")
    assert (none.version, code_name(none.decision.code)) == ("", "BELOW_FLOOR")
    shown = await world.show(rollout)
    assert (await world.state(rollout), code_name(shown.state_decision.code)) == ("HALTED", "BELOW_FLOOR")
    assert f"{NEW} is below the floor {NEWER}" in shown.state_decision.reason
    assert await world.states("host-2", "host-4") == ["cancelled"] * 2
    await world.on_trial("host-1")
    await past.commit()
    assert await world.states("host-1") == ["succeeded"]
    assert await world.state(other) == "RUNNING"
    assert "is below the floor" in await refused(world.resume(rollout))
    assert await world.state(rollout) == "HALTED"


async def test_a_paused_rollout_below_a_floor_is_not_resumed(world_on_each: World, ruler: Ruler) -> None:
    world = world_on_each
    await world.online("host-1")
    rollout = await world.roll("host-1", "host-2")
    await world.update("host-1")
    assert await world.state(rollout) == "COMPLETED"
    await ruler.change(intermediates(NEW), floor(NEWER))
    assert (await world.show(rollout)).late.stopped.code == 0, "an intermediate is no version below the floor"
    await ruler.change(intermediates(NEWER))
    assert code_name((await world.show(rollout)).late.stopped.code) == "BELOW_FLOOR"
    assert await world.states("host-1", "host-2") == ["succeeded", "cancelled"]


async def test_revoked_identities_need_no_release(world_on_each: World, ruler: Ruler) -> None:
    world = world_on_each
    await world.online("host-1", "host-2")
    rollout = await world.roll("host-1", "host-2")
    await world.update("host-1")
    assert await ruler.in_use() == {OLD: (1, 1, 0, False), NEW: (1, 0, 1, False)}
    await world.revoke("host-1")
    assert await ruler.in_use() == {OLD: (1, 0, 0, False), NEW: (0, 0, 1, False)}
    await world.cancel(rollout)
    await ruler.change(retire(NEW))


async def test_channels_follow_and_nothing_else_of_the_release(world_on_each: World, ruler: Ruler) -> None:
    before = await ruler.release(NEW)
    changed = await ruler.change(channels(NEW, "stable", "beta"), channels(NEWER, "beta"))
    assert {one.version: list(one.channels) for one in changed.releases} == {NEW: ["beta", "stable"], NEWER: ["beta"]}
    after = await ruler.release(NEW)
    after.channels[:] = before.channels
    assert after == before
    await world_on_each.online("host-1")
    assert (await world_on_each.show(await world_on_each.roll("host-1", version=""))).version == NEW


async def unlist(world: World) -> None:
    """Take the release off the list, and nothing else: as a yank that an open transaction has not seen."""
    release = table_of(ReleaseRow)
    change = sa.update(release).where(release.c.version == NEW).values(listed=False)
    await world.services.store.writer.command(lambda tx: tx.execute(change))


async def test_an_offer_reads_the_release_in_its_own_transaction(world_on_each: World, ruler: Ruler) -> None:
    """A rollout that a yank did not find offers nothing all the same, and stands."""
    world = world_on_each
    rollout = await world.roll("host-1", "host-2")
    await unlist(world)
    (agent, _) = await world.online("host-1", "host-2")
    await world.sweep(1)
    assert await agent.waiting("assignment") == []
    shown = await world.show(rollout)
    assert (await world.state(rollout), code_name(shown.state_decision.code)) == ("HALTED", "YANKED")
    assert await world.states("host-1", "host-2") == ["cancelled"] * 2
    assert (await ruler.policy()).serial == 0


async def test_a_host_with_a_lost_go_is_let_go_when_it_shows_that_it_did_not_use_it(
    world_on_each: World, ruler: Ruler
) -> None:
    world = world_on_each
    await world.online("host-1")
    await world.roll("host-1")
    agent = await world.staged("host-1")
    await agent.granted()
    await ruler.change(yank(NEW))
    assert await world.states("host-1") == ["granted"], "its Go may be used"
    await agent.connect()
    await world.sweep(1)
    assert await world.states("host-1") == ["cancelled"]
    assert (await world.host("host-1"))["code"] == "YANKED"


async def test_a_yank_waits_for_an_offer_that_is_being_made_elsewhere(worlds: list[World]) -> None:
    """Else that offer would be committed after the yank, by a server that read the release before it."""
    one, other = worlds
    ruler = Ruler(other.call, other.channel)
    (release_id,) = [row["id"] for row in await one.rows(ReleaseRow, version=NEW)]
    reading, go_on = asyncio.Event(), asyncio.Event()

    async def offer(tx: Tx) -> bool:
        listed = await stays_listed(tx, release_id)
        reading.set()
        await go_on.wait()
        return listed

    offering = asyncio.create_task(one.services.store.writer.command(offer))
    await asyncio.wait_for(reading.wait(), 10)
    yanking = asyncio.create_task(ruler.change(yank(NEW)))
    done, _ = await asyncio.wait({yanking}, timeout=1)
    assert done == set(), "it waits"
    go_on.set()
    assert await offering
    assert (await yanking).releases[0].version == NEW
