"""Fifty hosts, and a database that is an hour and two hundred reports old: everything comes back, nothing twice.

Once by a restored backup with the stops of the lost hour, once by a data folder that was copied back; on each database.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.duration_pb2 import Duration

from fleetroll_common.trust.library import Metadata
from fleetroll_publishing.roles import read_repository
from fleetroll_server.catalogue.metadata import current_files
from fleetroll_server.engine import engine
from fleetroll_server.store.tables import AgentRow, ReportRow
from tests.faults.lost_time import (
    approve,
    backed_up,
    comes_back,
    copied,
    copied_back,
    end,
    join,
    join_string,
    recovery_of,
    restored,
    trusts_newest,
)
from tests.faults.recounts import check
from tests.faults.stocking import publish
from tests.faults.stocks import NEW, NEWER, move_in
from tests.faults.virtual_agent import RefusedError
from tests.faults.virtual_disk import code
from tests.faults.worlds import World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.faults.stocks import Stock

FIRST, LATER = 45, 5
YOUNGEST = "1.3.0"
"""Published in the lost hour."""
GRANTED, PLACED, ORPHAN = "host-40", "host-9", "host-42"
"""On trial when the database goes back: its Go was known, its offer was not, its whole rollout was not."""
REVOKED = ("host-43", "host-44")
HALTS, ROTATES = "host-41", "host-45"
UPDATED = tuple(f"host-{number}" for number in range(1, 40) if number != 9)


@dataclass
class Lost:
    """What there was when the database went back."""

    spread: str = ""
    halted: str = ""
    source: Any = None
    later: list[str] = field(default_factory=list)
    reports: dict[str, int] = field(default_factory=dict)


@pytest.fixture(params=["sqlite", "postgresql"])
async def fifty(
    request: pytest.FixtureRequest, stock_once: Stock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    """A server with the first hosts, on each kind of database."""
    monkeypatch.setattr(engine, "SWEEP_SECONDS", 3600.0)
    url = ""
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres").fresh()
        await move_in(stock_once, url)
    world = World(stock_once.copy(tmp_path / "data"), url)
    settings = world.stock.data / "fleetroll-server.toml"
    settings.write_text(f'{settings.read_text()}stops_log = "{tmp_path / "stops.log"}"\n')
    await world.start()
    try:
        string = await join_string(world, FIRST)
        for number in range(len(world.stock.disks) + 1, FIRST + 1):
            await join(world, string, f"host-{number}")
        for number in range(1, FIRST + 1):
            world.agent(f"host-{number}").disk.journal_id = f"journal-{number}"
            await world.agent(f"host-{number}").connect()
        yield world
        await check(world)
    finally:
        await world.stop()


async def before(world: World, lost: Lost) -> None:
    """Let two rollouts run when the backup is taken: one host has Go, one will halt its rollout."""
    limits = {"max_concurrent": 1000}
    lost.spread = await world.roll(*UPDATED, PLACED, waves=[len(UPDATED), 0], limits=limits)
    await world.roll(GRANTED)
    lost.halted = await world.roll(HALTS, ROTATES, waves=[1, 0])
    await world.staged(GRANTED)
    await world.agent(GRANTED).granted()
    await world.staged(HALTS)
    await world.agent(HALTS).granted()


async def lost_hour(world: World, lost: Lost, string: str, tree: Path) -> None:
    """Let everything happen that the database will have lost."""
    for name in (GRANTED, HALTS, *UPDATED, PLACED, ORPHAN, ROTATES, *REVOKED):
        if world.agent(name).session is None:
            await world.agent(name).connect()
    world.stock.digests[YOUNGEST] = await publish(world, YOUNGEST, tree)
    await world.agent(HALTS).report("applying", step="restart")
    await world.agent(HALTS).back(code=code("START_FAILED"))
    assert await world.state(lost.halted) == "HALTED"
    for name in UPDATED:
        await world.update(name)
    for name in (PLACED, GRANTED):
        if name == PLACED:
            await world.staged(PLACED)
            await world.agent(PLACED).granted()
        await tries(world, name, NEW)
    orphaned = await world.roll(ORPHAN, version=YOUNGEST)
    await world.staged(ORPHAN, YOUNGEST)
    await world.agent(ORPHAN).granted()
    await tries(world, ORPHAN, YOUNGEST)
    assert await world.state(orphaned) == "RUNNING"
    second = await world.roll(*UPDATED[:12], version=NEWER, limits={"max_concurrent": 1000})
    for name in UPDATED[:12]:
        await world.update(name, NEWER)
    assert await world.state(second) == "COMPLETED"
    seed = b"\x99" * 32
    await world.agent(ROTATES).rotate(seed)
    world.agent(ROTATES).disk.seed = seed
    await world.agent(ROTATES).connect()
    lost.later = [f"host-{number}" for number in range(FIRST + 1, FIRST + LATER + 1)]
    for name in lost.later:
        agent = await join(world, string, name)
        agent.disk.journal_id = f"journal-{name}"
        await agent.connect()
    for name in REVOKED:
        await world.revoke(name)
    world.clock.advance(3600)
    await world.accepted_all_along()
    for name in everybody(lost):
        await trusts_newest(world, world.agent(name))
    lost.reports = {name: world.agent(name).disk.sequence for name in everybody(lost)}


async def tries(world: World, name: str, version: str) -> None:
    """Let a host that has Go come back as the new version: its trial has begun, and it was promoted."""
    agent = world.agent(name)
    await agent.report("applying", step="restart", time_limit=Duration(seconds=4000))
    await agent.try_out(version, world.stock.digests[version])
    await agent.expect("promote")


def everybody(lost: Lost) -> list[str]:
    """Name all that are there in the end."""
    first = [f"host-{number}" for number in range(1, FIRST + 1)]
    return [name for name in (*first, *lost.later) if name not in REVOKED]


async def all_back(world: World, lost: Lost) -> None:
    """Let every host come; each trial is promoted again, and committed."""
    for name in everybody(lost):
        welcome = await comes_back(world.agent(name))
        assert welcome.quarantined == (name in lost.later), name
    for name in (GRANTED, PLACED, ORPHAN):
        promoted = await world.agent(name).expect("promote")
        assert promoted.generation == world.agent(name).generation
        await world.agent(name).commit()
        lost.reports[name] = world.agent(name).disk.sequence


async def judge(world: World, lost: Lost) -> None:
    """See that all is there, once, and that nothing runs."""
    rows = {row["name"]: row for row in await world.rows(AgentRow)}
    assert set(everybody(lost)) <= set(rows)
    assert await world.events("alert.identity_cloned") == []
    assert await world.events("alert.hello_repeats") == []
    assert await world.events("alert.go_without_grant") == []
    assert await world.events("alert.generation_refused") == []
    assert [name for name in everybody(lost) if rows[name]["quarantined"] != (name in lost.later)] == []
    stored = Counter(row["agent_id"] for row in await world.rows(ReportRow) if row["status"] != "rejected")
    assert {name: stored[rows[name]["id"]] for name in everybody(lost)} == lost.reports
    assert await world.states(*UPDATED[12:], GRANTED, PLACED) == ["succeeded"] * 28
    hosts = [await world.host(name, lost.spread) for name in UPDATED[:12]]
    assert [host["state"] for host in hosts] == ["succeeded"] * 12
    await accepts_metadata(world, lost)


async def accepts_metadata(world: World, lost: Lost) -> None:
    """See that what the server has now is above everything that any host trusts, and lists the same releases."""
    async with world.services.store.read() as connection:
        files = await current_files(connection)
    repository = read_repository(files)
    now = {
        "timestamp.json": repository.timestamp.version,
        "snapshot.json": repository.snapshot.version,
        "targets.json": repository.targets.version,
        "products%2Fagent.json": repository.products["agent"].version,
    }
    for name in everybody(lost):
        for file, data in world.agent(name).disk.files.items():
            assert now[file] >= Metadata.from_bytes(data).signed.version, (name, file)
    assert any(YOUNGEST in path for path in repository.products["agent"].targets)
    assert now["timestamp.json"] > Metadata.from_bytes(world.agent(ORPHAN).disk.files["timestamp.json"]).signed.version


async def goes_on(world: World, lost: Lost) -> None:
    """See that nothing is offered before the end of the recovery, and that the fleet has updates after it."""
    with pytest.raises(Exception, match="recovery"):
        await world.roll(UPDATED[0], version=NEWER)
    listed = [host.name for host in (await recovery_of(world)).younger]
    assert sorted(listed) == sorted(lost.later)
    assert len(await approve(world)) == LATER
    await end(world, (await recovery_of(world)).hosts_not_seen)
    assert await world.state(lost.halted) == "HALTED"
    highest = {name: world.agent(name).disk.highest for name in everybody(lost)}
    chosen = (UPDATED[0], ORPHAN, lost.later[0])
    rollout = await world.roll(*chosen, version=YOUNGEST, limits={"max_concurrent": 10})
    assert await world.state(rollout) == "RUNNING"
    for name in (UPDATED[0], lost.later[0]):
        await world.update(name, YOUNGEST)
        assert world.agent(name).disk.highest > highest[name], "no generation is ignored"
    assert await world.state(rollout) == "COMPLETED"
    await world.cancel(lost.halted)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("way", ["restore", "copy"])
async def test_everything_comes_back_and_nothing_twice(
    fifty: World, way: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    world, lost, copy_url = fifty, Lost(), ""
    string = await join_string(world, LATER + 1)
    await before(world, lost)
    pg = request.getfixturevalue("postgres") if world._url else None
    copy_url = ""
    if way == "restore":
        lost.source = await backed_up(world, tmp_path / "backup")
    else:
        database = world._url.rpartition("/")[2]
        urls: list[str] = [] if pg else [""]
        await copied(world, tmp_path / "copied", lambda: urls.append(pg.fresh(database)) if pg else None)
        lost.source, copy_url = tmp_path / "copied", urls[0]
    taken = sum(agent.disk.sequence for agent in world.agents.values())
    await lost_hour(world, lost, string, tmp_path / "tree")
    told = sum(lost.reports.values()) - taken
    assert told >= 200
    if way == "restore":
        url = pg.fresh("template1") if pg else ""
        made = await restored(world, lost.source, tmp_path / "restored", tmp_path / "stops.log", url)
        assert made.damaged_stops == 0
        assert made.stops >= LATER + len(REVOKED) + 1
        assert (await recovery_of(world)).active
    else:
        await copied_back(world, lost.source, copy_url)
    await all_back(world, lost)
    await judge(world, lost)
    for name in REVOKED:
        with pytest.raises(RefusedError) as caught:
            await world.agent(name).connect()
        assert caught.value.code == "IDENTITY_REVOKED"
    assert await world.state(lost.spread) in {"PAUSED", "COMPLETED"}
    shown = await recovery_of(world)
    await goes_on(world, lost)
    print(
        f"{way}, {'PostgreSQL' if pg else 'SQLite'}: {shown.hosts_seen} of {shown.hosts_known} hosts back, "
        f"{LATER} of them younger, {told} reports of the lost hour held once each, {shown.unconfirmed} unconfirmed"
    )
