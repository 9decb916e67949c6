"""How sure a rate is: what the gate judges by, and what the console shows of it."""

from __future__ import annotations

import math

Z_95 = 1.6448536269514722
"""The 95 % point of the standard normal distribution: the bound is one-sided."""


def wilson_lower_bound(bad: int, attempted: int) -> float:
    """Return the lower 95 % bound of the failure rate, 0 to 1 (Wilson's score interval, one-sided).

    With p = bad / n, n = attempted and z = 1.645::

        (p + z^2 / 2n - z * sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)

    It is 0 for no bad host, and needs no minimum of hosts: 1 of 1 gives 0.27, 1 of 10 gives 0.02. An upper bound could
    never let a small fleet pass: 0 bad of 12 leaves more than 18 %.

    Raises:
        ValueError: a number is negative or ``bad`` is larger than ``attempted`` (programming error).
    """
    if not 0 <= bad <= attempted:
        raise ValueError(f"rate: {bad} bad of {attempted} attempted")
    if bad == 0:
        return 0.0
    rate, z2 = bad / attempted, Z_95 * Z_95
    spread = Z_95 * math.sqrt(rate * (1 - rate) / attempted + z2 / (4 * attempted * attempted))
    return (rate + z2 / (2 * attempted) - spread) / (1 + z2 / attempted)
