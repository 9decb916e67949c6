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

RESULTS = ("SUCCEEDED", "FAILED", "ROLLED_BACK")


def prove(kind: str, folder: Path, counts: Counts, *, full: bool) -> None:
    """Prove it for a kind of product; see :func:`prove_on`."""
    with Bench(folder / "host").standing() as bench:
        prove_on(bench, kind, counts, LEAST, full=full)


def prove_on(
    bench: matrix.Bench,
    kind: str,
    counts: Counts,
    least: int,
    *,
    full: bool,
    results: tuple[str, ...] = RESULTS,
    names: tuple[str, str] = ("", ""),
) -> None:
    """Run the matrix of a kind and count it; ``full`` = all of it, or a sample of MINUTES by SEED.

    Args:
        bench: of the model.
        kind: of the product.
        counts: takes what was run.
        least: so many runs have to come of it.
        full: more than the first tier.
        results: of attempts; each has to come of some run.
        names: of the kind in the table, and of what strikes ahead; empty = the kind's own.
    """
    seed, minutes = counting.seed(matrix.SEED), counting.minutes(SHARE) if full else 0.0
    cases = matrix.every(matrix.traced(bench, kind), bench.faults)
    runs = matrix.distinct(cases)
    chosen = matrix.shuffled(runs, seed) if full else matrix.first_tier(runs, seed)
    tally = matrix.run(bench, chosen, minutes)
    for ahead, what in ((False, names[0] or kind), (True, names[1] or f"{kind}, then bad")):
        run = Counter({fault: number for (also, fault), number in tally.run.items() if also is ahead})
        exist, distinct = (Counter(case.fault for case in some if case.is_ahead is ahead) for some in (cases, runs))
        counts.add("model", what, run, exist, distinct)
        assert full or ahead or run == distinct, "a first tier has every fault at every point of a kind"
    shown = tally.broken[: matrix.MOST_SHOWN]
    assert not tally.broken, f"{len(tally.broken)} of {tally.run.total()} cases:\n" + "\n".join(shown)
    assert minutes or tally.run.total() >= least
    assert minutes or all(tally.results[result] for result in results)
