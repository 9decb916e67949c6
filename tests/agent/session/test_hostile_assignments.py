"""Assignments beyond every bound: nothing of them is kept, and the real server's next one is taken."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from fleetroll.v1 import agent_stream_pb2 as stream_pb2
from fleetroll_agent import convert

if TYPE_CHECKING:
    from tests.agent.fake_server.inprocess import InProcessHost
    from tests.agent.fake_server.server import FakeServer


@pytest.mark.parametrize(("version", "generation"), [("9" * 100_000, 3), ("", 2**40), ("1.1.0", 2**63 - 1)])
async def test_a_refused_assignment_is_logged_and_changes_nothing(
    server: FakeServer, host: InProcessHost, version: str, generation: int
) -> None:
    with capture_logs() as logs:
        async with host.running() as daemon:
            await server.until(lambda: server.sessions)
            server.session.send(
                assignment=stream_pb2.Assignment(product="agent", version=version, generation=generation)
            )
            while not (refused := [line for line in logs if line["event"] == "assignment_refused"]):
                await asyncio.sleep(0.01)
            record = daemon.state.record
            assert (record.highest, record.attempt, record.outcomes, host.journal()) == (0, None, (), [])
            server.assign("1.1.0", 4)
            await server.until(lambda: "STAGED" in server.states(4))
    assert (refused[0]["generation"], len(refused[0]["reason"]) < 200) == (generation, True)


def test_a_servers_words_are_cut() -> None:
    said = convert.refused_go(1, stream_pb2.NoGo(message="x" * 5000))
    assert len(said.message) == convert.MAX_REASON_CHARS
