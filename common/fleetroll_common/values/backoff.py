"""Waiting times between tries."""

from __future__ import annotations


def full_jitter(attempt: int, base_seconds: float, cap_seconds: float, random01: float) -> float:
    """Return how long to wait before try number ``attempt`` (0 = the first retry), in seconds.

    The cap comes first, the jitter afterwards: at the cap the waiting hosts still spread over the whole interval.
    The other order made whole fleets come back in the same second.

    Args:
        attempt: >= 0; any size.
        base_seconds: > 0, the ceiling of the first wait.
        cap_seconds: >= ``base_seconds``, the ceiling of every wait.
        random01: a random number in [0, 1).
    """
    ceiling = min(cap_seconds, base_seconds * 2.0 ** min(attempt, 32))
    return ceiling * random01
