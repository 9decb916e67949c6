"""Who is killed at a point: its own process, the one above it, those below it, or two of them at once."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from tests.faults.plans import Plan, Point

SECONDS = 20

FAMILY = """
import pathlib, subprocess, sys
state = pathlib.Path(sys.argv[1])
if "--child" in sys.argv:
    (state / "child").touch()
    print("child", flush=True)
    sys.stdin.read()
else:
    child = subprocess.Popen([sys.executable, *sys.argv, "--child"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    child.stdout.readline()
    (state / "parent").mkdir()
    print("parent", flush=True)
    child.stdin.close()
    print(child.wait(), flush=True)
"""
AT_CHILD, AT_PARENT = Point("child", 1, "create:child", 1), Point("parent", 1, "mkdir:parent", 1)


@pytest.mark.parametrize(
    ("point", "victim", "code", "out"),
    [
        (AT_CHILD, "self", 0, "parent\n-9\n"),
        (AT_CHILD, "parent", -9, ""),
        (AT_CHILD, "self+parent", -9, ""),
        (AT_PARENT, "self", -9, ""),
        (AT_PARENT, "child", 0, "parent\n-9\n"),
        (AT_PARENT, "self+child", -9, ""),
    ],
)
def test_the_victims_die_and_nobody_else(tmp_path: Path, point: Point, victim: str, code: int, out: str) -> None:
    state = tmp_path / "state"
    state.mkdir()
    program = tmp_path / "main.py"
    program.write_text(FAMILY)
    roles = (("--child", "child"), ("main.py", "parent"))
    plan = Plan(tmp_path / "shim", [state], roles, point.act("kill-before", victim=victim))
    done = subprocess.run(
        [str(plan.write()), str(program), str(state)], stdout=subprocess.PIPE, text=True, timeout=SECONDS, check=False
    )
    assert (done.returncode, done.stdout) == (code, out)
    assert plan.happened()
    child = next(line["pid"] for line in plan.lines() if line["role"] == "child")
    _wait_for_end(child)


def _wait_for_end(pid: int) -> None:
    """Wait until a process has ended: killed, or because nobody writes to it any more."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            if state in "ZX":
                return
        except (FileNotFoundError, ProcessLookupError):
            return
        time.sleep(0.01)
    raise AssertionError(f"{pid} lives")


def test_an_unknown_victim_is_refused() -> None:
    with pytest.raises(ValueError, match="none of"):
        AT_CHILD.act("kill-before", victim="everybody")
