"""Cases that are counted as one run are one: what is struck at one of them goes on as what is struck at the other."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

from tests.crash.products import faults, matrix
from tests.crash.products.bench import Bench
from tests.crash.products.judge import judge
from tests.crash.products.scenarios import KINDS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.crash.products.matrix import Case

PAIRS = 12
"""Of each fault: the ends of so many groups."""


def course(bench: Bench, case: Case) -> tuple[object, ...]:
    """Return all that happened from the stroke on, and how it ended."""
    host = bench.make(case.trace.scenario, case.at, faults.FAULTS[case.fault])
    try:
        host.run()
        after = host.points.names[case.at :] if case.fault == faults.CRASH else host.points.names
        told = [(entry.report.generation, entry.report.said, entry.report.code) for entry in host.server.told]
        return judge(host, case.fault), tuple(after), told, host.lives, host.world.facts()
    finally:
        host.close()


@pytest.mark.crash
@pytest.mark.parametrize("kind", KINDS)
def test_cases_that_are_counted_as_one_run_go_the_same_way(kind: str, tmp_path: Path) -> None:
    with Bench(tmp_path / "host").standing() as bench:
        groups: dict[object, list[Case]] = defaultdict(list)
        for case in matrix.shuffled(matrix.every(matrix.traced(bench, kind)), matrix.SEED):
            groups[case.key].append(case)
        compared = 0
        for fault in faults.FAULTS:
            several = [group for group in groups.values() if len(group) > 1 and group[0].fault == fault]
            for group in several[:PAIRS]:
                first, last = min(group, key=lambda case: case.at), max(group, key=lambda case: case.at)
                assert course(bench, first) == course(bench, last), f"{first} is not {last}"
                compared += 1
    merged = sum(1 for fault in faults.FAULTS if fault not in {"EIO", "read-only"})
    assert compared == PAIRS * merged
