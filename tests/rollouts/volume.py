"""The volume of the proof: many walks, in as many files as there are processes for tests."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from tests.rollouts.walks import run_all, told

if TYPE_CHECKING:
    from collections import Counter

WALKS, STEPS = 60, 450
"""Of one part. Walks are long, so that rollouts follow each other; what brings each to its end comes on top."""
AT_LEAST = 26_000
MORE = 10
"""Times as many walks, of fresh seeds, in the second tier."""


def walk_part(part: int, *, full: bool) -> Counter[str]:
    """Walk one part; print what was done, and assert that it was as much as is counted on."""
    seeds = [1000 * part + number for number in range(WALKS)]
    if full:
        fresh = random.SystemRandom()
        seeds = [fresh.randrange(10**6, 10**9) for _ in range(MORE * WALKS)]
    done = run_all(seeds, STEPS)
    print(f"\nrollouts machine, part {part}: {told(done)}")
    assert done["steps"] >= AT_LEAST
    for name, enough in {"Gos": 300, "later waves": 50, "gates failed": 50, "hosts lost": 10, "came back": 5}.items():
        assert done[name] >= enough, f"{name}: {done[name]}"
    for name in ("late Gos", "unconditional charges", "kills", "yanks", "restart", "jump", "late messages"):
        assert done[name] > 0, f"no {name}"
    return done
