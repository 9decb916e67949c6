"""Storage that fails under open streams: they stay, nothing is acknowledged or granted, and it heals by itself."""

from __future__ import annotations

import asyncio
import contextlib
import resource
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from fleetroll.v1 import agent_stream_pb2 as stream_pb2
from fleetroll_server.gateway import outages
from fleetroll_server.store.tables import ReportRow
from tests.faults.virtual_disk import code_name

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.faults.virtual_agent import VirtualAgent
    from tests.faults.worlds import World

SLACK_BYTES = 40_000
"""What still fits: less than the store's probe of itself, so that it stays unhealthy."""


@contextlib.asynccontextmanager
async def no_growing_database(world: World) -> AsyncIterator[None]:
    """SQLite itself refuses: the database has all the pages that it may have."""
    engine = world.services.store._writing
    limits = [1]  # SQLite raises it to what the database has already

    def limit(dbapi: Any, _record: object) -> None:
        cursor = dbapi.cursor()
        cursor.execute(f"PRAGMA max_page_count={limits[0]}")
        cursor.close()

    sa.event.listen(engine.sync_engine, "connect", limit)
    await engine.dispose()
    try:
        yield
    finally:
        limits[0] = 1_000_000
        await engine.dispose()
        sa.event.remove(engine.sync_engine, "connect", limit)


@contextlib.asynccontextmanager
async def no_growing_file(world: World) -> AsyncIterator[None]:
    """The system refuses the write at the commit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    files = [path.stat().st_size for path in world.stock.data.glob("fleetroll.db*")]
    resource.setrlimit(resource.RLIMIT_FSIZE, (max(files) + SLACK_BYTES, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


FAULTS = {"the database may not grow": no_growing_database, "the file may not grow": no_growing_file}


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outages, "FIRST_PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(outages, "LONGEST_PAUSE_SECONDS", 0.1)


def large(agent: VirtualAgent, count: int) -> list[stream_pb2.Report]:
    """Return reports that a small disk does not hold."""
    agent.disk.attempt = {"generation": 77, "version": "9.9.9"}
    return agent.journal(*["downloading"] * count, message="m" * 2000, output_tail="t" * 4000)


async def send(agent: VirtualAgent, reports: list[stream_pb2.Report]) -> None:
    await agent.send(reports=stream_pb2.ReportBatch(journal_id=agent.disk.journal_id, reports=reports))


@pytest.mark.parametrize("fault", FAULTS)
async def test_storage_that_fails_leaves_streams_open_and_loses_no_report(world: World, fault: str) -> None:
    reporting, asking = await world.online("host-1", "host-2")
    await world.roll("host-2")
    await world.staged("host-2")
    writer = world.services.store.writer
    writer._probe_seconds = 0.05
    async with FAULTS[fault](world):
        await send(reporting, large(reporting, 100))
        await send(reporting, large(reporting, 1))
        async with asyncio.timeout(20):
            while writer.healthy:
                await asyncio.sleep(0.01)
        assert await asking.refused_go() == "STORE_FAILED"
        assert not [item for item in reporting.here.inbox if item.WhichOneof("message") == "ack"]
        assert await world.rows(ReportRow, agent_id=reporting.disk.agent_id) == []
        assert not reporting.here.over
    assert [(await reporting.expect("ack")).sequence for _ in range(2)] == [100, 101]
    stored = await world.rows(ReportRow, agent_id=reporting.disk.agent_id)
    assert [row["sequence"] for row in sorted(stored, key=lambda row: row["sequence"])] == list(range(1, 102))
    await asking.granted()
    await asking.report("applying")
    await asking.report("cancelled")
    assert (reporting.refused, asking.refused) == (None, None)


async def test_a_host_whose_reports_wait_for_storage_may_go_and_sends_them_again(world: World) -> None:
    (agent,) = await world.online("host-1")
    reports = large(agent, 3)
    agent.disk.attempt = None
    async with world.broken_disk():
        await send(agent, reports)
        async with asyncio.timeout(10):
            while world.services.store.writer.healthy:
                await asyncio.sleep(0.01)
        await agent.cut()
        async with asyncio.timeout(10):
            while len(world.server.registry):
                await asyncio.sleep(0.01)
    assert (await agent.connect()).ack.sequence == 0
    assert await agent.deliver(reports) == 3


async def test_a_key_is_not_replaced_while_storage_fails_and_the_stream_stays(world: World) -> None:
    (agent,) = await world.online("host-1")
    async with world.broken_disk():
        result = await agent.rotate(b"\x61" * 32)
    assert (code_name(result.code), result.accepted_key) == ("STORE_FAILED", b"")
    assert (await world.identity("host-1"))["next_key"] is None
    await agent.fence()


async def test_changes_that_take_too_long_leave_streams_open_and_lose_no_report(world: World) -> None:
    reporting, asking = await world.online("host-1", "host-2")
    await world.roll("host-2")
    await world.staged("host-2")
    writer = world.services.store.writer
    limit, writer._job_seconds = writer._job_seconds, 0.0
    try:
        await send(reporting, large(reporting, 3))
        assert await asking.refused_go() == "STORE_FAILED"
        await asyncio.sleep(0.3)
        assert not reporting.here.over
        assert await world.rows(ReportRow, agent_id=reporting.disk.agent_id) == []
    finally:
        writer._job_seconds = limit
    assert (await reporting.expect("ack")).sequence == 3
    await asking.granted()
    await asking.report("applying")
    await asking.report("cancelled")
    assert (reporting.refused, asking.refused) == (None, None)
