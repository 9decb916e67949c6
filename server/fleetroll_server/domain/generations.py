"""Generations: the number of a host's next assignment, and when a count begins anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_common.values.generations import MAX_JUMP

if TYPE_CHECKING:
    from collections.abc import Collection

MAX_GENERATION_SHOWN = 2**63 - 2**40
"""A host that shows a higher generation is not believed: wire and database hold 64 bits with a sign, and what is left
above it is room for every assignment that this host still gets, a thousand each second for thirty years."""


MAX_STORED = 2**63 - 2**20
"""A count that has come this far, by whatever lie, has no room left: it counts for nothing, and begins anew."""


def next_generation(stored: int, highest_on_host: int, used: Collection[int] = ()) -> int:
    """Return the generation of the next assignment: above what either side has seen, and no attempt's before.

    However far the host is ahead, it passes over everything that is not above its own: a foreign or an older server may
    have brought it there. The number is of this host and product alone, so that a lie about it harms nobody else.

    The lowest free number is taken, not one above all that were used: those of an earlier count may lie just where this
    host's reach ends.

    Args:
        stored: the highest of this count in the database for this host and product, >= 0; one above :data:`MAX_STORED`
            counts for nothing.
        highest_on_host: what the host's hello said; one above :data:`MAX_GENERATION_SHOWN` counts for nothing.
        used: numbers that attempts of this host and product have or had; those of this count need not be among them.
    """
    stored = stored if stored <= MAX_STORED else 0
    generation = max(stored, highest_on_host if highest_on_host <= MAX_GENERATION_SHOWN else 0) + 1
    while generation in used:
        generation += 1
    return generation


def is_out_of_reach(stored: int, highest_on_host: int) -> bool:
    """Tell whether the host would refuse the assignment ``stored``, and every later one of its count.

    Then another one brought the count there, a copy or a machine that is gone, and it begins anew. The arguments are
    those of :func:`next_generation`; only the hello of a host that is in no doubt may decide it.
    """
    return stored > max(0, highest_on_host) + MAX_JUMP
