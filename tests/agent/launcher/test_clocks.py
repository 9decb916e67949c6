"""What a trial takes for time: one clock of one boot, which neither a person, a server nor a closed lid moves."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import fleetroll_agent.launcher
from fleetroll_agent.launcher.events import Beat, Hello
from tests.faults.launcher_bench import NEW, Bench, way_back

LAUNCHER = Path(fleetroll_agent.launcher.__file__).parent
WALL_CLOCKS = frozenset({"time", "time_ns", "gmtime", "localtime", "ctime", "asctime", "strftime", "clock_gettime"})
"""Of the module ``time``: a jump of the host's clock shows in them, or the time that it slept may."""
ALLOWED = {"monotonic", "sleep"}


def clocks_of(source: str) -> set[str]:
    """Return what a module takes from the module ``time``, and ``datetime`` where it imports that."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "time":
            found.add(node.attr)
        if isinstance(node, ast.ImportFrom) and node.module in {"time", "datetime"}:
            found |= {name.name for name in node.names}
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names if name.name == "datetime"}
    return found


def test_t7_no_clock_of_the_launcher_jumps_or_runs_while_the_host_sleeps() -> None:
    """Soak, lease and the end of the trial are counted by one clock, and the launcher has no other."""
    found = {name for path in LAUNCHER.glob("*.py") for name in clocks_of(path.read_text("utf-8"))}
    assert found == ALLOWED


@pytest.mark.parametrize("source", ["import time\ntime.time()", "from time import time_ns", "import datetime"])
def test_t7_another_clock_would_be_noticed(source: str) -> None:
    """So the test above can fail."""
    assert clocks_of(source) - ALLOWED


def test_t7_a_host_that_sleeps_in_its_trial_neither_keeps_it_early_nor_takes_it_back() -> None:
    """Its clock stands still meanwhile: what is left of the soak is held after it, beat by beat."""
    bench = Bench().trial().tell(Beat(healthy=True), Hello()).promote()
    asleep = bench.at
    bench.tell(Beat(healthy=True))
    assert (bench.at, bench.disk.trial is not None) == (asleep, True)
    bench.beats(10.0)
    assert bench.disk.current.digest == NEW.digest


def test_t7_a_host_that_lost_its_power_in_a_trial_runs_the_version_before() -> None:
    """Another boot ends a trial, whatever the clocks say."""
    bench = Bench().trial().tell(Beat(healthy=True), Hello())
    bench.start("33333333-3333-3333-3333-333333333333")
    assert way_back(bench)[1] == "REBOOTED"
    assert bench.running != NEW
