"""Who goes back when a rollout is taken back, and to what: each host to the version that it had before.

Rules, in the order in which a person wants to hear them:

1. A revoked host, one that keeps the product no more, and one that another rollout means go nowhere.
2. One that runs its version before is back already; one that runs neither that nor the rollout's version was changed
   since by somebody else, and is left alone. What runs is not asked of a host past Go or lost: nobody knows it.
3. The version before must be known, and known to this server, which has the digest that the host has on its disk.
4. A digest that was revoked goes nowhere, whoever has it; a yanked or retired release is a legal way back all the same.
5. Nothing goes below the floor.
6. The version before stays a legal target for :data:`LEGAL`, as hosts themselves have it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum, auto
from typing import TYPE_CHECKING

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.version import Version
from fleetroll_server.domain.eligible import Objection
from fleetroll_server.domain.states import BAD, PAST_GO, AttemptState

if TYPE_CHECKING:
    from datetime import datetime

    from fleetroll_common.values.platform import Platform
    from fleetroll_server.domain.eligible import ReleaseFacts

LEGAL = timedelta(days=7)
"""So long after a change the version before is a legal target of a server (names.md)."""


class Mode(StrEnum):
    """Which hosts of a rollout are taken back."""

    FAILED = auto()
    """Those that went bad and are not back."""
    WAVE = auto()
    """Those of one wave that got Go."""
    ALL = auto()
    """All that got Go."""


@dataclass(frozen=True, slots=True)
class Returning:
    """One host of the rollout that is taken back.

    Attributes:
        state: of its attempt there.
        attempted: it got Go.
        running: what it runs of the product, as it said last; empty when that is not known.
        before: the version that it had before; empty when none is known.
        platform: of the host.
        changed_at: when its attempt ended; None while it goes on.
        revoked: its identity was.
        keeps: it keeps the product.
        claimed_by: another open rollout that means it; empty for none.
    """

    state: AttemptState
    attempted: bool
    running: str
    before: str
    platform: Platform | None
    changed_at: datetime | None
    revoked: bool = False
    keeps: bool = True
    claimed_by: str = ""


def is_meant(mode: Mode, state: AttemptState, *, attempted: bool) -> bool:
    """Tell whether a host of the rollout, or of the wave, is to go back: only who got Go can have changed."""
    if mode is Mode.FAILED:
        return state in BAD and attempted
    return attempted or state in PAST_GO


def objection(
    host: Returning, came: str, known: ReleaseFacts | None, floor: Version | None, now: datetime
) -> Objection | None:
    """Return why a host can't go back; None when it can.

    Args:
        host: as above.
        came: the version that the rollout brought.
        known: the release of ``host.before``; None when this server has none of that version.
        floor: of the product; None for none.
        now: the server's clock.
    """
    return _identity(host) or _runs(host, came) or _target(host, known, floor) or _age(host, now)


def _identity(host: Returning) -> Objection | None:
    if host.revoked:
        return Objection(Code.HOST_REVOKED, "its identity was revoked")
    if not host.keeps:
        return Objection(Code.NOT_OPTED_IN, "keeps the product no more")
    if host.claimed_by:
        return Objection(Code.UPDATE_IN_PROGRESS, f"rollout {host.claimed_by} is active on it")
    return None


def _runs(host: Returning, came: str) -> Objection | None:
    if host.state in PAST_GO:
        return None
    if host.before and host.running == host.before:
        return Objection(Code.ALREADY_AT_TARGET, f"runs {host.before} already")
    if host.state is AttemptState.SUCCEEDED and host.running != came:
        return Objection(Code.NOT_ALLOWED, f"runs {host.running}, not {came} any more: something else changed it since")
    return None


def _target(host: Returning, known: ReleaseFacts | None, floor: Version | None) -> Objection | None:
    if not host.before:
        return Objection(Code.NOT_ALLOWED, "cannot go back: no version before is known")
    if known is None or not known.sha256_for(host.platform):
        return Objection(Code.NO_ARTIFACT, f"cannot go back: this server has no artefact of {host.before} for it")
    if known.revoked:
        return Objection(Code.DIGEST_REVOKED, f"cannot go back: {host.before} was revoked")
    if floor is not None and is_below_floor(host.before, floor):
        return Objection(Code.BELOW_FLOOR, f"cannot go back: floor {floor}")
    return None


def _age(host: Returning, now: datetime) -> Objection | None:
    if host.changed_at is None or now - host.changed_at <= LEGAL:
        return None
    return Objection(Code.NOT_ALLOWED, f"cannot go back: it was changed more than {LEGAL.days} days ago")


def is_below_floor(text: str, floor: Version) -> bool:
    """Tell whether a version that a host said lies below the floor; what is no version does not."""
    try:
        return Version.parse(text) < floor
    except RequestError:
        return False
