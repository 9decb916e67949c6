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
from fleetroll_server.domain.checks import CheckState, stale, unsaid, with_checks
from fleetroll_server.domain.gates import CohortCounters, Counters, GateResult, Verdict, verdict
from fleetroll_server.domain.late import LateHosts, OfferLate, StopLate, next_late
from fleetroll_server.domain.limits import RolloutLimits, Unreadable
from fleetroll_server.domain.states import RolloutState, WaveState

if TYPE_CHECKING:
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
        limits: in force, or why they can't be read: then nothing spreads, and what stops a rollout still works.
        wave: the first wave that has not passed; nothing when all have.
        not_after: when waiting for Go ends.
        late_bad: hosts of passed waves that went bad after that, and that no person forgave: they hold the budget, so
            the gate of the current wave counts them. No passed wave is reopened by them.
        returning_until: hosts that left may be on their way back until then, so no wave passes without those that wait;
            nothing once who waits has been away for the offline limit.
        late: the hosts of a completed rollout; nothing in any other state.
        checks: what the world outside says: the gate goes by them too.
        wave_approval: the person who opens a wave must be another one than who started the rollout.
        goes_back: it takes hosts back. What ran there before is proved: a wave whose hosts are all back by themselves
            passes, until not_after.
    """

    state: RolloutState
    manual_advance: bool
    limits: RolloutLimits | Unreadable
    wave: WaveSummary | None
    not_after: datetime
    late_bad: int = 0
    returning_until: datetime | None = None
    late: LateHosts | None = None
    checks: tuple[CheckState, ...] = ()
    wave_approval: bool = False
    goes_back: bool = False


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
class Halt:
    """The rollout can't go on at all; no wave is judged by it."""

    code: Code
    reason: str


@dataclass(frozen=True, slots=True)
class PauseForPerson:
    """The gate can't tell: a person decides."""

    wave: int
    evidence: str


@dataclass(frozen=True, slots=True)
class Complete:
    """Every wave passed."""


Action = (
    AwaitPerson
    | OpenWave
    | OfferHosts
    | ExpireHosts
    | StartBake
    | PassWave
    | FailWave
    | Halt
    | PauseForPerson
    | Complete
    | OfferLate
    | StopLate
)


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
        return _does_not_run(summary, now)
    wave = summary.wave
    if wave is None:
        return Decision((Complete(),))
    limits = summary.limits
    if isinstance(limits, Unreadable):
        reason = f"its stored limits can't be read: {limits.reason}; cancel it"
        return Decision((Halt(Code.THRESHOLD_MISSING, reason),))
    if wave.state is WaveState.PENDING:
        if summary.manual_advance and wave.number > 1:
            return Decision((AwaitPerson(wave.number),))
        return Decision((OpenWave(wave.number),))
    if wave.state is WaveState.AWAITING_APPROVAL:
        if isinstance(event, Advanced):
            return Decision((OpenWave(wave.number),))
        who = "a second person to approve" if summary.wave_approval else "a person to advance it to"
        return Decision(waits_for=f"{who} wave {wave.number}")
    return _judge(summary, limits, wave, now)


def gate(summary: Summary) -> GateResult | None:
    """Return the gate of the current wave, hosts and checks; nothing before it opened, or without limits."""
    hosts = _hosts_gate(summary)
    if hosts is None or summary.wave is None:
        return None
    return with_checks(hosts, summary.checks, summary.wave.moved_at)


def _hosts_gate(summary: Summary) -> GateResult | None:
    """Return what the hosts of the current wave say against its limits."""
    if isinstance(summary.limits, Unreadable):
        return None
    if summary.wave is None or summary.wave.state in {WaveState.PENDING, WaveState.AWAITING_APPROVAL}:
        return None
    counters = summary.wave.counters
    found = counters.unforgiven_cohorts().items()
    cohorts = [CohortCounters(label, tried, bad) for label, (tried, bad) in found if bad > 0]
    result = verdict(_unforgiven(summary, counters), cohorts, summary.limits)
    if not summary.late_bad:
        return result
    return replace(result, evidence=f"{result.evidence} (with {summary.late_bad} of waves that had passed)")


