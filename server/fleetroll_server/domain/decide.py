"""What a rollout does next: one small step at a time, from counters alone.

The caller carries the actions out in the transaction of the event and asks again until there are none. :func:`decide`
proposes; only the Go transaction charges a budget.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from fleetroll_common.values.codes import Code
from fleetroll_server.domain.bake import Bake, done
from fleetroll_server.domain.gates import CohortCounters, Counters, GateResult, Verdict, verdict
from fleetroll_server.domain.states import RolloutState, WaveState

if TYPE_CHECKING:
    from fleetroll_server.domain.limits import RolloutLimits
    from fleetroll_server.domain.summary import WaveCounters

STUCK = timedelta(hours=24)
"""A wave in which nothing moved for so long although a host could is halted."""


@dataclass(frozen=True, slots=True)
class WaveSummary:
    """One wave as decisions see it; ``moved_at`` is when a host of it last changed its state."""

    number: int
    state: WaveState
    counters: WaveCounters
    bake: Bake
    moved_at: datetime | None


@dataclass(frozen=True, slots=True)
class Summary:
    """One rollout as decisions see it.

    Attributes:
        state: of the rollout.
        manual_advance: every wave but the first waits for a person.
        limits: in force.
        wave: the first wave that has not passed; nothing when all have.
        not_after: when waiting for Go ends.
        late_bad: hosts of passed waves that went bad after that, and that no person forgave: they hold the budget, so
            the gate of the current wave counts them. No passed wave is reopened by them.
    """

    state: RolloutState
    manual_advance: bool
    limits: RolloutLimits
    wave: WaveSummary | None
    not_after: datetime
    late_bad: int = 0


@dataclass(frozen=True, slots=True)
class Moved:
    """A host moved, or time passed: look again."""


@dataclass(frozen=True, slots=True)
class Advanced:
    """A person opens the wave that waits for one."""


Event = Moved | Advanced


@dataclass(frozen=True, slots=True)
class AwaitPerson:
    """The wave waits for a person."""

    wave: int


@dataclass(frozen=True, slots=True)
class OpenWave:
    """The wave begins."""

    wave: int


@dataclass(frozen=True, slots=True)
class OfferHosts:
    """The next ``count`` pending hosts of the wave get their assignment, in the stored order."""

    wave: int
    count: int


@dataclass(frozen=True, slots=True)
class ExpireHosts:
    """Hosts of the wave that never got Go are out of time."""

    wave: int


@dataclass(frozen=True, slots=True)
class StartBake:
    """All hosts of the wave have ended well: it is watched for a while."""

    wave: int


@dataclass(frozen=True, slots=True)
class PassWave:
    """The gate passed."""

    wave: int
    evidence: str


@dataclass(frozen=True, slots=True)
class FailWave:
    """The gate failed: the rollout halts, the rest stays pending."""

    wave: int
    code: Code
    evidence: str


@dataclass(frozen=True, slots=True)
class PauseForPerson:
    """The gate can't tell: a person decides."""

    wave: int
    evidence: str


@dataclass(frozen=True, slots=True)
class Complete:
    """Every wave passed."""


Action = AwaitPerson | OpenWave | OfferHosts | ExpireHosts | StartBake | PassWave | FailWave | PauseForPerson | Complete


@dataclass(frozen=True, slots=True)
class Decision:
    """Actions to carry out now, in order, or what the rollout waits for, in words."""

    actions: tuple[Action, ...] = ()
    waits_for: str = ""


_STOPPED = {
    RolloutState.DRAFT: "a person to start it",
    RolloutState.AWAITING_APPROVAL: "a second person to approve it",
    RolloutState.SCHEDULED: "its time to start",
    RolloutState.PAUSED: "a person to resume or cancel it",
    RolloutState.HALTED: "a person to resume or cancel it",
    RolloutState.ROLLING_BACK: "the rollout that takes it back",
}
"""What is missing here has ended, and waits for nothing."""


