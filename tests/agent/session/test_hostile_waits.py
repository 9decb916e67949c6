"""Times that no calendar holds: a server that is wrong, or not ours, neither silences a host nor ends it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.duration_pb2 import Duration
from structlog.testing import capture_logs

from fleetroll.v1 import agent_stream_pb2 as stream_pb2
from fleetroll.v1 import reasons_pb2
from fleetroll_agent.session import waits

if TYPE_CHECKING:
    from tests.agent.fake_server.inprocess import InProcessHost
    from tests.agent.fake_server.server import FakeServer

FAR = 2**62
HOSTILE = [Duration(seconds=FAR), Duration(seconds=-FAR), Duration(seconds=-1, nanos=-5), Duration(nanos=-(2**31))]
shapes = pytest.mark.parametrize("hostile", HOSTILE, ids=["far", "past", "a second ago", "odd"])


async def waited(logs: list[Any]) -> float:
    """Return the wait that the host decided on."""
    while not (ends := [line for line in logs if line["event"] == "stream_ended"]):
        await asyncio.sleep(0.01)
    return float(ends[0]["wait_seconds"])


@shapes
async def test_a_refusal_names_no_time_beyond_the_bounds(
    server: FakeServer, host: InProcessHost, hostile: Duration
) -> None:
    busy = stream_pb2.Refusal(code=reasons_pb2.REASON_CODE_TOO_MANY_HANDSHAKES, retry_after=hostile)
    server.script.refusals = [busy]
    with capture_logs() as logs:
        async with host.running():
            assert 0 <= await waited(logs) <= waits.MAX_NAMED_SECONDS + 0.2
            assert not host.work.done()


@shapes
async def test_a_drain_names_no_slot_beyond_the_bounds(
    server: FakeServer, host: InProcessHost, hostile: Duration
) -> None:
    with capture_logs() as logs:
        async with host.running():
            await server.until(lambda: server.sessions)
            server.session.send(drain=stream_pb2.Drain(slot=hostile))
            assert 0 <= await waited(logs) <= waits.MAX_NAMED_SECONDS + 0.2
            assert not host.work.done()


@pytest.mark.parametrize("seconds", [FAR, -FAR])
async def test_a_clock_of_another_age_is_a_clock_that_differs(
    server: FakeServer, host: InProcessHost, seconds: int
) -> None:
    server.script.clock_seconds = seconds
    async with host.running() as daemon:
        await server.until(lambda: server.sessions)
        await host.launcher.until_said("hello")
        while not daemon.state.session:
            await asyncio.sleep(0.01)
        assert daemon.state.skewed
