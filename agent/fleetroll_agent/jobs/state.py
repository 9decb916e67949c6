"""The state of one product on the host, and the few changes that every rule is made of."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from fleetroll_agent.jobs.effects import CancelJob, Effects, ReleaseLock, Tidy
from fleetroll_agent.jobs.failures import forget, note
from fleetroll_agent.jobs.overrides import Override, OverrideKind
from fleetroll_agent.jobs.policy import Policy
from fleetroll_agent.jobs.ruling import raised
from fleetroll_agent.jobs.values import (
    KEEP_ACKED_SECONDS,
    MAX_BAD,
    MAX_MESSAGE_CHARS,
    MAX_OUTCOMES,
    MAX_TAIL_CHARS,
    SAID_OF_STAGE,
    Attempt,
    ByHand,
    Moment,
    Outcome,
    ProductRecord,
    Report,
    Said,
    Stage,
)
from fleetroll_common.values.codes import Code

if TYPE_CHECKING:
    from fleetroll_agent.jobs.course import Course
    from fleetroll_agent.launcher.values import Record


@dataclass(frozen=True, slots=True)
class Running:
    """The slot that this process runs from: its version and its artefact's sha256 in hex."""

    version: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Ask:
    """The latest request for Go: its number within the session, and when it was sent (boot seconds)."""

    number: int
    sent_at: float


@dataclass(frozen=True, slots=True)
class Rules:
    """Waiting times in seconds, each > 0; the defaults are the fleet's (names.md). An agent.toml may shorten them.

    Attributes:
        go: how long after *sending* an ask its Go may be used.
        ask_interval: between two asks, give or take a fifth.
        retries: waits after the first, second and every further failed download, give or take a fifth.
        disk_full: wait for space.
        arm: for the launcher's answer.
        staging: what a host allows itself before it knows how much there is to download.
        applying: what the steps between Go and the switch may take.
        max_attempts: tries of the staging, for an assignment that says nothing about them.
        way_back: from the end of a trial to the word of the version before.
        alone: how long a person's attempt waits for a server.
        lock_deferrals: how often the host's own lock may put an attempt off, >= 0.
        fresh: so long ago a release may have been looked up when its change begins; a repeat costs two small files.
    """

    go: float = 60.0
    ask_interval: float = 60.0
    retries: tuple[float, ...] = (30.0, 120.0, 600.0)
    disk_full: float = 120.0
    arm: float = 30.0
    staging: float = 300.0
    applying: float = 600.0
    way_back: float = 60.0
    max_attempts: int = 3
    lock_deferrals: int = 1440
    alone: float = 60.0
    fresh: float = 5.0


@dataclass(frozen=True, slots=True)
class State:
    """Everything the machine knows. Instants are boot seconds; None = none is due.

    Attributes:
        record: what should be durable.
        launcher: the launcher's record as it was told last; None for a product that no launcher starts.
        running: what runs: for the agent this process's own slot.
        course: what the product's kind does behind Go.
        rules: waiting times.
        policy: what agent.toml allows.
        session: epoch of the open session; 0 = none.
        skewed: the clocks of host and server differ too much.
        asks: asks that were made in this session.
        ask: the one ask whose Go may be used; None = any Go is void.
        ask_at: the next ask is due.
        jobs: number of the newest job.
        job: the one that runs; None = none. Answers of any other are late.
        retry_at: the next try of the staging is due.
        staged_at: when this process had staged what the host started by itself; None = it had not, or it is none.
        arm_until: the launcher's answer is due.
        note: why the attempt waits, as it was reported last.
        probe_at: the next look at the health of a managed product is due.
        until: by then the step at hand must have come to its end.
        soak_from: since when the health holds, in monotonic seconds; None = it does not yet.
        held: looks in a row that found it healthy on the way back.
        deferrals: how often the host's own lock put the attempt off.
        alone_until: so long a person's attempt waits for a server.
        leaving: this process ends as soon as it can.
        behind_at: the server is told again that something waits.
        looked_at: when the attempt's release was looked up; None = this process did not.
    """

    record: ProductRecord
    launcher: Record | None
    running: Running
    course: Course
    rules: Rules = field(default_factory=Rules)
    policy: Policy = field(default_factory=Policy)
    session: int = 0
    skewed: bool = False
    asks: int = 0
    ask: Ask | None = None
    ask_at: float | None = None
    jobs: int = 0
    job: int | None = None
    retry_at: float | None = None
    staged_at: float | None = None
    arm_until: float | None = None
    note: Code | None = None
    leaving: bool = False
    probe_at: float | None = None
    until: float | None = None
    soak_from: float | None = None
    held: int = 0
    deferrals: int = 0
    alone_until: float | None = None
    behind_at: float | None = None
    looked_at: float | None = None

    @property
    def suspended(self) -> frozenset[str]:
        """Scopes whose kill switch is pressed, as far as this host heard; what it heard last outlasts a restart."""
        return frozenset(self.record.suspended)


