"""Which release a host without a version begins with: what its fleet has proved, never what its fleet has stopped.

1. A release is *proved* when a rollout of the fleet completed it with hosts that kept it. The newest proved one is
   named.
2. It is *stopped* while a rollout of it stands halted, or when the newest rollout of it that came to a verdict was
   halted, rolled back, or ended by a person after hosts had begun with it or while it stood still, as it does under the
   kill switch. Why a person ended it can't be known here, so that counts like harm. It is also stopped when its
   completed rollout offers its late hosts no more, but for a person's cancel, or a recovery, before any of them went
   bad. Nothing that is stopped is named.
3. While a rollout of it is open and none has proved it, it is *being tried*: that rollout decides about it, not whoever
   enrols meanwhile.
4. Only while nothing is proved, the newest *untried* release is named: a fleet has to begin somewhere. In the stable
   channel a pre-release is never that one: there a person names it, or nobody does.

What did not work on the host that asks is left out. When all that is proved did not work there, nothing is named: a
host tries out nothing that its fleet has not tried.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, auto
from typing import TYPE_CHECKING

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_server.domain.states import ENDED_ROLLOUT, RolloutState

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from fleetroll_common.values.version import Version

_REMEDY = "let a rollout complete a good release, or publish a newer one; then run enroll again"
"""Under 128 bytes: agents read no longer remedies."""
_TAKEN_BACK = frozenset({RolloutState.HALTED, RolloutState.ROLLING_BACK, RolloutState.ROLLED_BACK})

_SAYS_NOTHING = frozenset({Code.CANCELLED_BY, Code.RECOVERY})
"""Ends of offers to late hosts that tell nothing of the release: a person's, and a database's that went back."""


class Standing(StrEnum):
    """What a fleet knows of a release."""

    PROVED = auto()
    STOPPED = auto()
    TRYING = auto()
    UNTRIED = auto()


@dataclass(frozen=True, slots=True)
class Tried:
    """One rollout of a release, as far as it tells of the release.

    Attributes:
        state: of the rollout.
        attempted: hosts that got Go or went bad, >= 0.
        succeeded: hosts that kept the release, as they stand now, >= 0.
        late_stop: why its late hosts are offered it no more; nothing while they are, or there are none.
        late_bad: late hosts that went bad since it completed, >= 0.
        stood_still: it was paused, by a person or the kill switch, or halted, and nobody resumed it since.
    """

    state: RolloutState
    attempted: int
    succeeded: int
    late_stop: Code | None = None
    late_bad: int = 0
    stood_still: bool = False

    @property
    def verdict(self) -> Standing:
        """Return what this rollout alone says."""
        if self.late_stop is not None and (self.late_stop not in _SAYS_NOTHING or self.late_bad):
            return Standing.STOPPED
        if self.state is RolloutState.COMPLETED and self.succeeded:
            return Standing.PROVED
        if self.state in _TAKEN_BACK:
            return Standing.STOPPED
        if self.state not in ENDED_ROLLOUT:
            return Standing.TRYING
        return Standing.STOPPED if self.attempted or self.stood_still else Standing.UNTRIED


@dataclass(frozen=True, slots=True)
class Candidate:
    """A listed release that the host's platform and channel allow.

    Attributes:
        version: of the release.
        tried: the rollouts of it in the host's fleet, oldest first.
        only_by_name: a pre-release in the stable channel.
    """

    version: Version
    tried: Sequence[Tried] = ()
    only_by_name: bool = False


@dataclass(frozen=True, slots=True)
class FirstVersion:
    """The release that is named, and its standing: PROVED or UNTRIED."""

    version: Version
    standing: Standing


def standing(tried: Sequence[Tried]) -> Standing:
    """Return what a fleet knows of a release by its rollouts, oldest first."""
    if any(one.state is RolloutState.HALTED for one in tried):
        return Standing.STOPPED
    verdicts = [one.verdict for one in tried]
    judged = [verdict for verdict in verdicts if verdict in {Standing.PROVED, Standing.STOPPED}]
    if judged:
        return judged[-1]
    return Standing.TRYING if Standing.TRYING in verdicts else Standing.UNTRIED


def first_version(candidates: Sequence[Candidate], passed_over: Collection[Version] = ()) -> FirstVersion:
    """Return the release that a host begins with.

    Args:
        candidates: in any order.
        passed_over: versions that did not work on the host.

    Raises:
        RequestError: NO_FIRST_VERSION: there is no candidate that the rules allow (admin's fault).
    """
    known = [(one, standing(one.tried)) for one in candidates]
    proved = [one.version for one, found in known if found is Standing.PROVED]
    untried = [one.version for one, found in known if found is Standing.UNTRIED and not one.only_by_name]
    named = Standing.PROVED if proved else Standing.UNTRIED
    left = [version for version in proved or untried if version not in passed_over]
    if not left:
        raise _none_left(known, passed_over)
    return FirstVersion(max(left), named)


def _none_left(known: Sequence[tuple[Candidate, Standing]], passed_over: Collection[Version]) -> RequestError:
    """Return the error that says of how many releases what is known."""
    counts = {
        "stopped": sum(found is Standing.STOPPED for _, found in known),
        "being tried": sum(found is Standing.TRYING for _, found in known),
        "not working on this host": sum(one.version in passed_over for one, _ in known),
    }
    said = ", ".join(f"{number} {words}" for words, number in counts.items() if number)
    text = f"no listed release is one that a host of this fleet should begin with ({said or 'pre-releases only'})"
    return RequestError(text, code=Code.NO_FIRST_VERSION, remedy=_REMEDY)
