"""A real launcher under a stand-in for the service manager."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fleetroll_agent.launcher.install import first_record
from tests.faults.launcher_host import ABI

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.launcher_host import Host


class Manager:
    """Hears what launchers say."""

    def __init__(self, address: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(address))
        self.socket.setblocking(False)
        self.lines: list[str] = []

    def heard(self, line: str) -> int:
        """Return how often ``line`` was said so far."""
        while True:
            try:
                self.lines += self.socket.recv(4096).decode().splitlines()
            except BlockingIOError:
                return self.lines.count(line)


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    made = Manager(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "200000")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    yield made
    made.socket.close()


def test_readiness_food_and_the_stop_are_told_and_the_agent_knows_nothing_of_it(host: Host, manager: Manager) -> None:
    """READY with the first beat, WATCHDOG while beats come, STOPPING with the stop; the agent can say none of it."""
    host.enrol(host.slot("1.0.0"))
    launcher = host.launch()
    host.until(lambda: manager.heard("READY=1") == 1 and manager.heard("WATCHDOG=1") >= 3)
    agent = Path(f"/proc/{host.living()[0]}/environ").read_bytes()
    assert b"NOTIFY_SOCKET" not in agent
    assert b"WATCHDOG_USEC" not in agent
    assert b"PATH=" in agent
    launcher.send_signal(signal.SIGTERM)
    assert launcher.wait(10) == 0
    assert (manager.heard("STOPPING=1"), manager.heard("READY=1")) == (1, 1)
    assert manager.heard("STATUS=running 1.0.0") >= 1


def test_an_agent_that_hangs_stops_the_feed_until_another_one_beats(host: Host, manager: Manager) -> None:
    """The feed comes through the whole chain: a stopped agent dries it up, and the launcher's own rules mend that."""
    host.enrol(host.slot("1.0.0"))
    host.launch(hang=0.5)
    host.until(lambda: manager.heard("WATCHDOG=1") >= 3)
    os.kill(host.living()[0], signal.SIGSTOP)
    host.until(lambda: host.starts("1.0.0") == 2)
    fed = manager.heard("WATCHDOG=1")
    host.until(lambda: manager.heard("WATCHDOG=1") >= fed + 3)
    assert manager.heard("READY=1") == 1


def test_a_host_without_an_interpreter_is_told_as_such_and_not_as_ready(host: Host, manager: Manager) -> None:
    """The start is extended, the watchdog fed, the trouble shown: nobody kills a launcher that waits."""
    slot = host.slot("1.0.0")
    complete = host.state / "slots" / "agent" / slot["slot"] / "COMPLETE"
    complete.write_text(complete.read_text().replace(ABI, "cp399"))
    first_record(str(host.state), slot["slot"], slot["version"], slot["digest"], "/nowhere/python3.99", "cp399")
    launcher = host.launch()
    host.until(lambda: manager.heard("EXTEND_TIMEOUT_USEC=180000000") >= 3)
    host.until(lambda: manager.heard("WATCHDOG=1") >= 3)
    assert manager.heard("READY=1") == 0
    assert any(line.startswith("STATUS=no_interpreter 1.0.0") for line in manager.lines)
    assert launcher.poll() is None