def _judge(summary: Summary, limits: RolloutLimits, wave: WaveSummary, now: datetime) -> Decision:
    """Go by the gate of an open or baking wave.

    A host that was away may come back while its wave bakes: then the gate is open again, and no bake passes the wave.
    """
    result = gate(summary)
    assert result is not None  # noqa: S101 (the wave is open)
    if result.verdict is Verdict.FAIL:
        return Decision((FailWave(wave.number, result.code or Code.WAVE_NOT_PASSED, result.evidence),))
    is_back = summary.goes_back and now < summary.not_after and not wave.counters.unforgiven_bad
    if result.verdict is Verdict.INCONCLUSIVE and is_back:
        return Decision((PassWave(wave.number, f"{result.evidence}; all are back"),))
    if result.verdict is Verdict.INCONCLUSIVE:
        return Decision((PauseForPerson(wave.number, result.evidence),))
    if result.verdict is not Verdict.PASS:
        hosts = _hosts_gate(summary) if summary.checks else None
        if hosts is not None and hosts.verdict is Verdict.PASS:
            return Decision(waits_for=f"the checks of wave {wave.number}: {unsaid(summary.checks, wave.moved_at)}")
        return _keep_going(summary, limits, wave, now)
    return _let_pass(summary, limits, wave, result.evidence, now)


def _let_pass(summary: Summary, limits: RolloutLimits, wave: WaveSummary, evidence: str, now: datetime) -> Decision:
    """Watch a wave that its gate lets through for as long as its limits ask, and let it pass on a fresh reading."""
    if wave.state is not WaveState.BAKING and limits.bake_seconds > 0:
        return Decision((StartBake(wave.number),))
    if done(wave.bake, limits):
        if old := stale(summary.checks, now):
            return Decision(waits_for=f"a new reading for wave {wave.number}: {old}")
        return Decision((PassWave(wave.number, evidence),))
    return Decision(waits_for=f"the bake of wave {wave.number}: {wave.bake.seconds:.0f} of {limits.bake_seconds:.0f} s")


def _keep_going(summary: Summary, limits: RolloutLimits, wave: WaveSummary, now: datetime) -> Decision:
    """Offer more, expire, or say what the wave waits for."""
    counters = wave.counters
    if now >= summary.not_after:
        return Decision((ExpireHosts(wave.number),)) if counters.ended < counters.planned else Decision()
    could_move = counters.planned - counters.ended - counters.waiting - counters.shut
    if could_move and wave.moved_at is not None and now - wave.moved_at >= STUCK:
        evidence = f"nothing moved for {STUCK} although {could_move} hosts could"
        return Decision((FailWave(wave.number, Code.WAVE_NOT_PASSED, evidence),))
    absent = f"{_hosts(counters.waiting)} of wave {wave.number}"
    room = min(counters.pending, limits.max_downloading - counters.downloading)
    if room > 0:
        return Decision((OfferHosts(wave.number, room),))
    if not could_move and counters.shut:
        return Decision(waits_for=f"the windows of {_hosts(counters.shut)} of wave {wave.number}")
    if not could_move and summary.returning_until is not None:
        until = f"{summary.returning_until:%H:%M:%S}Z"
        return Decision(waits_for=f"{absent} that may come back until {until}")
    if not could_move and counters.expected:
        return Decision(waits_for=f"the next check-in of {_hosts(counters.expected)} of wave {wave.number}")
    if not could_move:
        return Decision(waits_for=f"{absent} offline or held")
    return Decision(waits_for=f"{_hosts(could_move)} of wave {wave.number}")


def _hosts(number: int) -> str:
    return "1 host" if number == 1 else f"{number} hosts"


def _unforgiven(summary: Summary, counters: WaveCounters) -> Counters:
    """Return the counters without what a person forgave by resuming, and with what went bad behind the wave.

    A host is out of the denominator once it is offline, not while it may be on its way back or is due to check in.
    """
    late_bad = summary.late_bad
    return Counters(
        planned=counters.planned,
        attempted=counters.attempted - counters.forgiven_bad + late_bad,
        bad=counters.bad - counters.forgiven_bad + late_bad,
        ended=counters.ended,
        waiting=0 if summary.returning_until is not None else counters.waiting - counters.expected,
        succeeded=counters.succeeded,
        behind=late_bad,
    )


def _does_not_run(summary: Summary, now: datetime) -> Decision:
    """Go on with the late hosts of a completed rollout, or say what one that does not run waits for."""
    if summary.late is None:
        return Decision(waits_for=_STOPPED.get(summary.state, ""))
    step = next_late(summary.late, summary.limits, summary.not_after, now)
    return Decision((step.action,) if step.action is not None else (), step.waits_for)
