"""What an attempt holds of the blast radius after each step.

Only these free a charge: a committed success, an end before GRANTED, a cancel with its way back, a way back in the
wider scopes (the host runs a version whose health holds), and the host's own word that it has not used its Go.
"""

from __future__ import annotations

from enum import StrEnum, auto
from typing import TYPE_CHECKING

from fleetroll_server.domain.states import BAD, BEFORE_GO, PAST_GO, AttemptState

if TYPE_CHECKING:
    from collections.abc import Mapping


class Holding(StrEnum):
    """What an attempt holds, in every scope that it was charged in."""

    NOTHING = auto()
    """Not charged."""
    IN_USE = auto()
    """Past Go: one host out in each scope."""
    BROKEN = auto()
    """Broken in each scope, until it reports health or a person dismisses it."""
    BROKEN_IN_ROLLOUT = auto()
    """Broken in the rollout's own scope alone: the host runs a version whose health holds."""


_AFTER_GO: Mapping[AttemptState, Holding] = {
    AttemptState.GRANTED: Holding.IN_USE,
    AttemptState.APPLYING: Holding.IN_USE,
    AttemptState.TRIAL: Holding.IN_USE,
    AttemptState.PROMOTED: Holding.IN_USE,
    AttemptState.SOAKING: Holding.IN_USE,
    AttemptState.LOST: Holding.BROKEN,
    AttemptState.ROLLBACK_FAILED: Holding.BROKEN,
    AttemptState.ROLLED_BACK: Holding.BROKEN_IN_ROLLOUT,
    AttemptState.SUCCEEDED: Holding.NOTHING,
    AttemptState.CANCELLED: Holding.NOTHING,
    AttemptState.SKIPPED: Holding.NOTHING,
    AttemptState.EXPIRED: Holding.NOTHING,
}


def stays_forgiven(state: AttemptState) -> bool:
    """Tell whether a host that was bad when a person resumed its rollout after a halt is let off still in ``state``.

    Whatever it turns into, the person knew of it: the rollout's own scope holds it as broken no more. That ends when it
    is well, or back before Go: what goes wrong after that is news.
    """
    return state in BAD | PAST_GO


def holding_of_local(state: AttemptState) -> Holding:
    """Return what an attempt that was started on its host holds, which asked nobody for Go.

    It is out from its first step on the host until it ends; then it is broken as any other: where it could not go back,
    and where nobody knows.
    """
    return holding(state, attempted=True)


def holding(state: AttemptState, *, attempted: bool) -> Holding:
    """Return what an attempt in ``state`` holds.

    Args:
        state: where it stands.
        attempted: it got Go at some time: a failure before Go holds nothing, one after it is broken.
    """
    if state in BEFORE_GO:
        return Holding.NOTHING
    if state is AttemptState.FAILED:
        return Holding.BROKEN_IN_ROLLOUT if attempted else Holding.NOTHING
    return _AFTER_GO[state]