Result = tuple[State, Effects]
"""A state, and what is to be done once its record is durable, in that order."""


def with_attempt(state: State, **changes: Any) -> State:  # noqa: ANN401 (fields of Attempt)
    """Return the state with the running attempt changed; there MUST be one."""
    return replace(state, record=replace(state.record, attempt=replace(running_attempt(state), **changes)))


def with_suspended(state: State, scopes: frozenset[str]) -> State:
    """Return the state with exactly these kill switches pressed."""
    return replace(state, record=replace(state.record, suspended=tuple(sorted(scopes))))


def boot_record(state: State) -> Record:
    """Return the launcher's record; only rules of the product ``agent`` need it, and it has one."""
    if state.launcher is None:
        message = "a rule of the agent was applied to a product that no launcher starts"
        raise AssertionError(message)
    return state.launcher


def running_attempt(state: State) -> Attempt:
    """Return the attempt; a rule that needs one is applied only where there is one."""
    attempt = state.record.attempt
    if attempt is None:
        message = "a rule of attempts was applied without an attempt"
        raise AssertionError(message)
    return attempt


def say(state: State, moment: Moment, generation: int, said: Said, **facts: Any) -> State:  # noqa: ANN401 (fields of Report)
    """Return the state with one more report in the outbox; texts are cut to what the contract takes."""
    for name, limit in (("message", MAX_MESSAGE_CHARS), ("output_tail", MAX_TAIL_CHARS)):
        facts[name] = facts.get(name, "")[-limit:]
    record = state.record
    report = Report(record.reports + 1, moment.wall_seconds, generation, said, **facts)
    return replace(state, record=replace(record, reports=report.number, outbox=(*record.outbox, report)))


def say_stage(state: State, moment: Moment, **facts: Any) -> State:  # noqa: ANN401 (fields of Report)
    """Report where the attempt stands, and how long it still allows itself there."""
    attempt = running_attempt(state)
    facts.setdefault("time_limit_seconds", time_left_seconds(state, moment))
    step = attempt.step.value if attempt.step is not None else ""
    return say(
        state,
        moment,
        attempt.generation,
        SAID_OF_STAGE[attempt.stage],
        step=step,
        sha256=attempt.sha256,
        local=attempt.local,
        **facts,
    )


def time_left_seconds(state: State, moment: Moment) -> float | None:
    """Return how long from now the attempt allows itself where it stands; None = the server's default, or no bound."""
    if running_attempt(state).stage in (Stage.ACCEPTED, Stage.DOWNLOADING):
        return state.rules.staging
    return state.course.time_left(state, moment)


def add_outcome(state: State, moment: Moment, outcome: Outcome, output_tail: str = "") -> State:
    """Report ``outcome`` and keep it; its number and time are set here."""
    facts = {
        name: getattr(outcome, name)
        for name in ("sha256", "code", "message", "running_version", "unproven", "committed_locally", "local")
    }
    state = say(state, moment, outcome.generation, outcome.said, output_tail=output_tail, **facts)
    told = state.record.outbox[-1]
    kept = replace(outcome, number=told.number, message=told.message, ended_at=moment.wall_seconds)
    outcomes = _without_old((*state.record.outcomes, kept), moment)
    return replace(state, record=replace(state.record, outcomes=outcomes))


def end_attempt(state: State, moment: Moment, said: Said, **facts: Any) -> Result:  # noqa: ANN401 (fields of Outcome)
    """End the attempt with a result; the generation that waited begins, in the same write."""
    attempt = running_attempt(state)
    tail = facts.pop("output_tail", "")
    facts |= {"local": attempt.local, "actor": attempt.actor, "ticket": attempt.ticket}
    outcome = Outcome(0, attempt.generation, attempt.version, said, attempt.sha256, **facts)
    state, stop = stop_work(state)
    state = _counted(add_outcome(state, moment, outcome, tail), attempt)
    if said in _DECIDES:
        state = replace(state, record=replace(state.record, broken=said is Said.ROLLBACK_FAILED))
    state = _held(_kept(state, attempt, moment), attempt, said, moment)
    waiting = state.record.waiting
    state = replace(state, record=replace(state.record, attempt=None, waiting=None))
    tidy: Effects = () if said is Said.CANCELLED else (Tidy(),)
    if waiting is None:
        return state, (*stop, *tidy)
    return join((*stop, *tidy), accept(state, moment, waiting))


_DECIDES = frozenset({Said.SUCCEEDED, Said.ROLLED_BACK, Said.ROLLBACK_FAILED})
"""After these it is known again whether the product is whole."""
_KINDS = {ByHand.NOTHING: OverrideKind.UPDATE, ByHand.ROLLBACK: OverrideKind.ROLLBACK}


