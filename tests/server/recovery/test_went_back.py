"""A data folder was copied back: one host's receipt proves it, and what the database has lost comes from the hosts."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from google.protobuf.timestamp_pb2 import Timestamp

from fleetroll.v1 import recovery_pb2
from fleetroll_server.store.fleets import every_fleet
from fleetroll_server.store.tables import ReportRow, RolloutRow, table_of
from tests.faults.event_watcher import EventWatcher
from tests.faults.lost_time import comes_back, copied, copied_back, end, recovery_of
from tests.faults.stocks import NEW
from tests.faults.virtual_agent import RefusedError
from tests.faults.virtual_disk import code_name

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.worlds import World

COUNT = 5
"""Hosts of the stock that no test here connects."""


async def test_one_receipt_above_the_row_begins_a_recovery_and_no_alarm(world: World, tmp_path: Path) -> None:
    await world.online("host-1", "host-2", "host-3")
    rollout = await world.roll("host-1", "host-2", waves=[1, 0])
    copy = await copied(world, tmp_path / "copy")
    await world.online("host-1", "host-2", "host-3")
    await world.update("host-1")
    highest = world.agent("host-1").disk.highest
    await copied_back(world, copy)
    before = world.services.incarnation
    assert not (await recovery_of(world)).active
    await comes_back(world.agent("host-1"))
    shown = await recovery_of(world)
    assert shown.active
    assert shown.cause == recovery_pb2.RECOVERY_CAUSE_WENT_BACK
    assert shown.incarnation not in {before, ""}
    assert await world.state(rollout) == "PAUSED"
    assert await world.events("alert.identity_cloned") == []
    assert await world.events("alert.go_without_grant") == []
    assert (await world.host("host-1"))["state"] == "succeeded"
    assert len(await world.rows(ReportRow)) == world.agent("host-1").disk.sequence
    await comes_back(world.agent("host-2"))
    await comes_back(world.agent("host-3"))
    assert (await recovery_of(world)).hosts_not_seen == COUNT
    await end(world, COUNT)
    await world.resume(rollout)
    await world.update("host-2")
    assert world.agent("host-1").disk.highest == highest
    assert await world.state(rollout) == "COMPLETED"


async def test_what_would_begin_by_itself_waits_for_a_person_after_a_recovery(world: World, tmp_path: Path) -> None:
    await world.online("host-1")
    at = Timestamp()
    at.FromDatetime(world.clock.now() + timedelta(hours=1))
    rollout = await world.roll("host-2", start_at=at)
    copy = await copied(world, tmp_path / "copy")
    await world.online("host-1")
    await world.cancel(rollout)
    await copied_back(world, copy)
    await comes_back(world.agent("host-1"))
    assert (await recovery_of(world)).active
    shown = await world.show(rollout)
    assert (await world.state(rollout), code_name(shown.state_decision.code)) == ("PAUSED", "RECOVERY")
    await world.sweep(7200)
    assert await world.state(rollout) == "PAUSED"
    await world.cancel(rollout)


async def test_streams_that_are_open_are_closed_so_that_their_hosts_come_with_what_they_kept(
    world: World, tmp_path: Path
) -> None:
    await world.online("host-1")
    copy = await copied(world, tmp_path / "copy")
    await world.online("host-1")
    await copied_back(world, copy)
    other = world.agent("host-2")
    await other.connect()
    session = other.here
    with pytest.raises(RefusedError) as caught:
        await world.agent("host-1").connect()
    assert caught.value.code == "RECONNECT"
    await other.ended(session)
    assert [kind.WhichOneof("message") for kind in session.inbox][-1] == "refusal"


async def test_whoever_watches_starts_over_when_it_turns_out(world: World, tmp_path: Path) -> None:
    await world.online("host-1")
    copy = await copied(world, tmp_path / "copy")
    await world.online("host-1")
    await copied_back(world, copy)
    watcher = EventWatcher(world)
    async with watcher.watching():
        await watcher.until(lambda: watcher.snapshots == 1)
        await comes_back(world.agent("host-1"))
        await watcher.until(lambda: watcher.snapshots == 2)
    assert ["another database" in why for why in watcher.resyncs] == [True]


async def test_a_forged_receipt_begins_nothing(world: World) -> None:
    agent = world.agent("host-1")
    await agent.connect()
    receipt = agent.disk.receipt
    assert receipt is not None
    receipt.epoch += 9
    await agent.connect()
    assert not (await recovery_of(world)).active
    agent.disk.receipt.mac = world.agent("host-2").disk.seed
    await agent.connect()
    assert not (await recovery_of(world)).active


async def test_nothing_is_offered_and_no_host_gets_go_while_it_lasts(world: World, tmp_path: Path) -> None:
    await world.online("host-1", "host-2")
    rollout = await world.roll("host-1", "host-2", limits={"max_concurrent": 2})
    await world.staged("host-1")
    copy = await copied(world, tmp_path / "copy")
    await world.online("host-1", "host-2")
    await copied_back(world, copy)
    await comes_back(world.agent("host-1"))
    await comes_back(world.agent("host-2"))
    assert await world.agent("host-1").refused_go() == "RECOVERY"
    assert await world.agent("host-2").waiting("assignment") == []
    with pytest.raises(Exception, match="recovery"):
        await world.resume(rollout)
    with pytest.raises(Exception, match="recovery"):
        await world.roll("host-3")
    await world.sweep(60)
    assert await world.agent("host-2").waiting("assignment", "go") == []
    await end(world, COUNT + 1)
    await world.resume(rollout)
    await world.agent("host-1").granted()
    await world.on_trial("host-1")
    await world.agent("host-1").commit()
    await world.update("host-2")
    assert await world.state(rollout) == "COMPLETED"


async def test_even_a_rollout_that_says_it_runs_offers_nothing(world: World, tmp_path: Path) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1", "host-2", limits={"max_concurrent": 2})
    copy = await copied(world, tmp_path / "copy")
    await world.online("host-1")
    await copied_back(world, copy)
    await comes_back(world.agent("host-1"))
    table = table_of(RolloutRow)
    change = every_fleet(sa.update(table).values(state="running"), "the test breaks it")
    await world.services.store.writer.command(lambda tx: tx.execute(change))
    await comes_back(world.agent("host-2"))
    await world.sweep(5)
    assert (await world.host("host-2"))["generation"] is None
    assert await world.agent("host-2").waiting("assignment") == []
    await end(world, COUNT + 1)
    await world.sweep(5)
    assert (await world.agent("host-2").take()).version == NEW
    await world.cancel(rollout)
    await world.agent("host-2").report("cancelled")
    await world.agent("host-1").cut()
