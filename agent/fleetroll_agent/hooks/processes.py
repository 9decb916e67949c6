"""What the kernel says about processes, and how a whole session of them is ended.

A command is the leader of its own session and group, so its process id names all three. The id is not given to another
process while a member of the session or group lives, nor while the leader is not collected by its parent.
"""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fleetroll_agent.hooks.pace import Pace

GONE_SECONDS = 10.0
"""How long killed processes may take to disappear: one that waits for a dead disk does not die at all."""

_PROC = Path("/proc")
_DEAD = frozenset({"Z", "X", "x"})
_STATE, _GROUP, _SESSION, _START = 0, 2, 3, 19
"""Places in /proc/PID/stat behind the name: fields 3, 5, 6 and 22."""


@dataclass(frozen=True, slots=True)
class Process:
    """One process as it stands.

    Attributes:
        pid: its id.
        dead: it has ended, and only its parent has not looked yet.
        group: id of its group's leader.
        session: id of its session's leader.
        start_ticks: when it started, in clock ticks since boot: with the id it names a process within one boot.
    """

    pid: int
    dead: bool
    group: int
    session: int
    start_ticks: int


def read_process(pid: int) -> Process | None:
    """Return what is known about ``pid``; None when there is no such process, or no /proc."""
    try:
        text = (_PROC / str(pid) / "stat").read_bytes()
        # The program's name stands in brackets and may hold anything, brackets and spaces too.
        fields = text.rpartition(b")")[2].decode("ascii").split()
        return Process(pid, fields[_STATE] in _DEAD, *(int(fields[at]) for at in (_GROUP, _SESSION, _START)))
    except (OSError, ValueError, IndexError):
        return None


def members(leader: int) -> tuple[Process, ...]:
    """Return every living process in the session or group of ``leader``, itself included."""
    try:
        names = os.listdir(_PROC)  # noqa: PTH208 (names are wanted, for thousands of processes)
    except OSError:
        return ()
    found = (read_process(int(name)) for name in names if name.isdigit())
    return tuple(one for one in found if one is not None and not one.dead and leader in (one.group, one.session))


def has_variable(pid: int, name: str) -> bool:
    """Tell whether a process was started with the variable ``name``; False when that can't be read."""
    try:
        block = (_PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return False
    return any(entry.startswith(f"{name}=".encode()) for entry in block.split(b"\0"))


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process, or to the group -``pid``; one that is gone is what was wanted."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def strike(leader: int, number: signal.Signals) -> None:
    """Send a signal to the whole group of ``leader``, in one step, and to the other groups of its session."""
    if leader <= 1:
        return  # -1 and 0 would mean everybody, or ourselves
    send(-leader, number)
    for one in members(leader):
        if one.group != leader:
            send(one.pid, number)


async def kill_session(leader: int, pace: Pace, seconds: float = GONE_SECONDS) -> bool:
    """Kill the session and group of ``leader``, again and again while they fork; return whether they are gone.

    ``leader`` MUST be known to be ours: not collected yet, or compared with its start.
    """

    def gone() -> bool:
        strike(leader, signal.SIGKILL)
        return not members(leader)

    return await pace.until(gone, seconds)


async def end_session(leader: int, grace_seconds: float, pace: Pace) -> bool:
    """Ask the session and group of ``leader`` to end, and kill them after the grace; return whether they are gone."""
    strike(leader, signal.SIGTERM)
    if await pace.until(lambda: not members(leader), grace_seconds):
        return True
    return await kill_session(leader, pace)
