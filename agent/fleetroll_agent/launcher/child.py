"""The first lines of every child: die with the launcher, then become the slot's program. Run as a file, not imported.

The death signal is asked for here, in the child: what a parent sets before the exec of another program is a race, and
what it sets for itself is not inherited. Usage: ``python child.py LAUNCHER_PID PROGRAM ARGUMENT…``.
"""

import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Ask the kernel for SIGKILL when the launcher dies; elsewhere the end of the pipe must do."""
    try:
        import ctypes  # noqa: PLC0415 (a Python built without it still starts the agent)

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    except (ImportError, OSError, AttributeError) as error:
        sys.stderr.write("this agent may outlive its launcher for a moment: {}\n".format(error))


def main(argv: "list[str]") -> int:
    """Become the program that ``argv`` names, unless the launcher is gone already."""
    die_with_parent()
    if os.getppid() != int(argv[1]):
        return 1
    try:
        os.execv(argv[2], argv[2:])  # noqa: S606 (no shell is the point)
    except OSError as error:
        sys.stderr.write("can't start {}: {}\n".format(argv[2], error.strerror))
    return 127


if __name__ == "__main__":
    sys.exit(main(sys.argv))
