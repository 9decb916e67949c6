"""Runs the real launcher with short limits; with a number, ends it by SIGKILL at that call to the system.

Usage: run_launcher.py STATE LIMITS_JSON [TRACE_FILE [KILL_AT]]
"""

import json
import os
import signal
import sys

from fleetroll_agent.launcher import calls, posix
from fleetroll_agent.launcher.errors import LauncherError
from fleetroll_agent.launcher.limits import Limits
from fleetroll_agent.launcher.main import note, run


class Points:
    """Counts the calls that a crash may fall before or after, writes their names, and dies at one of them."""

    def __init__(self, trace, kill_at):
        self._trace = os.open(trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._kill_at = kill_at
        self._count = 0

    def pass_by(self, name):
        self._count += 1
        if self._count == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        os.write(self._trace, (name + "\n").encode())

    def around(self, module, name, label):
        real = getattr(module, name)

        def counted(*args, **kwargs):
            self.pass_by("before " + label)
            result = real(*args, **kwargs)
            self.pass_by("after " + label)
            return result

        setattr(module, name, counted)


def install(trace, kill_at):
    points = Points(trace, kill_at)
    for name in calls.POINTS:
        points.around(calls, name, name)
    points.around(posix.PosixFamily, "start", "spawn")
    points.around(posix.PosixFamily, "send", "message")
    points.around(posix.PosixFamily, "terminate", "terminate")


if __name__ == "__main__":
    if len(sys.argv) > 3:
        install(sys.argv[3], int(sys.argv[4]) if len(sys.argv) > 4 else 0)
    try:
        sys.exit(run(sys.argv[1], Limits(**json.loads(sys.argv[2]))))
    except LauncherError as error:
        note(str(error))
        sys.exit(1)
