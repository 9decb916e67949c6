"""One proof per kind, in a file of its own each, so that they run side by side."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tests.crash.products import matrix
from tests.crash.products.bench import Bench

if TYPE_CHECKING:
    from pathlib import Path

LEAST = 700
"""Runs of a first tier: a matrix that shrank below this proves less than it says."""


def prove(kind: str, folder: Path, *, full: bool) -> None:
    """Run the matrix of a kind and print its counts; ``full`` = all of it, or a sample of MINUTES by SEED."""
    seed, minutes = int(os.environ.get("SEED", matrix.SEED)), float(os.environ.get("MINUTES", "0")) if full else 0.0
    with Bench(folder / "host").standing() as bench:
        cases = matrix.every(matrix.traced(bench, kind))
        runs = matrix.distinct(cases)
        chosen = matrix.shuffled(runs, seed) if full else matrix.first_tier(runs)
        tally = matrix.run(bench, chosen, minutes)
    print(f"\n{matrix.shown(kind, cases, tally)}")
    shown = tally.broken[: matrix.MOST_SHOWN]
    assert not tally.broken, f"{len(tally.broken)} of {tally.run.total()} cases:\n" + "\n".join(shown)
    assert minutes or tally.run.total() >= LEAST
    assert all(tally.results[result] for result in ("SUCCEEDED", "FAILED", "ROLLED_BACK"))
