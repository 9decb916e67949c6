"""A count that a copy or a machine that is gone brought out of a host's reach begins anew at the host's own hello."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from fleetroll.v1 import agents_pb2
from fleetroll_common.values.generations import MAX_JUMP
from fleetroll_server.engine import counting
from fleetroll_server.store.tables import (
    AssignmentRow,
    AttemptHistoryRow,
    HostProductRow,
    ReportRow,
    RolloutHostRow,
    table_of,
)
from tests.faults.stocks import FLEET, NEW, NEWER, OLD
from tests.faults.virtual_disk import PRODUCT

if TYPE_CHECKING:
    from tests.faults.virtual_agent import VirtualAgent
    from tests.faults.virtual_disk import Disk
    from tests.faults.worlds import World

LIE = 2**62
FAR = MAX_JUMP + 5
"""Out of the reach of a host that begins with none."""


async def copied(world: World, hellos: int = 2) -> VirtualAgent:
    """Let a copy of host-1 take its place; it shows a number of its own making. After one hello nobody can tell it."""
    await world.drop("host-1")
    disk = world.agent("host-1").disk.copy()
    disk.highest, disk.attempt = LIE, None
    copy = world.another(disk, "copy")
    for _ in range(hellos):
        await copy.connect()
    return copy


async def gone(world: World) -> None:
    """The copy leaves, and the original that comes is taken for the copy."""
    await world.drop("copy")
    await world.online("host-1")
    assert (await world.identity("host-1"))["quarantined"]
    await world.drop("host-1")


async def new_key(world: World) -> Disk:
    """Readmit host-1; return its disk. Its journal is a new one, as that of any host of which more is held."""
    return replace(await world.readmit("host-1", b"\x52" * 32), journal_id="journal-2", sequence=0)


async def readmitted(world: World, **disk: Any) -> VirtualAgent:
    """Readmit host-1, with what is on its disk by now; it comes."""
    agent = world.another(replace(await new_key(world), **disk), "host-1")
    await agent.connect()
    return agent


async def generation(world: World) -> int:
    """Return the number of what host-1 shall run."""
    (row,) = await world.rows(AssignmentRow, agent_id=world.agent("host-1").disk.agent_id)
    return int(row["generation"])


async def plant(world: World, *numbers: int) -> None:
    """Write attempts of host-1 in earlier counts."""
    agent_id = world.agent("host-1").disk.agent_id
    rows = [
        {"agent_id": agent_id, "product": PRODUCT, "generation": number, "fleet_id": FLEET, "rollout_id": "gone"}
        | {"state": "failed", "code": "", "message": "", "from_version": OLD, "to_version": NEW}
        for number in numbers
    ]
    await world.services.store.writer.command(lambda tx: tx.execute(sa.insert(table_of(AttemptHistoryRow)), rows))


async def count_far(world: World) -> None:
    """Write what a long life of host-1 would have left: its numbers have gone beyond the reach of a new machine."""
    for model, name in (
        (AssignmentRow, "generation"),
        (RolloutHostRow, "generation"),
        (HostProductRow, "highest_generation"),
    ):
        table = table_of(model)
        mine = (table.c.agent_id == world.agent("host-1").disk.agent_id, table.c.fleet_id == FLEET, table.c[name] > 0)
        change = sa.update(table).where(*mine).values(**{name: FAR})
        await world.services.store.writer.command(lambda tx, change=change: tx.execute(change))
    disk = world.agent("host-1").disk
    disk.highest = FAR
    if disk.attempt is not None:
        disk.attempt["generation"] = FAR


async def test_a_copys_numbers_keep_no_rollout_from_the_original_once_it_is_readmitted(world_on_each: World) -> None:
    world = world_on_each
    await world.online("host-1")
    await world.roll("host-1")
    original = (await world.update("host-1")).disk
    world.clock.advance(1)
    copy = await copied(world)
    rollout = await world.roll("host-1", version=NEWER)
    assert (await copy.take()).generation == LIE + 1
    await gone(world)
    assert await generation(world) > LIE, "a hello in doubt decides nothing"
    world.clock.advance(1)
    agent = await readmitted(world)
    await world.update("host-1", NEWER)
    assert (original.highest, agent.disk.highest) == (1, 2)
    assert await world.state(rollout) == "COMPLETED"
    world.clock.advance(1)
    again = await world.roll("host-1")
    assert (await world.update("host-1")).disk.highest == 3
    assert await world.state(again) == "COMPLETED"
    shown = await world.call(world.hosts_stub.GetAgent, agents_pb2.GetAgentRequest(agent=agent.disk.agent_id))
    assert [int(attempt.id.rpartition("/")[2]) for attempt in shown.attempts] == [3, 2, LIE + 1, 1], "newest first"


async def test_nor_do_those_of_a_copy_that_nobody_noticed(world: World) -> None:
    await world.online("host-1")
    copy = await copied(world, hellos=1)
    rollout = await world.roll("host-1")
    await copy.take()
    await world.drop("copy")
    await world.online("host-1")
    assert not (await world.identity("host-1"))["quarantined"]
    await world.update("host-1")
    assert (world.agent("host-1").disk.highest, await world.state(rollout)) == (1, "COMPLETED")


@pytest.mark.parametrize("state", ["downloading", "staged"])
async def test_what_the_copy_had_begun_is_offered_to_the_original_under_a_number_of_its_own(
    world_on_each: World, state: str
) -> None:
    world = world_on_each
    await world.online("host-1")
    copy = await copied(world)
    rollout = await world.roll("host-1")
    await copy.take()
    await copy.report(*["downloading", "staged"][: 1 if state == "downloading" else 2])
    await world.drop("copy")
    assert await world.states("host-1") == [state]
    agent = await readmitted(world)
    await world.update("host-1")
    assert (agent.disk.highest, await world.state(rollout)) == (1, "COMPLETED")
    (old,) = await world.rows(AttemptHistoryRow, agent_id=agent.disk.agent_id)
    assert old["generation"] == LIE + 1


async def test_what_the_copy_had_permission_for_failed_and_the_next_rollout_reaches_the_original(world: World) -> None:
    await world.online("host-1")
    copy = await copied(world)
    rollout = await world.roll("host-1")
    await world.staged("copy")
    await copy.granted()
    await gone(world)
    agent = await readmitted(world)
    (row,) = await world.rows(RolloutHostRow, rollout_id=rollout)
    assert (row["state"], row["code"], row["generation"]) == ("failed", "NEVER_CAME_BACK", LIE + 1)
    assert (await world.state(rollout), (await agent.assigned()).generation) == ("HALTED", 1)
    agent.disk.highest = 1
    await world.cancel(rollout)
    again = await world.roll("host-1", version=NEWER)
    await world.update("host-1", NEWER)
    assert await world.state(again) == "COMPLETED"


async def test_an_original_that_holds_an_attempt_hears_that_nothing_is_desired_any_more(world_on_each: World) -> None:
    world = world_on_each
    await world.online("host-1")
    rollout = await world.roll("host-1")
    await world.staged("host-1")
    await copied(world)
    await world.cancel(rollout)
    assert await generation(world) == LIE + 1
    await gone(world)
    agent = await readmitted(world)
    nothing = await agent.assigned()
    assert (nothing.version, nothing.generation) == ("", 2)


async def test_a_late_word_of_the_old_count_moves_nothing_of_the_new_one(world: World) -> None:
    await world.online("host-1")
    await copied(world)
    rollout = await world.roll("host-1")
    await world.staged("copy")
    await gone(world)
    await readmitted(world)
    agent = await world.staged("host-1")
    attempt = agent.disk.attempt
    await agent.deliver(agent.journal("applying", "succeeded", generation=LIE + 1))
    assert (await world.host("host-1", rollout))["state"] == "staged"
    assert [row["status"] for row in await world.rows(ReportRow, generation=LIE + 1)][-2:] == ["history"] * 2
    agent.disk.attempt = attempt
    await agent.granted()
    await world.on_trial("host-1")
    await agent.commit()
    assert await world.state(rollout) == "COMPLETED"


@pytest.mark.parametrize("moment", ["before its hello", "after its hello", "its welcome was lost"])
async def test_a_crash_and_a_lost_answer_leave_the_new_count_whole(world: World, moment: str) -> None:
    await world.online("host-1")
    copy = await copied(world)
    rollout = await world.roll("host-1")
    await copy.take()
    await gone(world)
    agent = world.another(await new_key(world), "host-1")
    if moment == "after its hello":
        await agent.connect()
        await agent.take()
    elif moment == "its welcome was lost":
        await agent.connect(lose_welcome=True)
    await world.crash()
    (agent,) = await world.online("host-1")
    if agent.disk.attempt is None:
        await agent.take()
    assert agent.disk.highest < 4
    assert agent.disk.attempt is not None
    agent.disk.attempt["sha256"] = bytes.fromhex(world.stock.digests[NEW])
    await agent.report("downloading")
    await agent.report("staged")
    await agent.granted()
    await world.on_trial("host-1")
    await agent.commit()
    assert await world.state(rollout) == "COMPLETED"


@pytest.mark.parametrize("state", ["succeeded", "staged"])
async def test_a_machine_that_takes_a_place_of_long_standing_gets_its_updates(world_on_each: World, state: str) -> None:
    world = world_on_each
    await world.online("host-1")
    rollout = await world.roll("host-1")
    await (world.update("host-1") if state == "succeeded" else world.staged("host-1"))
    await world.drop("host-1")
    await count_far(world)
    await world.online("host-1")
    assert await generation(world) == FAR, "the host itself is not out of step"
    await world.drop("host-1")
    agent = await readmitted(world, highest=0, attempt=None, version=OLD, sha256="", previous="")
    if state == "succeeded":
        rollout = await world.roll("host-1", version=NEWER)
    await world.update("host-1", NEWER if state == "succeeded" else NEW)
    assert (agent.disk.highest, await world.state(rollout)) == (1, "COMPLETED")


@pytest.mark.parametrize("planted", [(1, 2, 1 + MAX_JUMP), (3,), tuple(range(1, 3 * 4 + 1))])
async def test_no_attempts_number_is_used_twice_nor_hides_a_free_one(
    world_on_each: World, monkeypatch: pytest.MonkeyPatch, planted: tuple[int, ...]
) -> None:
    world = world_on_each
    monkeypatch.setattr(counting, "PAGE", 4)
    await plant(world, *planted)
    await world.online("host-1")
    free = [number for number in range(1, 20) if number not in planted]
    for number, version in zip(free, (NEW, NEWER, NEW), strict=False):
        rollout = await world.roll("host-1", version=version)
        assert (await world.update("host-1", version)).disk.highest == number
        assert await world.state(rollout) == "COMPLETED"
