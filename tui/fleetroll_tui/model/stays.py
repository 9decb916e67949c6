"""How long an attempt was in each of its states, from the log of its host."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from fleetroll_tui.model.events import Gap
from fleetroll_tui.model.values import ENDED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fleetroll_tui.model.values import Attempt, Happening

NEAR_SECONDS = 1.0
"""An attempt's own instants and those of its events may be so far apart."""


FIRST = "offered"
"""The state in which every attempt begins."""


@dataclass(frozen=True)
class Stay:
    """Seconds that an attempt was in a state; ``over`` is False for the one that it is in."""

    state: str
    seconds: float
    over: bool = True


def stays(attempt: Attempt, log: Iterable[Happening], now: float) -> list[Stay]:
    """Return how long each state lasted, in their order; nothing where the log does not have all of them.

    Args:
        attempt: one of the log's host.
        log: what happened to that host, the oldest first.
        now: the server's time.
    """
    if not attempt.offered_at:
        return []
    begin, end = attempt.offered_at - NEAR_SECONDS, (attempt.ended_at or now) + NEAR_SECONDS
    within = [each for each in log if begin <= each.at <= end]
    if any(isinstance(each, Gap) for each in within):
        return []
    steps = _of_one([each for each in within if each.state and each.rollout_id == attempt.rollout_id])
    if not steps or steps[0].at > attempt.offered_at + NEAR_SECONDS:
        return []
    found = [Stay(before.state, after.at - before.at) for before, after in pairwise(steps)]
    if steps[-1].state not in ENDED:
        found.append(Stay(steps[-1].state, max(0.0, now - steps[-1].at), over=False))
    return found


def _of_one(steps: list[Happening]) -> list[Happening]:
    """Return the steps from the first offer to the next one: another attempt may have ended or begun nearby."""
    offers = [place for place, each in enumerate(steps) if each.state == FIRST]
    return steps[offers[0] : offers[1] if len(offers) > 1 else None] if offers else []
