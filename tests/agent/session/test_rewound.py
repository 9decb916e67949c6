"""A server that holds fewer reports than it had acknowledged: what it lost goes again, whatever number it names."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from fleetroll_agent.jobs.journal import Journal

if TYPE_CHECKING:
    from tests.agent.fake_server.inprocess import InProcessHost
    from tests.agent.fake_server.server import FakeServer


async def staged(server: FakeServer, host: InProcessHost) -> int:
    """Let a host stage something and have all of it acknowledged; return how many reports that were."""
    server.script.grant = False
    async with host.running() as daemon:
        server.assign("1.1.0", 7)
        await server.until(lambda: "STAGED" in server.states(7))
        journal = daemon._parts.journal
        await server.until(lambda: journal.acked == journal.last_sequence)
        return journal.acked


@pytest.mark.parametrize("named", [0, -1, -(2**62)])
async def test_a_server_that_lost_everything_gets_everything_again(
    server: FakeServer, host: InProcessHost, named: int
) -> None:
    count = await staged(server, host)
    assert count > 1
    server.agent.held = named
    server.agent.reports.clear()
    async with host.running():
        await server.until(lambda: server.agent.held >= count)
        heard = [report.sequence for report in server.agent.reports]
    assert heard[:count] == list(range(1, count + 1))
    assert len(server.sessions) == 2, "one session was enough"


async def test_a_disk_that_can_not_be_read_costs_no_session(
    server: FakeServer, host: InProcessHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    await staged(server, host)
    server.agent.held = 0

    def unreadable(_journal: Journal, _sequence: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "rewind", unreadable)
        async with host.running():
            await server.until(lambda: len(server.sessions) > 1)
            await server.until(lambda: any(heard.HasField("heartbeat") for heard in server.sessions[1].heard))
            assert len(server.sessions) == 2
    async with host.running():
        await server.until(lambda: server.agent.held > 0)
