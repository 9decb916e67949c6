"""Late hosts: those that were away or held while the waves of their rollout passed. It offers them one by one.

Rules, in this order:

1. Nothing while offering is stopped, or when no host is left. A lost one is none of these, holds nobody up and stops
   nothing by itself; it may come back and ask for Go, so people and the kill switch stop it too.
2. STOP when the limits can't be read.
3. Nothing from not_after on: what has no Go by then expires.
4. STOP when the gate fails, by the same limits as a wave's: over the hosts of all waves and what they share, counting
   as bad only what went bad since the rollout completed. What its waves let through is forgiven then.
5. Nothing while a late host is under way, whatever became of it; STOP when it has not moved for a day. One that has
   staged, and waits for its window alone, is not under way.
6. OFFER the next one, in the order of waves and places.

A stop is durable and the rollout stays completed. PAUSED, SUSPENDED and INTERNAL are for a person to resume; any other
code is for good: late hosts without Go are cancelled with its reason.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from fleetroll_common.values.codes import Code
from fleetroll_server.domain.gates import CohortCounters, Counters, GateResult, Verdict, verdict
from fleetroll_server.domain.limits import RolloutLimits, Unreadable
from fleetroll_server.domain.states import IllegalTransitionError, RolloutState, RolloutTrigger

if TYPE_CHECKING:
    from fleetroll_server.domain.summary import WaveCounters

STUCK = timedelta(hours=24)
"""A late host that has not moved for so long stops the others, as a wave's would."""
MAX_UNDER_WAY = 1
"""Late hosts past Go at the same time, whatever the waves were allowed."""
RESUMABLE = frozenset({Code.PAUSED, Code.SUSPENDED, Code.RECOVERY, Code.INTERNAL})
"""Stops that end when a person resumes. INTERNAL is the server's own fault: no host loses its release for it."""


@dataclass(frozen=True, slots=True)
class LateHosts:
    """The hosts of a completed rollout as decisions see them.

    Attributes:
        waves: counters of every wave.
        moved_at: when a host of any wave last changed its state.
        stopped: why no late host is offered any more; nothing while they are.
        reason: the same in words.
    """

    waves: tuple[WaveCounters, ...]
    moved_at: datetime | None
    stopped: Code | None = None
    reason: str = ""

    @property
    def left(self) -> int:
        """Return how many have not ended, without lost ones."""
        return sum(wave.planned - wave.ended for wave in self.waves)

    @property
    def lost(self) -> int:
        """Return how many are lost and may come back, >= 0."""
        return sum(max(0, wave.lost) for wave in self.waves)

    @property
    def stoppable(self) -> int:
        """Return how many may get Go now or later: those that are left, and lost ones, >= 0."""
        return max(0, self.left) + self.lost

    @property
    def waiting(self) -> int:
        """Return how many of those are offline, held, quarantined, or between two check-ins."""
        return sum(wave.waiting for wave in self.waves)

    @property
    def ready(self) -> int:
        """Return how many of those could be offered now."""
        return sum(wave.pending for wave in self.waves)

    @property
    def shut(self) -> int:
        """Return how many of those have staged, and wait for a window to open."""
        return sum(wave.shut for wave in self.waves)

    @property
    def under_way(self) -> int:
        """Return how many have their offer or their Go, and wait for no window."""
        return self.left - self.waiting - self.ready - self.shut

    @property
    def bad(self) -> int:
        """Return how many went bad since the rollout completed."""
        return sum(wave.unforgiven_bad for wave in self.waves)

    @property
    def is_over(self) -> bool:
        """Tell whether no late host is offered any more, for good."""
        return self.stopped is not None and self.stopped not in RESUMABLE


@dataclass(frozen=True, slots=True)
class OfferLate:
    """The next late host gets its assignment."""


@dataclass(frozen=True, slots=True)
class StopLate:
    """No late host is offered any more; those without Go are cancelled."""

    code: Code
    reason: str


@dataclass(frozen=True, slots=True)
class LateStep:
    """What is to be done now, or what late hosts wait for, in words; neither when none is left."""

    action: OfferLate | StopLate | None = None
    waits_for: str = ""


