"""What a host's turn in its rollout brings: an offer, a reason to wait, or an end by name.

It is asked of hosts that can take the release (:mod:`fleetroll_server.domain.eligible`), by offers and by ``why``. What
must hold for Go stands in :mod:`fleetroll_server.domain.go`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, auto

from fleetroll_common.values.codes import Code
from fleetroll_server.domain.limits import OfflinePolicy
from fleetroll_server.domain.states import Trigger


class Presence(StrEnum):
    """Whether a host can be spoken to."""

    HERE = auto()
    """It has a session."""
    CHECKS_IN = auto()
    """It has none, and its next check-in is not overdue."""
    RETURNING = auto()
    """Its session ended so short a time ago that it may be on its way back."""
    OFFLINE = auto()
    """None of these."""


@dataclass(frozen=True, slots=True)
class TurnFacts:
    """What one host's turn depends on.

    Attributes:
        presence: whether it can be spoken to.
        quarantined: its identity is: updates wait for readmission.
        held: another rollout holds the product on this host.
        superseded: a newer rollout means this late host.
        late: its rollout is completed: it waits, whatever the offline policy says.
        offline_policy: of its rollout.
    """

    presence: Presence
    quarantined: bool = False
    held: bool = False
    superseded: bool = False
    late: bool = False
    offline_policy: OfflinePolicy = OfflinePolicy.WAIT


@dataclass(frozen=True, slots=True)
class Turn:
    """What comes.

    Attributes:
        trigger: the host's step; None where it waits.
        code: why it waits or ends; None for an offer.
    """

    trigger: Trigger | None
    code: Code | None = None


OFFER = Turn(Trigger.OFFER)
RETURNING = Turn(None, Code.HOST_OFFLINE)
"""It may be on its way back: no policy judges it, and no wave passes without it, before it is offline."""
_OFFLINE = {
    OfflinePolicy.SKIP: Turn(Trigger.SKIP, Code.HOST_OFFLINE),
    OfflinePolicy.FAIL: Turn(Trigger.FAIL, Code.HOST_OFFLINE_AT_DISPATCH),
    OfflinePolicy.WAIT: Turn(None, Code.HOST_OFFLINE),
}


def turn(facts: TurnFacts) -> Turn:
    """Return what the turn of a host brings; the order is that in which it is acted on."""
    if facts.superseded:
        return Turn(Trigger.CANCEL, Code.SUPERSEDED)
    if facts.quarantined:
        return Turn(None, Code.QUARANTINED)
    match facts.presence:
        case Presence.CHECKS_IN:
            return Turn(None, Code.CHECK_IN)
        case Presence.RETURNING:
            return RETURNING
        case Presence.OFFLINE:
            return _OFFLINE[OfflinePolicy.WAIT if facts.late else facts.offline_policy]
        case Presence.HERE:
            return Turn(None, Code.UPDATE_IN_PROGRESS) if facts.held else OFFER
