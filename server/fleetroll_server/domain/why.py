"""Why a host is not updating: what is in its way, by the rules that the engine itself goes by. Pure values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 (a field's type)
from enum import StrEnum, auto
from typing import TYPE_CHECKING

from fleetroll_server.domain.states import BEFORE_GO, FINAL, AttemptState

if TYPE_CHECKING:
    from fleetroll_common.values.codes import Code


class Next(StrEnum):
    """What the engine does about a host when it looks at it next, as things stand."""

    WAIT = auto()
    """It waits: the first finding says for what."""
    OFFER = auto()
    """It gets its offer."""
    GO = auto()
    """Its next ask is granted."""
    END = auto()
    """Its turn ends without an update: the first finding says why."""
    UNDER_WAY = auto()
    """It has its offer or its Go, and acts itself."""
    ENDED = auto()
    """It has its result."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is in the way.

    Attributes:
        code: why.
        message: the same in words, without a line break.
        clears_at: when it ends by itself; None where nobody can say.
    """

    code: Code
    message: str
    clears_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """How a host stands in one rollout.

    Attributes:
        rollout_id: the rollout; empty where none means the host.
        version: that it would bring.
        state: of the host's attempt.
        wave: of the host, from 1.
        next: what comes.
        findings: all that is in the way; the first is what the engine acts on.
    """

    rollout_id: str
    version: str
    state: AttemptState
    wave: int
    next: Next
    findings: tuple[Finding, ...] = ()


def without_question(state: AttemptState) -> Next | None:
    """Return what comes in states in which nothing is asked of the server; None where the rules have to be asked."""
    if state in FINAL:
        return Next.ENDED
    if state in BEFORE_GO and state in {AttemptState.PENDING, AttemptState.STAGED}:
        return None
    return Next.UNDER_WAY
