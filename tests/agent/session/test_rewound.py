"""A server that holds fewer reports than it had acknowledged: what it lost goes again, whatever number it names."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from fleetroll_agent.jobs.journal import Journal

if TYPE_CHECKING:
    from fleetroll_agent.daemon import Daemon
    from tests.agent.fake_server.inprocess import InProcessHost
    from tests.agent.fake_server.server import FakeServer


async def staged(server: FakeServer, daemon: Daemon) -> int:
    """Let a host stage something and have all of it acknowledged; return how many reports that were."""
    server.script.grant = False
    server.assign("1.1.0", 7)
    await server.until(lambda: "STAGED" in server.states(7))
    journal = daemon._parts.journal
    await server.until(lambda: journal.acked == journal.last_sequence)
    return journal.acked


async def comes_back(server: FakeServer, held: int) -> None:
    """Let the server come back with no more than ``held`` reports, to a host that did not restart."""
    await server.stop()
    server.agent.held = held
    server.agent.reports.clear()
    await server.start()
    await server.until(lambda: len(server.sessions) > 1)


@pytest.mark.parametrize("named", [0, -1, -(2**62)])
async def test_a_server_that_lost_everything_gets_everything_again(
    server: FakeServer, host: InProcessHost, named: int
) -> None:
    async with host.running() as daemon:
        count = await staged(server, daemon)
        assert count > 1
        await comes_back(server, named)
        await server.until(lambda: server.agent.held >= count)
        heard = [report.sequence for report in server.agent.reports]
        assert heard[:count] == list(range(1, count + 1))
        assert len(server.sessions) == 2, "one session was enough"


async def test_a_disk_that_can_not_be_read_costs_no_session(
    server: FakeServer, host: InProcessHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def unreadable(_journal: Journal, sequence: int) -> None:
        tried.append(sequence)
        raise OSError(errno.EIO, "Input/output error")

    async with host.running() as daemon:
        count = await staged(server, daemon)
        with monkeypatch.context() as patch:
            patch.setattr(Journal, "rewind", unreadable)
            await comes_back(server, 0)
            await server.until(lambda: any(heard.HasField("heartbeat") for heard in server.sessions[1].heard))
            assert (len(server.sessions), tried) == (2, [0])
        await server.stop()
        await server.start()
        await server.until(lambda: server.agent.held >= count)
