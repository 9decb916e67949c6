"""Which cases there are, which of them are the same run, which the first tier runs; then they are counted.

A case is a scenario, a fault, and the point before which it strikes. A disk can refuse only where it is asked. Cases
are the same run where nothing tells them apart: a crash before and after a sync, and anything that the server or the
clock does between two messages. Up to where a bad version shows itself its update is a good one's, point by point.

The first tier takes everything of one scenario, a good update with its migration of a product of slots. Of the others
it takes what they have of their own: crashes at every point but within the drafting of a record, where one of the four
calls has its turn; refusals, faults of server and clock in turn. The second tier takes everything.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import takewhile
from typing import TYPE_CHECKING

from tests.crash.products import faults
from tests.crash.products.judge import judge
from tests.crash.products.scenarios import scenarios

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.crash.products.bench import Bench
    from tests.crash.products.scenarios import Scenario

SEED = 20262
MOST_SHOWN = 5
_DRAFTING = ("unlink", "create", "write", "fsync_file")
_BESIDE = tuple({**faults.CLOCKS, **faults.OF_SERVER})


@dataclass(frozen=True)
class Trace:
    """An undisturbed run.

    Attributes:
        scenario: that was run.
        names: of its points; the first has the number 1.
        messages: for each point, how many messages came before it.
        own: number of the first point that no earlier scenario has.
    """

    scenario: Scenario
    names: tuple[str, ...]
    messages: tuple[int, ...]
    own: int = 1

    def is_on_disk(self, at: int) -> bool:
        """Tell whether a disk is asked at this point."""
        return self.names[at - 1].partition(" ")[0] in faults.DISK_KINDS


@dataclass(frozen=True)
class Case:
    """One run that is disturbed."""

    trace: Trace
    fault: str
    at: int

    @property
    def key(self) -> tuple[str, str, int]:
        """Return what tells this run from others."""
        trace, at = self.trace, self.at
        if self.fault in _BESIDE:
            at = trace.messages[at - 1]
        elif self.fault == faults.CRASH and at > 1 and trace.names[at - 2].startswith("fsync"):
            at -= 1
        return trace.scenario.name, self.fault, at

    def __str__(self) -> str:
        """Return a name for people."""
        return f"{self.trace.scenario.name}: {self.fault} before point {self.at}, {self.trace.names[self.at - 1]}"


@dataclass
class Tally:
    """What came of cases, by fault."""

    run: Counter[str] = field(default_factory=Counter)
    results: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)


def traced(bench: Bench, kind: str) -> list[Trace]:
    """Run every scenario of a kind undisturbed, and judge it."""
    known: list[Trace] = []
    for scenario in scenarios(kind):
        host = bench.make(scenario)
        try:
            host.run()
            judge(host)
        finally:
            host.close()
        names, messages = tuple(host.points.names), tuple(host.points.events)
        shared = max((_shared(names, other.names) for other in known), default=0)
        known.append(Trace(scenario, names, messages, shared + 1))
    return known


def every(traces: Iterable[Trace]) -> list[Case]:
    """Return all cases that exist."""
    return [
        Case(trace, fault, at)
        for trace in traces
        for fault in faults.FAULTS
        for at in range(1, len(trace.names) + 1)
        if fault not in faults.ON_DISK or trace.is_on_disk(at)
    ]


def distinct(cases: Iterable[Case]) -> list[Case]:
    """Return one case for each run."""
    return list({case.key: case for case in reversed(list(cases))}.values())[::-1]


def first_tier(cases: Iterable[Case]) -> list[Case]:
    """Return the runs of the first tier."""
    return [case for case in cases if case.at >= case.trace.own and _is_in_turn(case)]


def _is_in_turn(case: Case) -> bool:
    scenario, at = case.trace.scenario, case.at
    if scenario.kind == "slots" and scenario.result == "SUCCEEDED" and scenario.plain:
        return True
    if case.fault == faults.CRASH:
        kind, name = case.trace.names[at - 1].split(" ", 1)
        return kind not in _DRAFTING or not (name.endswith(".json.new") or not name) or at % len(_DRAFTING) == 0
    if case.fault in faults.ON_DISK:
        return at % 2 == 0 and list(faults.ON_DISK)[at // 2 % len(faults.ON_DISK)] == case.fault
    return _BESIDE[case.trace.messages[at - 1] % len(_BESIDE)] == case.fault


def run(bench: Bench, cases: Iterable[Case], minutes: float = 0.0) -> Tally:
    """Run cases; none begins after ``minutes`` (0 = all of them)."""
    tally, end = Tally(), time.monotonic() + minutes * 60 if minutes else float("inf")
    for case in cases:
        if time.monotonic() > end:
            break
        tally.run[case.fault] += 1
        try:
            tally.results[_one(bench, case)] += 1
        except AssertionError as error:
            tally.broken.append(f"{case}: {error}")
    return tally


def shuffled(cases: Iterable[Case], seed: int) -> list[Case]:
    """Return the cases in an order by lot: a sample of any length has no repeats."""
    mixed = list(cases)
    random.Random(seed).shuffle(mixed)
    return mixed


def _one(bench: Bench, case: Case) -> str:
    host = bench.make(case.trace.scenario, case.at, faults.FAULTS[case.fault])
    try:
        host.run()
        result = judge(host, case.fault)
    finally:
        host.close()
    if host.struck is None:
        raise AssertionError("the point did not come")
    return result


def _shared(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """Return how many points two runs have in common from their beginning."""
    return sum(1 for _pair in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
