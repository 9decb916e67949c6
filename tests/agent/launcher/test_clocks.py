"""What a trial takes for time: one clock of one boot, which neither a person, a server nor a closed lid moves."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import fleetroll_agent.launcher
from fleetroll_agent.launcher import loop
from fleetroll_agent.launcher.events import Beat, Hello
from fleetroll_agent.launcher.loop import Loop
from fleetroll_agent.launcher.output import Output
from fleetroll_common.values.clock import FakeClock
from tests.faults.launcher_bench import BOOT, LIMITS, NEW, Bench, first, way_back

if TYPE_CHECKING:
    from collections.abc import Callable

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


class HostClocks:
    """The module ``time`` on a host whose clocks a test moves; it has what any clock of a launcher could be read by."""

    CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME = 0, 1, 7

    def __init__(self) -> None:
        self.host = FakeClock()
        self.monotonic = self.host.monotonic

    def time(self) -> float:
        return self.host.now().timestamp()

    def clock_gettime(self, clock: int) -> float:
        return (self.time, self.monotonic)[clock]() if clock < self.CLOCK_BOOTTIME else self.host.boottime()


class ClockedBench(Bench):
    """A bench on which it is as late as the launcher's own loop reads it from the host's clocks."""

    def __init__(self, clocks: HostClocks) -> None:
        unused: Any = None
        self._host = clocks.host
        self._loop = Loop(first(), BOOT, LIMITS, unused, unused, Output(None), unused, unused)
        super().__init__()

    @property
    def at(self) -> float:
        return self._loop._moment().at

    @at.setter
    def at(self, instant: float) -> None:
        """Let time pass up to ``instant``; the bench's own first one is none of this host's."""
        self._host.advance(max(0.0, instant - self.at))


@pytest.mark.parametrize(
    "happens",
    [
        lambda host: host.suspend(3600),
        lambda host: host.jump(3600),
        lambda host: host.jump(-3600),
    ],
    ids=["it sleeps for an hour", "its clock is put forward", "its clock is put back"],
)
def test_t7_a_host_that_sleeps_in_its_trial_neither_keeps_it_early_nor_takes_it_back(
    monkeypatch: pytest.MonkeyPatch, happens: Callable[[FakeClock], None]
) -> None:
    """Nor one whose clock is set. What is left of the soak, which is of 10 s, is held afterwards, beat by beat."""
    clocks = HostClocks()
    monkeypatch.setattr(loop, "time", clocks)
    bench = ClockedBench(clocks)
    bench.trial().tell(Beat(healthy=True), Hello()).promote().beats(2.0)
    happens(clocks.host)
    bench.wait(0.0)
    bench.beats(2.0)
    assert (bench.running, bench.disk.trial is not None) == (NEW, True)
    bench.beats(2.0)
    assert bench.disk.current.digest == NEW.digest


def test_t7_a_host_that_lost_its_power_in_a_trial_runs_the_version_before() -> None:
    """Another boot ends a trial, whatever the clocks say."""
    bench = Bench().trial().tell(Beat(healthy=True), Hello())
    bench.start("33333333-3333-3333-3333-333333333333")
    assert way_back(bench)[1] == "REBOOTED"
    assert bench.running != NEW
