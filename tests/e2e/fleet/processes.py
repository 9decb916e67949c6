"""Programs of this project as children of a test: each in its own group, each ended by its own pid, whatever fails."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SERVER = (sys.executable, "-m", "fleetroll_server.app")
AGENT = (sys.executable, "-m", "fleetroll_agent.app")
CLI = (sys.executable, "-c", "from fleetroll_cli.app import main; main()")

STOP_SECONDS = 20.0
"""Longer than the launcher's grace for a child that does not listen."""
RUN_SECONDS = 60.0


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """Everything that was printed."""
        return self.out + self.err


class Child:
    """One program in the background."""

    def __init__(self, command: tuple[str, ...], log: Path, environment: Mapping[str, str] | None = None) -> None:
        """Start it; what it prints goes to the end of ``log``."""
        self.log = log
        with log.open("ab") as stream:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
                env={**os.environ, **(environment or {})},
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def ended(self) -> int | None:
        """The exit code, or None while it runs."""
        return self._process.poll()

    def said(self) -> str:
        """Everything that it has printed."""
        return self.log.read_text("utf-8", "replace")

    def stop(self) -> int:
        """Ask it to end and wait; a child that does not is killed, and the test fails."""
        self._process.terminate()
        try:
            return self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self) -> None:
        """End it as kill -9 does, and reap it."""
        self._process.kill()
        self._process.wait(STOP_SECONDS)

    def wait(self, seconds: float) -> int:
        """Wait for its own end; return the exit code."""
        return self._process.wait(seconds)

    def end(self) -> None:
        """End it and its whole group, whatever state it is in: for clean-up."""
        if self.ended is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.terminate()
                self._process.wait(STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait(STOP_SECONDS)


class Processes:
    """Everything that a test started in the background."""

    def __init__(self) -> None:
        self._children: list[Child] = []

    def start(self, *command: str, log: Path, environment: Mapping[str, str] | None = None) -> Child:
        """Start a program."""
        child = Child(command, log, environment)
        self._children.append(child)
        return child

    def end_all(self) -> None:
        """Ask all to end at once, agents before servers, then see each one gone."""
        for child in reversed(self._children):
            if child.ended is None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child.pid, signal.SIGTERM)
        for child in reversed(self._children):
            child.end()
        self._children.clear()


def run(*command: str, environment: Mapping[str, str] | None = None, stdin: str = "") -> Done:
    """Run a program to its end."""
    done = subprocess.run(
        command,
        input=stdin.encode(),
        capture_output=True,
        env={**os.environ, **(environment or {})},
        timeout=RUN_SECONDS,
        check=False,
    )
    return Done(done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))
