"""Faults of the shim that last, that the test brings about, or that are of the clock; and children without points."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.faults.plans import Act, Plan

if TYPE_CHECKING:
    from pathlib import Path

TRIES = """
import errno, os, sys, time
state, seconds = sys.argv[1], float(sys.argv[2])
for number in range(2):
    try:
        os.mkdir(state + "/folder" + str(number))
    except OSError as error:
        print(errno.errorcode[error.errno])
    else:
        print("made")
    time.sleep(seconds)
"""
CLOCK = """
from fleetroll_common.values.clock import SystemClock
print(SystemClock().now().year)
"""
CHILD = """
import subprocess, sys
subprocess.run([sys.executable, sys.argv[1] + "/../child.py", sys.argv[1]], check=True)
"""
MAKES = "import os, sys; os.mkdir(sys.argv[1] + '/made')"


def planned(tmp_path: Path, act: Act | None = None, bare: tuple[str, ...] = ()) -> Plan:
    (tmp_path / "state").mkdir()
    plan = Plan(tmp_path / "shim", [tmp_path / "state"], [("main", "main")], act, bare=bare)
    plan.write()
    return plan


def run(tmp_path: Path, text: str, *arguments: str) -> str:
    program = tmp_path / "main.py"
    program.write_text(text)
    command = [str(tmp_path / "shim" / "python"), str(program), *arguments]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True, env=environ)
    return done.stdout


def refusing(do: str, *, sticky: bool) -> Act:
    return Act("main", 1, "mkdir:folder0", 1, do, sticky=sticky)


@pytest.mark.parametrize("do", ["enospc", "erofs"])
def test_a_disk_that_is_full_or_read_only_stays_so_for_a_while(tmp_path: Path, do: str) -> None:
    planned(tmp_path, refusing(do, sticky=True))
    word = errno.errorcode[getattr(errno, do.upper())]
    assert run(tmp_path, TRIES, str(tmp_path / "state"), "0").split() == [word, word]


def test_it_recovers(tmp_path: Path) -> None:
    planned(tmp_path, refusing("erofs", sticky=True))
    assert run(tmp_path, TRIES, str(tmp_path / "state"), "2.1").split() == ["EROFS", "made"]


def test_an_error_that_does_not_last_comes_once(tmp_path: Path) -> None:
    planned(tmp_path, refusing("eio", sticky=False))
    assert run(tmp_path, TRIES, str(tmp_path / "state"), "0").split() == ["EIO", "made"]


def test_a_process_waits_at_its_point_until_the_test_has_answered(tmp_path: Path) -> None:
    plan = planned(tmp_path, refusing("call", sticky=False))
    (tmp_path / "main.py").write_text(TRIES)
    command = [str(tmp_path / "shim" / "python"), str(tmp_path / "main.py"), str(tmp_path / "state"), "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        end = time.monotonic() + 20
        while not plan.happened() and time.monotonic() < end:
            time.sleep(0.01)
        assert plan.happened()
        assert not (tmp_path / "state" / "folder0").exists()
        (plan.folder / "answered").touch()
        assert child.communicate(timeout=20)[0].split() == ["made", "made"]


@pytest.mark.parametrize(("years", "difference"), [("10", 10), ("-10", -10)])
def test_the_clock_is_as_wrong_as_the_test_wants(tmp_path: Path, years: str, difference: int) -> None:
    plan = planned(tmp_path)
    (plan.folder / "clock").write_text(str(int(years) * 365.25 * 86400))
    assert abs(int(run(tmp_path, CLOCK)) - time.gmtime().tm_year - difference) <= 1


def test_a_child_without_points_leaves_no_trace(tmp_path: Path) -> None:
    plan = planned(tmp_path, bare=("child.py",))
    (tmp_path / "child.py").write_text(MAKES)
    run(tmp_path, CHILD, str(tmp_path / "state"))
    assert (tmp_path / "state" / "made").is_dir()
    assert [point.point for point in plan.points()] == ["spawn:other"]
