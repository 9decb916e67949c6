"""One proof per kind, in a file of its own each, so that they run side by side."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tests.crash import counts as counting
from tests.crash.products import matrix
from tests.crash.products.bench import Bench

if TYPE_CHECKING:
    from pathlib import Path

    from tests.crash.counts import Counts

SHARE = 0.03
"""Of the minutes of a sample: the model runs thousands of cases in a minute."""
LEAST = 2500
"""Runs of a first tier: a matrix that shrank below this proves less than it says."""


def prove(kind: str, folder: Path, counts: Counts, *, full: bool) -> None:
    """Run the matrix of a kind and count it; ``full`` = all of it, or a sample of MINUTES by SEED."""
    seed, minutes = counting.seed(matrix.SEED), counting.minutes(SHARE) if full else 0.0
    with Bench(folder / "host").standing() as bench:
        cases = matrix.every(matrix.traced(bench, kind))
        runs = matrix.distinct(cases)
        chosen = matrix.shuffled(runs, seed) if full else matrix.first_tier(runs, seed)
        tally = matrix.run(bench, chosen, minutes)
    for ahead, what in ((False, kind), (True, f"{kind}, then bad")):
        run = Counter({fault: number for (also, fault), number in tally.run.items() if also is ahead})
        exist, distinct = (Counter(case.fault for case in some if case.is_ahead is ahead) for some in (cases, runs))
        counts.add("model", what, run, exist, distinct)
        assert full or ahead or run == distinct, "a first tier has every fault at every point of a kind"
    shown = tally.broken[: matrix.MOST_SHOWN]
    assert not tally.broken, f"{len(tally.broken)} of {tally.run.total()} cases:\n" + "\n".join(shown)
    assert minutes or tally.run.total() >= LEAST
    assert minutes or all(tally.results[result] for result in ("SUCCEEDED", "FAILED", "ROLLED_BACK"))