def next_late(late: LateHosts, limits: RolloutLimits | Unreadable, not_after: datetime, now: datetime) -> LateStep:
    """Return the next step of a completed rollout by the rules of this module. It reads counters only."""
    if late.stopped is not None or late.left <= 0:
        return LateStep(waits_for=_stands(late, not_after, now))
    if isinstance(limits, Unreadable):
        return LateStep(StopLate(Code.THRESHOLD_MISSING, f"its stored limits can't be read: {limits.reason}"))
    if now >= not_after:
        return LateStep(waits_for=f"{_late(late.under_way)} under way" if late.under_way > 0 else "")
    result = gate(late, limits)
    if result.verdict is Verdict.FAIL:
        return LateStep(StopLate(result.code or Code.WAVE_NOT_PASSED, f"late hosts: {result.evidence}"))
    until = f"until {not_after:%Y-%m-%d %H:%M}Z"
    if late.under_way > 0:
        if late.moved_at is not None and now - late.moved_at >= STUCK:
            evidence = f"late hosts: nothing moved for {STUCK} although {late.under_way} could"
            return LateStep(StopLate(Code.WAVE_NOT_PASSED, evidence))
        return LateStep(waits_for=f"a late host under way; {_late(late.left)} left, one by one {until}")
    if late.ready > 0:
        return LateStep(OfferLate())
    what = f"the windows of {_late(late.shut)}; {_late(late.left)} left"
    return LateStep(waits_for=f"{what if late.shut > 0 else f'{_late(late.waiting)} away or held'}, one by one {until}")


def _stands(late: LateHosts, not_after: datetime, now: datetime) -> str:
    """Say what they wait for while offering is stopped, or when at most lost ones are left; empty for nothing."""
    if late.stopped is not None:
        paused = late.stopped in RESUMABLE and late.stoppable > 0
        return f"a person to resume or cancel: {_late(late.stoppable)}" if paused else ""
    return f"{_late(late.lost)} lost after Go" if late.lost > 0 and now < not_after else ""


def at_rest(late: LateHosts, step: LateStep) -> str:
    """Return what late hosts wait for while nothing moves: one that is due and has no offer is held elsewhere."""
    if isinstance(step.action, OfferLate):
        return f"another rollout of the product, under way on {_late(late.ready)}"
    return step.waits_for


def _late(number: int) -> str:
    return "1 late host" if number == 1 else f"{number} late hosts"


def gate(late: LateHosts, limits: RolloutLimits) -> GateResult:
    """Return the gate over all hosts of the rollout, without what was bad before it completed."""
    forgiven = sum(wave.bad - wave.unforgiven_bad for wave in late.waves)
    counters = Counters(
        planned=sum(wave.planned for wave in late.waves),
        attempted=sum(wave.attempted for wave in late.waves) - forgiven,
        bad=late.bad,
        ended=sum(wave.ended for wave in late.waves),
        waiting=late.waiting,
        succeeded=sum(wave.succeeded for wave in late.waves),
    )
    return verdict(counters, _cohorts(late), limits)


def _cohorts(late: LateHosts) -> list[CohortCounters]:
    """Return what hosts share, over all waves in whose plan at least two share it."""
    tried: Counter[str] = Counter()
    bad: Counter[str] = Counter()
    for wave in late.waves:
        for label, (tried_here, bad_here) in wave.unforgiven_cohorts().items():
            tried[label] += tried_here
            bad[label] += bad_here
    return [CohortCounters(label, tried[label], count) for label, count in bad.items() if count > 0]


def pause(late: LateHosts) -> bool:
    """Tell whether a person's pause changes anything: a second one is no error.

    Raises:
        IllegalTransitionError: there is nothing to pause (caller's fault).
    """
    if late.is_over or late.stoppable <= 0:
        raise IllegalTransitionError(RolloutState.COMPLETED, RolloutTrigger.PAUSE)
    return late.stopped is None


def resume(late: LateHosts) -> None:
    """Check that a person may let late hosts be offered again.

    Raises:
        IllegalTransitionError: they are not paused (caller's fault).
    """
    if late.stopped not in RESUMABLE:
        raise IllegalTransitionError(RolloutState.COMPLETED, RolloutTrigger.RESUME)


def cancel(late: LateHosts) -> bool:
    """Tell whether a person's cancel changes anything: a second one is no error.

    Raises:
        IllegalTransitionError: there is nothing to cancel (caller's fault).
    """
    if late.stopped is Code.CANCELLED_BY:
        return False
    if late.stoppable <= 0:
        raise IllegalTransitionError(RolloutState.COMPLETED, RolloutTrigger.CANCEL)
    return True
