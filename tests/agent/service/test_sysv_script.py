"""The SysV script with a real shell and a real loop: it starts again what ends, and stops what it started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fleetroll_agent.service.facts import Facts, Init
from fleetroll_agent.service.templates import render
from tests.faults.launcher_places import place_with, program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Stands in for a launcher: notes each start, ends at SIGTERM, but not before "slow" is gone.
MAIN = """
import os, signal, sys, time
def main(argv):
    def end(*_):
        while os.path.exists(argv[2] + "/slow"):
            time.sleep(0.02)
        sys.exit(0)
    signal.signal(signal.SIGTERM, end)
    with open(argv[2] + "/starts", "a") as stream:
        stream.write("%d\\n" % os.getpid())
    while True:
        signal.pause()
"""
DEADLINE_SECONDS = 40.0


class Script:
    """The installed script of one state folder."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / "state of it"
        self.folder = folder
        place_with(self.state, program("1.0.0", MAIN))
        facts = Facts.checked("agent", str(self.state), sys.executable)
        ((_path, file),) = render(Init.SYSV, facts).items()
        text = file.content.replace("/run/", f"{folder}/").replace("/var/log/", f"{folder}/")
        self.path = folder / "agent"
        text = text.replace("sleep 2", "sleep 0.1").replace("sleep 1", "sleep 0.1")
        self.path.write_text(text.replace("left=930", "left=5"))
        self.path.chmod(0o755)

    def __call__(self, action: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([self.path, action], capture_output=True, text=True, check=False, timeout=30)

    def starts(self) -> list[int]:
        path = self.state / "starts"
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    def until(self, what: Callable[[], bool]) -> None:
        end = time.monotonic() + DEADLINE_SECONDS
        while not what():
            log = self.folder / "agent.log"
            assert time.monotonic() < end, (self.starts(), log.read_text() if log.exists() else "no log")
            time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def script(tmp_path: Path) -> Iterator[Script]:
    made = Script(tmp_path)
    yield made
    made("stop")


def test_one_that_has_ended_and_that_nobody_collects_does_not_run(script: Script) -> None:
    """Where process 1 is no init, nobody collects it."""
    ended = subprocess.Popen(["/bin/true"])
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
    since = Path(f"/proc/{ended.pid}/stat").read_text().rpartition(") ")[2].split()[19]
    (script.folder / "agent.pid").write_text(f"{ended.pid} {since}\n")
    assert script("status").returncode == 3
    assert script("stop").returncode == 0
    ended.wait()


def test_what_ends_is_started_again_until_it_is_stopped(script: Script) -> None:
    """The loop is what SysV lacks: a launcher that was killed comes back, one that was stopped does not."""
    assert script("status").returncode == 3
    assert script("start").returncode == 0
    script.until(lambda: len(script.starts()) == 1)
    assert script("start").returncode == 0
    assert script("status").returncode == 0
    os.kill(script.starts()[0], signal.SIGKILL)
    script.until(lambda: len(script.starts()) == 2)
    assert script("stop").returncode == 0
    assert not alive(script.starts()[-1])
    assert script("status").returncode == 3
    assert len(script.starts()) == 2
    assert script("stop").returncode == 0, "a stop of what does not run is no fault"


def test_a_restart_is_a_stop_and_a_start(script: Script) -> None:
    """One launcher runs afterwards, another than before."""
    script("start")
    script.until(lambda: len(script.starts()) == 1)
    assert script("restart").returncode == 0
    script.until(lambda: len(script.starts()) == 2)
    assert [alive(pid) for pid in script.starts()] == [False, True]


def late(script: Script) -> None:
    """Start a launcher whose end takes longer than the script waits."""
    (script.state / "slow").touch()
    script("start")
    script.until(lambda: len(script.starts()) == 1)


@pytest.mark.parametrize("actions", [("restart",), ("stop", "start"), ("force-reload",)])
def test_what_ended_late_is_started_again_all_the_same(script: Script, actions: tuple[str, ...]) -> None:
    """A restart that found the old one still ending used to leave nothing."""
    late(script)
    done = [script(action) for action in actions]
    assert "did not end within" in done[0].stderr
    assert "is started when it has ended" in done[-1].stderr
    assert alive(script.starts()[0])
    (script.state / "slow").unlink()
    script.until(lambda: len(script.starts()) == 2)
    assert [alive(pid) for pid in script.starts()] == [False, True]
    assert script("stop").returncode == 0
    assert script("status").returncode == 3
    assert not list(script.folder.glob("agent.pid*"))


def test_what_ended_late_after_a_stop_stays_ended(script: Script) -> None:
    """Also when a start came before that stop."""
    late(script)
    script("restart")
    assert script("stop").returncode == 1
    (script.state / "slow").unlink()
    script.until(lambda: script("status").returncode == 3)
    assert len(script.starts()) == 1
    assert script("start").returncode == 0
    script.until(lambda: len(script.starts()) == 2)


def test_a_stale_pid_file_stops_no_stranger(script: Script) -> None:
    """The pid of another process, which started at another instant, is left alone."""
    (script.folder / "agent.pid").write_text(f"{os.getpid()} 1\n")
    assert script("status").returncode == 3
    assert script("stop").returncode == 0
    assert not (script.folder / "agent.pid").exists()


@pytest.mark.parametrize("content", ["", "x y\n", "-1 1\n", "1\n", "99999999 1\n"])
def test_an_illegible_pid_file_is_no_service(script: Script, content: str) -> None:
    """Nothing legible is as good as nothing."""
    (script.folder / "agent.pid").write_text(content)
    assert script("status").returncode == 3


def test_an_unknown_action_is_wrong_usage(script: Script) -> None:
    """Exit code 2 and the list."""
    done = script("fly")
    assert done.returncode == 2
    assert "start|stop|restart" in done.stderr
