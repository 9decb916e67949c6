"""What bounds an agent's memory: the launcher's limit on its data, unless the host has one of its own."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

import pytest

from fleetroll_agent.launcher import child

MIB = 1 << 20
TELLS = "import resource; print(*resource.getrlimit(resource.RLIMIT_DATA))"
UNBOUND = f"{resource.RLIM_INFINITY} {resource.RLIM_INFINITY}"


def told(limits: str, *program: str) -> str:
    """Return what ``program`` prints when the launcher that starts it has such limits."""
    command = ("/bin/sh", "-c", f'{limits}; exec "$@"', "sh", sys.executable, "-I", "-S", "-B", child.__file__)
    done = subprocess.run(
        (*command, str(os.getpid()), *program), capture_output=True, text=True, check=False, timeout=30
    )
    return (done.stdout + done.stderr).strip()


def test_an_agent_has_a_bound_on_its_data_that_its_commands_can_lift() -> None:
    """The hard limit stays as it was."""
    bound = child.data_limit(os.cpu_count() or 1, 8 * MIB)
    assert told("ulimit -s 8192", sys.executable, "-c", TELLS) == f"{bound} {resource.RLIM_INFINITY}"


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ("ulimit -d 4194304", f"{4 << 30} {4 << 30}"),
        ("ulimit -S -d 4194304", f"{4 << 30} {resource.RLIM_INFINITY}"),
        ("ulimit -s 131072", UNBOUND),
        ("ulimit -s unlimited", UNBOUND),
    ],
)
def test_a_host_keeps_its_own_limits_and_stacks_without_measure_are_not_reckoned_with(limits: str, said: str) -> None:
    """A bound that a healthy agent might meet would be worse than none."""
    assert told(limits, sys.executable, "-c", TELLS) == said


def test_what_is_asked_for_beyond_the_bound_is_refused() -> None:
    """The program ends with its own reason, and nothing else on the host with it."""
    code = "kept = []\nwhile len(kept) < 1 << 20: kept.append(bytearray(16 << 20))"
    assert told("ulimit -s 8192", sys.executable, "-c", code).endswith("MemoryError")


@pytest.mark.parametrize(("processors", "mebibytes"), [(1, 1040), (2, 1056), (64, 2048)])
def test_the_bound_has_room_for_the_stacks_of_more_threads_than_an_agent_has(processors: int, mebibytes: int) -> None:
    """They count in full, used or not."""
    assert child.data_limit(processors, 8 * MIB) == mebibytes * MIB
