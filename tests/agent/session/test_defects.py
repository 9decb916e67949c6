"""A defect of the agent's own ends its process at once, in words: the launcher is there to start it again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from fleetroll_agent import daemon
from fleetroll_agent.app import EXIT_FAILED, _exit_code
from fleetroll_agent.launcher import pipe
from fleetroll_agent.session import link
from fleetroll_agent.session.stream import Stream
from fleetroll_common.values.errors import AgentError
from tests.agent.fake_server.inprocess import FakeLauncher

if TYPE_CHECKING:
    from tests.agent.fake_server.inprocess import InProcessHost
    from tests.agent.fake_server.server import FakeServer

PLACES = [(link, "open_session"), (link, "next_wait_seconds"), (Stream, "_hear"), (pipe, "beat")]


@pytest.mark.parametrize(("owner", "name"), PLACES, ids=[name for _, name in PLACES])
async def test_a_defect_ends_the_process_without_waiting_for_an_event(
    server: FakeServer, host: InProcessHost, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str
) -> None:
    def broken(*_arguments: object, **_named: object) -> None:
        raise ZeroDivisionError(name)

    if name == "next_wait_seconds":
        await server.stop()
    monkeypatch.setattr(owner, name, broken)
    with capture_logs() as logs:
        async with host.running():
            if name == "_hear":
                await server.until(lambda: server.sessions)
                server.assign("1.1.0", 7)
            assert await asyncio.wait_for(host.work, 10) == 1
    (said,) = [line for line in logs if line["event"] == "agent_defect"]
    assert (said["log_level"], said["exc_info"]) == ("error", True)


async def test_a_link_that_something_cancelled_is_a_defect_too(
    server: FakeServer, host: InProcessHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def cancelled(*_arguments: object, **_named: object) -> None:
        raise asyncio.CancelledError

    monkeypatch.setattr(link, "open_session", cancelled)
    with capture_logs() as logs:
        async with host.running():
            assert await asyncio.wait_for(host.work, 10) == 1
    assert [line for line in logs if line["event"] == "agent_defect"]


async def test_a_launcher_that_says_nothing_is_no_server_that_can_not_be_reached(
    host: InProcessHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """20 says that no server was there; this agent has not looked for one."""
    monkeypatch.setattr(FakeLauncher, "show", lambda _self, _record: None)
    monkeypatch.setattr(daemon, "RECORD_SECONDS", 0.05)
    with pytest.raises(AgentError, match="the launcher said nothing") as caught:
        async with host.running():
            await asyncio.wait({host.work}, timeout=10)
    assert _exit_code(caught.value) == EXIT_FAILED
