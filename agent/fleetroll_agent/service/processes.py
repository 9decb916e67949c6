"""The launcher's processes as an upgrade sees and moves them: found, asked to end, started."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from fleetroll_agent.launcher import files
from fleetroll_agent.launcher.errors import LauncherError
from fleetroll_agent.launcher.lock import StateLock
from fleetroll_agent.service import host
from fleetroll_agent.service.facts import Facts
from fleetroll_agent.service.templates import commands

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleetroll_agent.service.record import Installed

_PROC = Path("/proc")
_LOG_NAME = "launcher.log"


class Launchers(Protocol):
    """What an upgrade needs of the host."""

    def told(self) -> dict[str, Any]:
        """Return what the status file says; empty when nothing legible is there."""

    def pids(self) -> frozenset[int]:
        """Return the processes that are launchers of this state folder."""

    def end(self, pids: frozenset[int], *, force: bool) -> None:
        """Ask them to end; with ``force`` end them."""

    def free(self) -> bool:
        """Tell whether neither a launcher nor an agent that it left behind holds the state folder."""

    def start(self) -> str:
        """Have the service started, or start the launcher; return what went wrong, empty when nothing did."""

    def lost(self) -> bool:
        """Tell whether what was started here has ended, and nobody will start it again."""

    def monotonic(self) -> float:
        """Return seconds that never go back."""

    def sleep(self, seconds: float) -> None:
        """Let time pass."""


class HostLaunchers:
    """The launchers of this host; implements :class:`Launchers`."""

    def __init__(self, state: Path, starter: Path, installed: Installed, run: host.Runner = host.run) -> None:
        """Work on the state folder ``state``, as ``installed`` says."""
        self._state = state
        self._starter = starter
        self._installed = installed
        self._run = run
        self._started: subprocess.Popen[bytes] | None = None

    def told(self) -> dict[str, Any]:
        """Return what the status file says."""
        with contextlib.suppress(OSError, ValueError):
            told = json.loads(files.read_small(str(self._state / files.STATUS_NAME)) or b"{}")
            return told if isinstance(told, dict) else {}
        return {}

    def pids(self) -> frozenset[int]:
        """Return what runs the starter, and what the status file names when it really is a launcher of this folder."""
        told = self.told().get("launcher_pid", 0)
        found = {pid for pid in _all_pids() if str(self._starter) in (words := _words(pid)) and "run" in words}
        if isinstance(told, int) and told > 0 and is_launcher(told, self._state):
            found.add(told)
        return frozenset(found - {os.getpid()})

    def end(self, pids: frozenset[int], *, force: bool) -> None:
        """Send SIGTERM, or SIGKILL: the agent dies with its launcher."""
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL if force else signal.SIGTERM)

    def free(self) -> bool:
        """Try the lock, and let go of it at once."""
        try:
            with StateLock(str(self._state)):
                return True
        except LauncherError:
            return False

    def start(self) -> str:
        """Ask the init system when it runs this host; else start the launcher as a process of its own session."""
        init = self._installed.init
        if host.runs(init):
            facts = Facts.checked(self._installed.name, str(self._state), self._installed.python)
            failed = (self._run(command) for command in commands(init, facts).start)
            return "; ".join(said for said in failed if said)
        try:
            self._started = self._spawn()
        except OSError as error:
            return f"{self._installed.python} can't be started: {error.strerror}"
        return ""

    def lost(self) -> bool:
        """Tell whether the process that was started here has ended."""
        return self._started is not None and self._started.poll() is not None

    def monotonic(self) -> float:
        """Return seconds of the monotonic clock."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Sleep."""
        time.sleep(seconds)

    def _spawn(self) -> subprocess.Popen[bytes]:
        command = (self._installed.python, "-I", "-S", "-B", str(self._starter), "run", "--state", str(self._state))
        with (self._starter.parent / _LOG_NAME).open("ab") as log:
            return subprocess.Popen(  # noqa: S603 (our own starter)
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )


def is_launcher(pid: int, state: Path) -> bool:
    """Tell whether the process was started to run a launcher on the folder ``state``: pids are used again."""
    words = _words(pid)
    if not words or "--launcher-pipe" in words:
        return False
    try:
        folder = (_PROC / str(pid) / "cwd").readlink()
    except OSError:
        return False
    wanted = os.path.realpath(state)
    return any(os.path.realpath(folder / word) == wanted for word in words[1:] if not word.startswith("-"))


def is_below(pid: int, ancestors: frozenset[int]) -> bool:
    """Tell whether one of ``ancestors`` is above the process ``pid``: a launcher ends all that is below it."""
    seen: set[int] = set()
    while pid > 1 and pid not in seen:
        seen.add(pid)
        try:
            stat = (_PROC / str(pid) / "stat").read_bytes()
        except OSError:
            return False
        pid = int(stat.rpartition(b")")[2].split()[1])
        if pid in ancestors:
            return True
    return False


def _all_pids() -> list[int]:
    try:
        return [int(path.name) for path in _PROC.iterdir() if path.name.isdigit()]
    except OSError:
        return []


def _words(pid: int) -> Sequence[str]:
    """Return the command line of a living process; empty for one that is gone, a zombie, or a stranger's."""
    try:
        line = (_PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return ()
    return tuple(os.fsdecode(word) for word in line.split(b"\0")[:-1])