def decide(summary: Summary, event: Event, now: datetime) -> Decision:
    """Return the next step. It reads counters only: its work is the same for 10 hosts and for 100,000."""
    if summary.state is not RolloutState.RUNNING:
        return Decision(waits_for=_stopped(summary.state))
    wave = summary.wave
    if wave is None:
        return Decision((Complete(),))
    if wave.state is WaveState.PENDING:
        if summary.manual_advance and wave.number > 1:
            return Decision((AwaitPerson(wave.number),))
        return Decision((OpenWave(wave.number),))
    if wave.state is WaveState.AWAITING_APPROVAL:
        if isinstance(event, Advanced):
            return Decision((OpenWave(wave.number),))
        return Decision(waits_for=f"a person to advance it to wave {wave.number}")
    return _judge(summary, wave, now)


def gate(summary: Summary) -> GateResult | None:
    """Return the gate of the current wave against its limits; nothing before it opened."""
    if summary.wave is None or summary.wave.state in {WaveState.PENDING, WaveState.AWAITING_APPROVAL}:
        return None
    counters = summary.wave.counters
    cohorts = [CohortCounters(label, tried, bad) for label, (tried, bad) in counters.unforgiven_cohorts().items()]
    result = verdict(_unforgiven(counters, summary.late_bad), cohorts, summary.limits)
    if not summary.late_bad:
        return result
    return replace(result, evidence=f"{result.evidence} (with {summary.late_bad} of waves that had passed)")


def _judge(summary: Summary, wave: WaveSummary, now: datetime) -> Decision:
    """Go by the gate of an open or baking wave.

    A host that was away may come back while its wave bakes: then the gate is open again, and no bake passes the wave.
    """
    result = gate(summary)
    assert result is not None  # noqa: S101 (the wave is open)
    if result.verdict is Verdict.FAIL:
        return Decision((FailWave(wave.number, result.code or Code.WAVE_NOT_PASSED, result.evidence),))
    if result.verdict is Verdict.INCONCLUSIVE:
        return Decision((PauseForPerson(wave.number, result.evidence),))
    if result.verdict is not Verdict.PASS:
        return _keep_going(summary, wave, now)
    if wave.state is not WaveState.BAKING and summary.limits.bake_seconds > 0:
        return Decision((StartBake(wave.number),))
    if done(wave.bake, summary.limits):
        return Decision((PassWave(wave.number, result.evidence),))
    return Decision(
        waits_for=f"the bake of wave {wave.number}: {wave.bake.seconds:.0f} of {summary.limits.bake_seconds:.0f} s"
    )


def _keep_going(summary: Summary, wave: WaveSummary, now: datetime) -> Decision:
    """Offer more, expire, or say what the wave waits for."""
    counters = wave.counters
    if now >= summary.not_after:
        return Decision((ExpireHosts(wave.number),)) if counters.ended < counters.planned else Decision()
    could_move = counters.planned - counters.ended - counters.waiting
    if could_move and wave.moved_at is not None and now - wave.moved_at >= STUCK:
        evidence = f"nothing moved for {STUCK} although {could_move} hosts could"
        return Decision((FailWave(wave.number, Code.WAVE_NOT_PASSED, evidence),))
    room = min(counters.pending, summary.limits.max_downloading - counters.downloading)
    if room > 0:
        return Decision((OfferHosts(wave.number, room),))
    if not could_move:
        return Decision(waits_for=f"{counters.waiting} hosts of wave {wave.number} that are offline or held")
    return Decision(waits_for=f"{could_move} hosts of wave {wave.number}")


def _unforgiven(counters: WaveCounters, late_bad: int) -> Counters:
    """Return the counters without what a person forgave by resuming, and with what went bad behind the wave."""
    return Counters(
        planned=counters.planned,
        attempted=counters.attempted - counters.forgiven_bad + late_bad,
        bad=counters.bad - counters.forgiven_bad + late_bad,
        ended=counters.ended,
        waiting=counters.waiting,
        succeeded=counters.succeeded,
    )


def _stopped(state: RolloutState) -> str:
    """Say what a rollout that does not run waits for; nothing when it has ended."""
    return _STOPPED.get(state, "")
