"""The first lines of every child: die with the launcher, take a bound on memory, then become the slot's program.

Run as a file, not imported.

The death signal is asked for here, in the child: what a parent sets before the exec of another program is a race, and
what it sets for itself is not inherited. Usage: ``python child.py LAUNCHER_PID PROGRAM ARGUMENT…``.
"""

import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_OWN_BYTES = 512 * 1024 * 1024
"""Five times the data of a healthy agent that is connected, measured with its threads."""
_THREADS = 64
_THREADS_PER_PROCESSOR = 2
"""More threads than an agent ever has: its pool ends at 32, gRPC's grow with the processors."""
_STACK_BYTES = 8 * 1024 * 1024
_MOST_STACK_BYTES = 64 * 1024 * 1024


def die_with_parent() -> None:
    """Ask the kernel for SIGKILL when the launcher dies; elsewhere the end of the pipe must do."""
    try:
        import ctypes  # noqa: PLC0415 (a Python built without it still starts the agent)

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    except (ImportError, OSError, AttributeError) as error:
        sys.stderr.write("this agent may outlive its launcher for a moment: {}\n".format(error))


def data_limit(processors: int, stack_bytes: int) -> int:
    """Return how many bytes of data an agent may have; each thread's stack counts in full, used or not."""
    return _OWN_BYTES + (_THREADS + _THREADS_PER_PROCESSOR * processors) * stack_bytes


def bound_memory() -> None:
    """Let an agent that eats memory end by itself, with its own reason, before its host suffers.

    Data, not address space: gRPC reserves much of that and uses little. A host that sets a limit of its own keeps it;
    where stacks are too large to be reckoned with, or without limit, there is none.
    """
    try:
        import resource  # noqa: PLC0415 (not there on Windows)

        stack = resource.getrlimit(resource.RLIMIT_STACK)[0]
        soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
        bound = data_limit(os.cpu_count() or 1, max(stack, _STACK_BYTES))
        if soft == hard == resource.RLIM_INFINITY and stack <= _MOST_STACK_BYTES and stack != resource.RLIM_INFINITY:
            resource.setrlimit(resource.RLIMIT_DATA, (bound, hard))
    except (ImportError, OSError, ValueError) as error:
        sys.stderr.write("this agent has no limit on its memory: {}\n".format(error))


def main(argv: "list[str]") -> int:
    """Become the program that ``argv`` names, unless the launcher is gone already."""
    die_with_parent()
    if os.getppid() != int(argv[1]):
        return 1
    bound_memory()
    try:
        os.execv(argv[2], argv[2:])  # noqa: S606 (no shell is the point)
    except OSError as error:
        sys.stderr.write("can't start {}: {}\n".format(argv[2], error.strerror))
    return 127


if __name__ == "__main__":
    sys.exit(main(sys.argv))
