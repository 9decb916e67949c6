"""Power fails at any instant of a product's update: a whole version is active, and what was said stays true.

In every tree that the syncs allow the host goes on until it is quiet, and is judged like any other. Each of the syncs
that make this true is taken away in turn: the model then has to find a broken promise.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.crash import counts as counting
from tests.crash.products.bench import Bench
from tests.crash.products.power import Exploration
from tests.crash.products.promises import BrokenPromiseError
from tests.crash.products.scenarios import KINDS, Scenario, scenarios

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.crash.counts import Counts
    from tests.faults.power import Op

POWER, AFTER_CRASH = "power loss", "crash, then power loss"
SHARE = 0.01
"""Of the minutes of a sample."""
EVERY_CRASH = 40
"""Of the points before which the agent is killed first, the first tier has one in so many."""
LEAST = 50
"""States of a scenario: a model that finds fewer looks at less than it says."""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with Bench(tmp_path / "host").standing() as standing:
        yield standing


@pytest.mark.crash
@pytest.mark.timeout(86400)
@pytest.mark.parametrize("kind", KINDS)
def test_after_any_power_loss_a_product_is_whole_and_its_result_true(
    kind: str, bench: Bench, full: bool, counts: Counts
) -> None:
    run, exist = 0, 0
    for scenario in scenarios(kind):
        exploration = Exploration(bench, end=ending(full=full))
        exploration.run(scenario, only_count=not (full or scenario.plain))
        run, exist = run + exploration.states, exist + exploration.found
        assert exploration.found >= LEAST
    counts.add("model", kind, Counter({POWER: run}), Counter({POWER: exist}))


@pytest.mark.crash
@pytest.mark.timeout(86400)
@pytest.mark.parametrize("kind", KINDS)
def test_after_a_crash_and_a_power_loss_what_was_said_stays_true(
    kind: str, bench: Bench, full: bool, counts: Counts
) -> None:
    end = ending(full=full)
    exploration = Exploration(bench)
    points = exploration.run(plain(kind), only_count=True)
    chosen = range(1, points + 1) if full else range(EVERY_CRASH, points + 1, EVERY_CRASH)
    run = 0
    for at in chosen:
        if time.monotonic() < end:
            exploration.run(plain(kind), killed_at=at)
            run += 1
    counts.add("model", kind, Counter({AFTER_CRASH: run}), Counter({AFTER_CRASH: points}))


def ending(*, full: bool) -> float:
    """Return the instant from which a sample only counts."""
    minutes = counting.minutes(SHARE) if full else 0.0
    return time.monotonic() + minutes * 60 if minutes else float("inf")


def plain(kind: str) -> Scenario:
    return next(scenario for scenario in scenarios(kind) if scenario.plain)


SYNCS = {
    "the record's data": ("slots", r"sync products/\.shop\.json\.new"),
    "the folder of the records": ("slots", r"sync_dir products"),
    "the journal's data": ("slots", r"sync journal/\d+\.log"),
    "the journal's head": ("slots", r"sync journal/\.head\.json\.new"),
    "the journal's folder": ("slots", r"sync_dir journal"),
    "the state folder": ("slots", r"sync_dir "),
    "the program in the slot": ("slots", r"sync slots/shop/.*/run"),
    "the manifest in the slot": ("slots", r"sync slots/shop/.*/MANIFEST"),
    "that the slot is complete": ("slots", r"sync slots/shop/.*/COMPLETE\.new"),
    "the folder of the slots": ("slots", r"sync_dir slots/shop"),
    "the folder of the link": ("slots", r"sync_dir current"),
    "the file's data": ("file", r"sync bin/.*"),
    "the folder of the file": ("file", r"sync_dir bin"),
}


@pytest.mark.crash
@pytest.mark.timeout(600)
@pytest.mark.parametrize("sync", SYNCS)
def test_without_one_of_the_syncs_a_promise_breaks(sync: str, bench: Bench) -> None:
    kind, pattern = SYNCS[sync]

    def lost(op: Op, _before: Op | None) -> bool:
        return re.fullmatch(pattern, f"{op.kind} {op.path}") is not None

    exploration = Exploration(bench, lost)
    with pytest.raises(BrokenPromiseError) as broken:
        exploration.run(plain(kind))
    print(f"\nwithout {sync}: after {exploration.states} states: {broken.value}")
