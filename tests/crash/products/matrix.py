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
from typing import TYPE_CHECKING, Any, Protocol

from tests.crash.products import faults
from tests.crash.products.points import ALONE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from tests.crash.products.points import Moment

    class Bench(Protocol):
        """A model: what its hosts go through, what strikes them, and who judges."""

        @property
        def faults(self) -> Mapping[str, Callable[[Any], None]]:
            """Everything that goes wrong."""

        def scenarios(self, kind: str) -> Sequence[Any]:
            """Return everything that a product of ``kind`` goes through, what most others begin like first."""

        def is_struck(self, kind: str, scenario: Any) -> bool:
            """Tell whether the proof of ``kind`` strikes ``scenario``; another proof's is what others begin like."""

        def make(self, scenario: Any, at: int = 0, fault: Callable[[Any], None] | None = None) -> Any:
            """Return a fresh host, which ``fault`` strikes before its point number ``at``."""

        def judge(self, host: Any, fault: str = "") -> str:
            """Judge a host that has become quiet; return the result of its attempt."""


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
        owners: for each point, whose it is.
        living: for each point, which processes there are.
        own: number of the first point that no earlier scenario has.
    """

    scenario: Any
    names: tuple[str, ...]
    moments: tuple[Moment, ...]
    idle: frozenset[int]
    owners: tuple[str, ...]
    living: tuple[frozenset[str], ...]
    own: int = 1

    def can_strike(self, fault: str, at: int) -> bool:
        """Tell whether there is something to strike: a disk that is asked, and processes that there are."""
        if fault in faults.ON_DISK:
            return self.kind(at) in faults.DISK_KINDS
        return faults.VICTIMS.get(fault, frozenset()) <= self.living[at - 1]

    def last_change(self, at: int) -> int:
        """Return the point before which a crash leaves the same as before ``at``: what lies between changes nothing.

        Beside a process that lives on, and sees the other one gone at that moment, it has to be the same moment.
        """
        while at - 1 in self.idle and (self.owners[at - 1] == ALONE or self._is_same_turn(at)):
            at -= 1
        return at

    def _is_same_turn(self, at: int) -> bool:
        return self.moments[at - 2].turn == self.moments[at - 1].turn

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
        victims = faults.VICTIMS.get(self.fault, frozenset())
        if self.fault in faults.OF_SERVER or (victims and trace.owners[at - 1] not in victims):
            return trace.scenario.name, self.fault, self.is_ahead, (moment.turn, moment.asked)
        if victims:
            at = trace.last_change(at)
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
    """Run every scenario of a kind undisturbed, and judge it; return those that are struck."""
    known: list[Trace] = []
    for scenario in bench.scenarios(kind):
        host = bench.make(scenario)
        try:
            host.run()
            bench.judge(host)
        finally:
            host.close()
        seen = host.points
        names = tuple(seen.names)
        shared = max((_shared(names, other.names) for other in known), default=0)
        who = tuple(seen.owners), tuple(seen.living)
        known.append(Trace(scenario, names, tuple(seen.moments), frozenset(seen.idle), *who, shared + 1))
    return [trace for trace in known if bench.is_struck(kind, trace.scenario)]


def every(traces: Iterable[Trace], named: Iterable[str] = faults.FAULTS) -> list[Case]:
    """Return all cases that exist; ``named`` are the faults."""
    known = tuple(named)
    return [
        Case(trace, fault, at)
        for trace in traces
        for fault in known
        for at in range(1, len(trace.names) + 1)
        if trace.can_strike(fault, at)
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
    host = bench.make(case.trace.scenario, case.at, bench.faults[case.fault])
    try:
        host.run()
        result: str = bench.judge(host, case.fault)
    finally:
        host.close()
    if host.struck is None:
        raise AssertionError("the point did not come")
    return result


def _shared(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """Return how many points two runs have in common from their beginning."""
    return sum(1 for _pair in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
