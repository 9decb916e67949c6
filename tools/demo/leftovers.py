"""Finds what still lives: any process whose command line or environment names the demonstration's folder."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from tools.demo.sources import DemoError

PROC = Path("/proc")
GRACE_SECONDS = 5.0
"""A launcher that was killed leaves its agent a moment; what was asked to stop is gone before."""


@dataclass(frozen=True)
class Leftover:
    """A process that should be gone."""

    pid: int
    command: str


def living(folder: Path) -> list[Leftover]:
    """Return every process but this one that names ``folder``, whoever started it.

    Raises:
        DemoError: this system does not show its processes.
    """
    if not (PROC / "self" / "cmdline").exists():
        raise DemoError(f"{PROC} does not show processes: nobody can tell what still runs")
    name = os.fsencode(folder)
    found: list[Leftover] = []
    for entry in PROC.iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            command = _read(entry / "cmdline")
            if name in command or name in _read(entry / "environ"):
                shown = command.replace(b"\0", b" ").decode(errors="replace").strip()
                found.append(Leftover(int(entry.name), shown))
    return found


def demand_none(folder: Path) -> None:
    """Wait until nothing that names ``folder`` lives; kill what does so for longer than a grace.

    Raises:
        DemoError: something outlived the grace, or processes can't be seen.
    """
    deadline = time.monotonic() + GRACE_SECONDS
    while left := living(folder):
        if time.monotonic() > deadline:
            for one in left:
                with contextlib.suppress(OSError):
                    os.kill(one.pid, signal.SIGKILL)
            raise DemoError("still ran and was killed: " + "; ".join(f"{one.pid} {one.command[:120]}" for one in left))
        time.sleep(0.05)


def _read(path: Path) -> bytes:
    """Return the file of a process; nothing where it is gone, a zombie, or another user's."""
    try:
        return path.read_bytes()
    except OSError:
        return b""
