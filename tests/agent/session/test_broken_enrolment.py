"""Enrolments that a person or a line breaks off: one line, a code that says whose turn it is; asking again works."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Any

from fleetroll_agent import enrol
from fleetroll_agent.enrol import Wish
from fleetroll_agent.identity.store import IdentityStore
from fleetroll_common.values.ids import SystemIds
from tests.agent.fake_server.hosts import PROGRAM, RealHost
from tests.agent.fake_server.inprocess import PYTHON

if TYPE_CHECKING:
    from pathlib import Path

    from tests.agent.fake_server.server import FakeServer


def one_line(err: str) -> str:
    """Return what a person reads: the log beside it is JSON."""
    (line,) = [line for line in err.splitlines() if not line.startswith("{")]
    return line


async def works_again(server: FakeServer, host: RealHost) -> bool:
    """Tell whether asking again ends with an agent, and spends nothing more."""
    server.script.names = ["1.1.0"]
    code, out, _err = await host.enroll(server.join_string())
    return (code, "agent 1.1.0 is installed" in out, server.uses) == (0, True, 1)


async def test_an_interrupted_enrolment_is_one_line_and_130(server: FakeServer, tmp_path: Path) -> None:
    reached = asyncio.Event()

    async def hold(_session: Any) -> None:
        reached.set()
        await asyncio.sleep(30)

    server.script.before_welcome = hold
    host, pipe = RealHost(tmp_path / "state"), asyncio.subprocess.PIPE
    arguments = ("enroll", server.join_string().encode(), "--state", str(host.state))
    child = await asyncio.create_subprocess_exec(*PROGRAM, *arguments, stdout=pipe, stderr=pipe)
    await asyncio.wait_for(reached.wait(), 20)
    child.send_signal(signal.SIGINT)
    out, err = await asyncio.wait_for(child.communicate(), 20)
    assert (child.returncode, out, b"Traceback" in err) == (130, b"", False), err
    assert "interrupted; nothing is lost" in one_line(err.decode())
    assert IdentityStore(host.state / "identity", SystemIds()).is_enrolled()
    server.script.before_welcome = None
    assert await works_again(server, host)


async def test_a_line_that_breaks_in_the_download_is_no_server_and_asking_again_goes_on(
    server: FakeServer, tmp_path: Path
) -> None:
    server.script.names, server.script.cut_after = ["1.1.0"], 1000
    host = RealHost(tmp_path / "state")
    code, out, err = await host.enroll(server.join_string())
    assert (code, out) == (20, ""), err
    assert "run enroll again: it goes on where it stopped" in one_line(err)
    server.script.cut_after = None
    assert await works_again(server, host)


async def test_a_session_that_ends_before_it_opens_is_no_server(server: FakeServer, tmp_path: Path) -> None:
    server.script.lose_welcomes = 1
    host = RealHost(tmp_path / "state")
    code, out, err = await host.enroll(server.join_string())
    assert (code, out, "(UNAVAILABLE)" in one_line(err)) == (20, "", True), err
    assert await works_again(server, host)


async def test_a_readmission_says_how_to_start_the_agent(server: FakeServer, tmp_path: Path) -> None:
    state = tmp_path / "state"
    server.script.names = ["1.1.0"]
    await enrol.enroll(Wish(server.join_string(), state, "host-1", "stable", PYTHON, {}))
    join = server.join_string(f"readmit:{server.agent.agent_id}")
    said = await enrol.readmit(Wish(join, state, "host-1", "stable", PYTHON, {}))
    assert said.endswith(f"start it with: fleetroll-agent run --state {state}")
