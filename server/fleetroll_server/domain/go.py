"""Go: the permit to apply. Everything that must hold is read in the transaction that grants it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from fleetroll_common.values.codes import Code
from fleetroll_server.domain.states import AttemptState, RolloutState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fleetroll_server.domain.eligible import Objection
    from fleetroll_server.domain.hostrules import Shut

ASK_AGAIN = timedelta(seconds=60)
"""When a refused host asks again at the latest."""
SOON = timedelta(seconds=5)
"""When a place in a budget may be free again."""

ASKABLE = frozenset({AttemptState.STAGED, AttemptState.GRANTED, AttemptState.LOST, AttemptState.DOWNLOADING})
"""An ask says: staged. It also proves that an earlier Go of this attempt is unused and dead."""


@dataclass(frozen=True, slots=True)
class GoFacts:
    """What the transaction read.

    Attributes:
        state: of the attempt, before the ask.
        rollout: state of its rollout.
        suspended: the kill switch is pressed for the host's fleet.
        quarantined: the identity is.
        revoked: the identity is.
        listed: the release is listed still.
        digest_matches: the host staged the release's artefact for its platform.
        not_after: when waiting for Go ends.
        limits_readable: the stored limits of the rollout are: without them nothing spreads.
        offers_late: the rollout is completed, and offers its late hosts still.
        superseded: a newer rollout of the product means this late host.
        objection: what the host's policy has against the release; None = nothing.
        shut: why no work may begin on the host now, by its windows; None where it may.
    """

    state: AttemptState
    rollout: RolloutState
    suspended: bool
    quarantined: bool
    revoked: bool
    listed: bool
    digest_matches: bool
    not_after: datetime
    limits_readable: bool
    offers_late: bool = False
    superseded: bool = False
    objection: Objection | None = None
    shut: Shut | None = None


@dataclass(frozen=True, slots=True)
class Refuse:
    """No permit now.

    Attributes:
        code: why.
        message: the same in words.
        retry_after: when to ask again at the latest.
        until: when the windows of the host open; None where it is refused for another reason, or nobody can say.
        ends: asking again is of no use: the host's turn ends by this code, without a failure.
    """

    code: Code
    message: str
    retry_after: timedelta = ASK_AGAIN
    until: datetime | None = None
    ends: bool = False


def judge_go(facts: GoFacts, now: datetime) -> Refuse | None:
    """Return why there is no Go; nothing when only the budgets are left to ask."""
    return next(refusals(facts, now), None)


def refusals(facts: GoFacts, now: datetime) -> Iterator[Refuse]:
    """Give every reason why there is no Go; the order is the order of what a person wants to hear first."""
    running = facts.rollout is RolloutState.RUNNING or (facts.rollout is RolloutState.COMPLETED and facts.offers_late)
    hurdles = (
        (facts.revoked, Code.IDENTITY_REVOKED, "the host is revoked"),
        (facts.suspended, Code.SUSPENDED, "the kill switch is pressed"),
        (facts.quarantined, Code.QUARANTINED, "the identity is quarantined"),
        (facts.superseded, Code.SUPERSEDED, "a newer rollout means this host"),
        (not running, Code.PAUSED, _does_not_run(facts.rollout)),
        (not facts.limits_readable, Code.THRESHOLD_MISSING, "the rollout's stored limits can't be read"),
        (facts.state not in ASKABLE, Code.ROLLOUT_STATE, f"the attempt is {facts.state}"),
        (now >= facts.not_after, Code.EXPIRED, "the time to start is over"),
        (not facts.listed, Code.YANKED, "the release is not listed any more"),
        (not facts.digest_matches, Code.WRONG_HASH, "the host staged another artefact than the release's"),
    )
    yield from (Refuse(code, message) for stands, code, message in hurdles if stands)
    ruled = _by_policy(facts, now)
    if ruled is not None:
        yield ruled


def _by_policy(facts: GoFacts, now: datetime) -> Refuse | None:
    """Return what the policy says: not this release, or not now."""
    if facts.objection is not None:
        return Refuse(facts.objection.code, facts.objection.message, ends=True)
    if facts.shut is None:
        return None
    opens_at = facts.shut.opens_at
    wait = ASK_AGAIN if opens_at is None else opens_at - now
    return Refuse(Code.WINDOW, facts.shut.message, wait, until=opens_at)


def _does_not_run(rollout: RolloutState) -> str:
    """Say that the rollout gives no Go now."""
    late = " and offers no late host now" if rollout is RolloutState.COMPLETED else ""
    return f"the rollout is {rollout}{late}"


def no_budget(scope: str) -> Refuse:
    """Return the refusal of a full scope."""
    return Refuse(Code.BUDGET, f"no room in {scope}", SOON)
