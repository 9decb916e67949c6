"""Which cases there are, which of them are the same run, which the first tier runs; then they are counted.

A case is a scenario, a fault, and the point before which it strikes. A disk can refuse only where it is asked. Cases
are the same run where nothing tells them apart: a crash before and after an effect that changes nothing that is seen, a
full disk before and after what needs no room, and what the server does within one turn of the loop, or the clock
between two looks at it.

Up to where a bad version shows itself its update is a good one's, point by point. What strikes there comes *ahead* of
what is wrong with the version: two things that go wrong, one after the other. The first tier has every point of every
kind with every fault, where points that scenarios share are one; and of what strikes ahead a sample.
"""

from __future__ import annotations

import contextlib
import gc
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
    from collections.abc import Iterable, Iterator

    from tests.crash.products.bench import Bench
    from tests.crash.products.points import Moment
    from tests.crash.products.scenarios import Scenario

SEED = 20262
MOST_SHOWN = 5
ROUND = 100
SAMPLE = 25
"""The first tier has one of so many cases that strike ahead."""


@dataclass(frozen=True)
class Trace:
    """An undisturbed run.

    Attributes:
        scenario: that was run.
        names: of its points; the first has the number 1.
        moments: for each point, when it was.
        idle: numbers of points that change nothing that is seen.
        own: number of the first point that no earlier scenario has.
    """

    scenario: Scenario
    names: tuple[str, ...]
    moments: tuple[Moment, ...]
    idle: frozenset[int]
    own: int = 1

    def is_on_disk(self, at: int) -> bool:
        """Tell whether a disk is asked at this point."""
        return self.kind(at) in faults.DISK_KINDS

    def kind(self, at: int) -> str:
        """Return the name of the effect or message at a point."""
        return self.names[at - 1].partition(" ")[0]

    def needing_room(self, at: int) -> int:
        """Return the next point, in the same instant, that needs room; ``at`` itself where the instant has none."""
        for later in range(at, len(self.names) + 1):
            if self.moments[later - 1].second != self.moments[at - 1].second:
                break
            if self.kind(later) in faults.NEEDS_ROOM:
                return later
        return at


@dataclass(frozen=True)
class Case:
    """One run that is disturbed."""

    trace: Trace
    fault: str
    at: int

    @property
    def key(self) -> tuple[str, str, bool, object]:
        """Return what tells this run from others."""
        trace, at = self.trace, self.at
        moment = trace.moments[at - 1]
        if self.fault in faults.CLOCKS:
            return trace.scenario.name, self.fault, self.is_ahead, moment
        if self.fault in faults.OF_SERVER:
            return trace.scenario.name, self.fault, self.is_ahead, (moment.turn, moment.asked)
        if self.fault == faults.CRASH:
            while at - 1 in trace.idle:
                at -= 1
        elif self.fault == faults.FULL:
            at = trace.needing_room(at)
        return trace.scenario.name, self.fault, self.is_ahead, at

    @property
    def is_ahead(self) -> bool:
        """Tell whether it strikes where an earlier scenario has the same point."""
        return self.at < self.trace.own

    def __str__(self) -> str:
        """Return a name for people."""
        return f"{self.trace.scenario.name}: {self.fault} before point {self.at}, {self.trace.names[self.at - 1]}"


@dataclass
class Tally:
    """What came of cases; those that were run by whether they strike ahead, and by fault."""

    run: Counter[tuple[bool, str]] = field(default_factory=Counter)
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
        seen = host.points
        names = tuple(seen.names)
        shared = max((_shared(names, other.names) for other in known), default=0)
        known.append(Trace(scenario, names, tuple(seen.moments), frozenset(seen.idle), shared + 1))
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


def first_tier(runs: Iterable[Case], seed: int = SEED) -> list[Case]:
    """Return the runs of the first tier."""
    runs = list(runs)
    ahead = shuffled((case for case in runs if case.is_ahead), seed)
    return [*(case for case in runs if not case.is_ahead), *ahead[: len(ahead) // SAMPLE]]


@contextlib.contextmanager
def _collecting_seldom() -> Iterator[None]:
    """Look for garbage between rounds only: a fifth of the time of a run otherwise, for a heap that stands."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


@_collecting_seldom()
def run(bench: Bench, cases: Iterable[Case], minutes: float = 0.0) -> Tally:
    """Run cases; none begins after ``minutes`` (0 = all of them)."""
    tally, end = Tally(), time.monotonic() + minutes * 60 if minutes else float("inf")
    for number, case in enumerate(cases):
        if time.monotonic() > end:
            break
        if number % ROUND == 0:
            gc.collect()
        tally.run[case.is_ahead, case.fault] += 1
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
