"""A session that floods its server with reports: it is slowed, nobody else is, and nothing is lost."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from fleetroll.v1 import agent_stream_pb2 as stream_pb2
from fleetroll_common.values.clock import FakeClock
from fleetroll_server.gateway import pace
from fleetroll_server.gateway.pace import Pace
from fleetroll_server.gateway.session import Session, SessionKey
from fleetroll_server.store.tables import ReportRow

if TYPE_CHECKING:
    from tests.faults.virtual_agent import VirtualAgent
    from tests.faults.worlds import World


@pytest.fixture(autouse=True)
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten reports at once, then two a second."""
    monkeypatch.setattr(pace, "REPORT_BURST", 10.0)
    monkeypatch.setattr(pace, "REPORTS_PER_SECOND", 2.0)


def test_reports_within_the_burst_cost_no_time_and_further_ones_what_they_are_worth() -> None:
    one = Pace(FakeClock())
    assert [one.charge(10), one.charge(4), one.charge(2)] == [0.0, 2.0, 3.0]


def test_what_was_slowed_is_free_again_after_its_time() -> None:
    clock = FakeClock()
    one = Pace(clock)
    one.charge(14)
    clock.advance(2)
    assert one.charge(0) == 0.0
    assert one.charge(1) == 0.5
    clock.advance(3600)
    assert [one.charge(10), one.charge(1)] == [0.0, 0.5]


async def test_a_rest_is_over_when_its_session_is() -> None:
    session = Session(SessionKey("agent-1", "fleet-1", 1))
    resting = asyncio.create_task(session.rest(3600))
    await asyncio.sleep(0)
    session.abandon()
    async with asyncio.timeout(1):
        await resting


async def flood(agent: VirtualAgent, batches: int) -> None:
    """Send batches of ten without waiting for an ack."""
    agent.disk.attempt = {"generation": 77, "version": "9.9.9"}
    for _ in range(batches):
        reports = agent.journal(*["downloading"] * 10)
        await agent.send(reports=stream_pb2.ReportBatch(journal_id=agent.disk.journal_id, reports=reports))


async def test_a_session_that_floods_is_not_read_on_and_nothing_of_it_is_lost(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    rests, over = [], asyncio.Event()

    async def rest(_session: Session, seconds: float) -> None:
        if seconds:
            rests.append(seconds)
            await over.wait()

    monkeypatch.setattr(Session, "rest", rest)
    flooding, other = await world.online("host-1", "host-2")
    await flood(flooding, 4)
    assert [(await flooding.expect("ack")).sequence for _ in range(2)] == [10, 20]
    await other.fence()
    assert len(await world.rows(ReportRow, agent_id=flooding.disk.agent_id)) == 20
    assert rests == [5.0]
    over.set()
    assert [(await flooding.expect("ack")).sequence for _ in range(2)] == [30, 40]
    await flooding.fence()
    assert flooding.refused is None
    flooding.disk.attempt = None
