"""Starts programs, keeps their output, and ends every one of them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from tools.demo import leftovers
from tools.demo.sources import DemoError

if TYPE_CHECKING:
    from collections.abc import Mapping

MARK = "FLEETROLL_DEMO_FOLDER"
"""Stands in the environment of everything that is started here, and so of its children: it names the folder."""
STOP_SECONDS = 15.0


@dataclass
class Running:
    """A program that runs in its own process group."""

    name: str
    process: subprocess.Popen[bytes]
    output: Path


class Processes:
    """Everything that the demonstration started."""

    def __init__(self, folder: Path) -> None:
        """Keep output in ``logs`` below ``folder``, which everything that is started names."""
        self.folder = folder
        self.logs = folder / "logs"
        self.logs.mkdir(parents=True, exist_ok=True)
        self._running: list[Running] = []

    def start(self, name: str, *command: str, environment: Mapping[str, str] | None = None) -> Running:
        """Start a program of this environment in the background, with more variables where they are given."""
        output = self.logs / f"{name}.log"
        with output.open("ab") as log:
            process = subprocess.Popen(
                program(*command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, **(environment or {}), MARK: str(self.folder)},
            )
        running = Running(name, process, output)
        self._running.append(running)
        return running

    def stop_all(self) -> None:
        """Ask all to stop, agents first; end what does not within 15 s; then look for anything that still lives.

        Raises:
            DemoError: something had to be killed, or outlived its parent.
        """
        for running in reversed(self._running):
            with contextlib.suppress(OSError):
                running.process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        late = [running.name for running in reversed(self._running) if not _ended(running, deadline)]
        leftovers.demand_none(self.folder)
        if late:
            raise DemoError(f"had to be killed: {', '.join(late)}")

    def pids(self) -> dict[str, int]:
        """Return what runs, by name."""
        return {running.name: running.process.pid for running in self._running if running.process.poll() is None}


def _ended(running: Running, deadline: float) -> bool:
    """Wait for a program's end; kill its group at the deadline. What even that does not end is found by its mark."""
    try:
        running.process.wait(max(0.1, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        with contextlib.suppress(OSError):
            os.killpg(running.process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            running.process.wait(STOP_SECONDS)
        return False
    return True


def program(*command: str) -> list[str]:
    """Return the command line of one of our programs in this environment."""
    return [str(Path(sys.executable).with_name(command[0])), *command[1:]]


def run(*command: str, seconds: float = 120.0, codes: tuple[int, ...] = (0,), stdout: IO[bytes] | None = None) -> str:
    """Run one of our programs to its end; return what it printed.

    Raises:
        DemoError: it ended with another code than ``codes``, or not in time.
    """
    try:
        done = subprocess.run(
            program(*command),
            stdin=subprocess.DEVNULL,
            stdout=stdout if stdout is not None else subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise DemoError(f"{' '.join(command[:3])} did not end within {seconds:.0f} s") from error
    if done.returncode not in codes:
        tail = done.stderr.decode(errors="replace").strip()[-2000:]
        raise DemoError(f"{' '.join(command[:3])} ended with {done.returncode}: {tail}")
    return (done.stdout or b"").decode(errors="replace")
