"""Bake: how long a wave was watched after its last host ended.

An accumulated number, never a difference of two dates: time in which nobody watched does not count. Between two ticks
at most ``max_gap_seconds`` are added, so a clock that jumps, a suspended machine and a server that was down add nothing
worth the name. A server that comes up MUST tick once with ``up=False`` (or store no tick): its downtime is no bake.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from fleetroll_server.domain.limits import RolloutLimits

MAX_GAP_SECONDS = 10.0
"""Two sweeps of 5 s: one late tick still counts in full, a longer hole does not."""


@dataclass(frozen=True, slots=True)
class Bake:
    """What is stored after each tick.

    Attributes:
        seconds: accumulated so far, >= 0.
        ticked_at: when the last tick was, aware UTC; None before the first one.
    """

    seconds: float = 0.0
    ticked_at: datetime | None = None


def tick(
    bake: Bake,
    now: datetime,
    *,
    up: bool,
    away_without_goodbye: int,
    max_failed: int,
    max_gap_seconds: float = MAX_GAP_SECONDS,
) -> Bake:
    """Return the bake after the time since the last tick.

    Args:
        bake: what was stored last.
        now: the server's time, aware UTC. Before the last tick (a clock set back) it adds nothing.
        up: the server was up since the last tick.
        away_without_goodbye: succeeded hosts of the wave that are gone and did not say so, >= 0. One more than the gate
            forgives stops the count: their health isn't known.
        max_failed: the wave's limit, >= 1.
        max_gap_seconds: the most that one tick adds, > 0.

    Raises:
        ValueError: a number is outside its bounds (programming error).
    """
    if away_without_goodbye < 0 or max_failed < 1 or not max_gap_seconds > 0:
        raise ValueError(f"bake: {away_without_goodbye=} {max_failed=} {max_gap_seconds=}")
    watched = up and away_without_goodbye <= max_failed - 1
    if not watched or bake.ticked_at is None:
        return Bake(bake.seconds, now)
    passed = (now - bake.ticked_at).total_seconds()
    return Bake(bake.seconds + min(max(passed, 0.0), max_gap_seconds), now)


def done(bake: Bake, limits: RolloutLimits) -> bool:
    """Tell whether the wave was watched for as long as its limits ask."""
    return bake.seconds >= limits.bake_seconds