def _counted(state: State, attempt: Attempt) -> State:
    """Remember what the host started by itself and did not come about; forget a version that was kept."""
    record, outcome = state.record, state.record.outcomes[-1]
    if outcome.said is Said.SUCCEEDED:
        return replace(state, record=replace(record, failures=forget(record.failures, outcome.version)))
    if not (attempt.local and attempt.automatic):
        return state
    return replace(state, record=replace(record, failures=note(record.failures, outcome, state.rules.max_attempts)))


def _kept(state: State, attempt: Attempt, moment: Moment) -> State:
    """Remember since when a version is kept, and the floor that it came with."""
    outcome = state.record.outcomes[-1]
    if outcome.said is not Said.SUCCEEDED or attempt.by_hand is ByHand.RESTORE:
        return state
    record = replace(state.record, committed_at=moment.wall_seconds)
    if attempt.by_hand is ByHand.NOTHING:
        record = raised(record, outcome.running_version)
    return replace(state, record=record)


def _held(state: State, attempt: Attempt, said: Said, moment: Moment) -> State:
    """Let the server's assignments wait after what a person did; what stands longer already is left as it is."""
    kind, until = _KINDS.get(attempt.by_hand), moment.wall_seconds + attempt.hold_seconds
    if not attempt.local or kind is None or attempt.hold_seconds <= 0:
        return state
    if said not in (Said.SUCCEEDED, Said.ROLLBACK_FAILED):
        return state
    standing = state.record.override
    if standing is not None and standing.until >= until:
        return state
    override = Override(kind, attempt.actor, state.record.highest, until, attempt.reason, moment.wall_seconds)
    return replace(state, record=replace(state.record, override=override))


def end_override(state: State, moment: Moment) -> Result:
    """End a person's decision on this host because somebody at the server may; agent.toml can forbid that."""
    override = state.record.override
    if override is None or not override.stands(moment.wall_seconds):
        return state, ()
    if state.policy.override_local:
        return replace(state, record=replace(state.record, override=None)), ()
    text = f"{override.kind.value} by {override.actor}: agent.toml lets only this host end it"
    return end_attempt(state, moment, Said.FAILED, code=Code.OVERRIDE_NOT_ALLOWED, message=text, unproven=True)


def accept(state: State, moment: Moment, attempt: Attempt) -> Result:
    """Take ``attempt`` as the running one; it starts at the next look at the clock, unless the switch is pressed."""
    state = replace(state, record=replace(state.record, attempt=attempt), retry_at=moment.boot_seconds)
    state = say_stage(state, moment)
    return end_override(state, moment) if attempt.override_local else (state, ())


def stop_work(state: State) -> Result:
    """Void a Go that was not used, end the running job, forget the timers of the attempt."""
    cancel: Effects = () if state.job is None else (CancelJob(state.job),)
    state = replace(state, ask=None, ask_at=None, job=None, retry_at=None, arm_until=None, note=None, staged_at=None)
    state = replace(state, probe_at=None, until=None, soak_from=None, held=0, deferrals=0, alone_until=None)
    state = replace(state, looked_at=None)
    return state, (*cancel, ReleaseLock())


def new_job(state: State) -> tuple[State, int]:
    """Return the state with a fresh job, and its number."""
    number = state.jobs + 1
    return replace(state, jobs=number, job=number), number


def remember_bad(state: State, sha256: str) -> State:
    """Remember a digest that failed here."""
    others = tuple(known for known in state.record.bad if known != sha256)
    return replace(state, record=replace(state.record, bad=(*others, sha256)[-MAX_BAD:]))


def join(first: Effects, result: Result) -> Result:
    """Return ``result`` with ``first`` done before its effects."""
    return result[0], (*first, *result[1])


def is_before_go(attempt: Attempt | None) -> bool:
    """Tell whether there is an attempt that can still be stopped for free."""
    return attempt is not None and not attempt.past_go


def is_staged(attempt: Attempt | None) -> bool:
    """Tell whether there is an attempt that waits for Go."""
    return attempt is not None and attempt.stage is Stage.STAGED


def _without_old(outcomes: tuple[Outcome, ...], moment: Moment) -> tuple[Outcome, ...]:
    """Drop what was acknowledged long ago, then above the bound the oldest acknowledged ones, then this host's own."""
    since = moment.wall_seconds - KEEP_ACKED_SECONDS
    kept = [known for known in outcomes if known.acked_at is None or known.acked_at >= since]
    surplus = max(0, len(kept) - MAX_OUTCOMES)
    acked = [known.number for known in kept if known.acked_at is not None]
    own = [known.number for known in kept[:-1] if known.acked_at is None and known.local]
    gone = frozenset((*acked, *own)[:surplus])
    return tuple(known for known in kept if known.number not in gone)
