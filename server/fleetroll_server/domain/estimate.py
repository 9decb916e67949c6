"""How long a rollout takes when nothing stands in its way: one simple sum that people can check.

A wave takes its rounds of ``max_concurrent`` hosts, each as long as one host from Go to its end, and its bake.
Downloads go on ahead of it. Time in which windows are shut, people decide or hosts are away is in no estimate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleetroll_server.domain.limits import RolloutLimits

ASSUMED_SECONDS = 120.0
"""From Go to the end, besides the soak, where no update of the product has succeeded yet: room for a restart."""


@dataclass(frozen=True, slots=True)
class PerHost:
    """Seconds from Go to the end of one host, and of how many updates they are the median; 0: assumed."""

    seconds: float
    sample: int


def per_host(durations_seconds: Sequence[float], limits: RolloutLimits) -> PerHost:
    """Return how long one host takes; never less than the soak that this rollout asks for."""
    if not durations_seconds:
        return PerHost(ASSUMED_SECONDS + limits.soak_seconds, 0)
    return PerHost(max(median(durations_seconds), limits.soak_seconds), len(durations_seconds))


def wave_seconds(hosts: int, one: PerHost, limits: RolloutLimits) -> float:
    """Return how long a wave of so many hosts takes."""
    return math.ceil(hosts / limits.max_concurrent) * one.seconds + limits.bake_seconds
