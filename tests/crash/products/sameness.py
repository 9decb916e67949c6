"""Whether cases that are counted as one run are one: what is struck at one goes on as what is struck at the other."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from tests.crash.products import matrix
from tests.crash.products.faults import VICTIMS

if TYPE_CHECKING:
    from tests.crash.products.matrix import Bench, Case

PAIRS = 12
"""Of each fault: the ends of so many groups."""


def compared(bench: Bench, kind: str) -> Counter[str]:
    """Compare the first with the last case of many a group; return by fault in how many.

    Raises:
        AssertionError: the two are not the same run.
    """
    groups: dict[object, list[Case]] = defaultdict(list)
    for case in matrix.shuffled(matrix.every(matrix.traced(bench, kind), bench.faults), matrix.SEED):
        groups[case.key].append(case)
    found: Counter[str] = Counter()
    for fault in bench.faults:
        several = [group for group in groups.values() if len(group) > 1 and group[0].fault == fault]
        for group in several[:PAIRS]:
            first, last = min(group, key=lambda case: case.at), max(group, key=lambda case: case.at)
            assert course(bench, first) == course(bench, last), f"{first} is not {last}"
            found[fault] += 1
    return found


def course(bench: Bench, case: Case) -> tuple[object, ...]:
    """Return all that happened, of a process that was killed from its death on, and how it ended."""
    host = bench.make(case.trace.scenario, case.at, bench.faults[case.fault])
    try:
        host.run()
        result = bench.judge(host, case.fault)
        itself = case.trace.owners[case.at - 1] in VICTIMS.get(case.fault, frozenset())
        seen = host.points.names[case.at :] if itself else host.points.names
        told = [(entry.report.generation, entry.report.said, entry.report.code) for entry in host.server.told]
        return result, tuple(seen), told, host.lives, host.facts()
    finally:
        host.close()
