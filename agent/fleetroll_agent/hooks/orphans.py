"""After a restart: the commands that the journal names are ended before anything else happens.

A process id alone names nothing: it is compared with the start and the boot that were written down. A leader that is
gone may have left members of its session; then only those are taken that carry a hook's variables, for meanwhile the
number may have been another session's.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from fleetroll_agent.hooks.pace import Pace
from fleetroll_agent.hooks.processes import GONE_SECONDS, has_variable, members, read_process, send, strike
from fleetroll_agent.launcher.bootid import read_boot_id

if TYPE_CHECKING:
    from fleetroll_agent.hooks.processes import Process
    from fleetroll_agent.jobs.work import Child

MARK = "FLEETROLL_ATTEMPT"
"""Every hook has this variable, and what it starts inherits it."""


async def end_child(child: Child, pace: Pace | None = None, seconds: float = GONE_SECONDS) -> bool:
    """Kill the command that ``child`` names, with its group and session; return whether it is gone.

    True as well when it was gone before: another boot, its number free, or another process's by now, which is left
    alone. What nobody can tell apart (a host without /proc, an empty boot id) is not touched either.

    Args:
        child: as it was written down.
        pace: the clock to wait on.
        seconds: how long killed processes may take to disappear.
    """
    if child.pid <= 1 or not child.start_ticks or not child.boot_id or child.boot_id != read_boot_id():
        return True

    def gone() -> bool:
        leader = read_process(child.pid)
        if leader is not None and leader.start_ticks == child.start_ticks:
            strike(child.pid, signal.SIGKILL)
            return not members(child.pid)
        return not _kill_marked(child, leader)

    return await (pace or Pace()).until(gone, seconds)


def _kill_marked(child: Child, leader: Process | None) -> bool:
    """Kill what a leader that is gone left behind; return whether there was anything."""
    if leader is not None:
        return False
    left = [one for one in members(child.pid) if one.start_ticks >= child.start_ticks and has_variable(one.pid, MARK)]
    for one in left:
        send(one.pid, signal.SIGKILL)
    return bool(left)
