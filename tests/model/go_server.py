"""The server of the Go model: one host's place in one rollout, each step one transaction. Verdicts are the real rules.

What is written around them here (which trigger a decision pulls, when ``none`` is desired) is what the engine does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from fleetroll_server.domain import assignments, charges, generations, go, promote
from fleetroll_server.domain.deadlines import GRANTED_SECONDS, expiry
from fleetroll_server.domain.states import (
    ATTEMPT_TRANSITIONS,
    BEFORE_GO,
    FINAL,
    AttemptState,
    RolloutState,
    Trigger,
    transition,
)

if TYPE_CHECKING:
    from fleetroll_agent.jobs.summary import AttemptFact
    from fleetroll_common.values.codes import Code

UNIT_SECONDS = 30
"""One unit of the model's time: a Go lives for two, a granted host without a session for three."""
LOST_UNITS = int(GRANTED_SECONDS // UNIT_SECONDS)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
VERSION, SHA = "1.1.0", "b" * 64
MAX_GENERATION = 3
"""At most two offers and one ``none``, or the other way round."""


class Desired(NamedTuple):
    """The assignment: ``version`` empty = none. ``recall`` asks for the way back."""

    generation: int
    version: str
    recall: bool = False


NOTHING = Desired(0, "")


class Ask(NamedTuple):
    """RequestGo, and the session in which it was sent."""

    session: int
    generation: int
    number: int


class Answer(NamedTuple):
    """Go, or a refusal."""

    session: int
    generation: int
    number: int
    granted: bool


@dataclass(frozen=True)
class Row:
    """What the server's database holds.

    Attributes:
        state: of the host in the rollout.
        generation: of its attempt; 0 before the first offer.
        attempted: it got Go.
        session: in which it asked last; ``last_ask`` counts within it.
        desired: the assignment.
        rollout: its state.
        killed: the kill switch is pressed.
        over: not_after has passed.
        epoch: of the newest session.
        live: the server believes that it is open.
        offline: units since a GRANTED host's session ended.
    """

    state: AttemptState = AttemptState.PENDING
    generation: int = 0
    attempted: bool = False
    session: int = 0
    last_ask: int = 0
    desired: Desired = NOTHING
    rollout: RolloutState = RolloutState.RUNNING
    killed: bool = False
    over: bool = False
    epoch: int = 0
    live: bool = False
    offline: int = 0

    @property
    def stopped(self) -> bool:
        """Tell whether nobody may be let past Go."""
        return self.rollout is not RolloutState.RUNNING or self.killed or self.over

    @property
    def held(self) -> charges.Holding:
        """What the attempt holds of the blast radius."""
        return charges.holding(self.state, attempted=self.attempted)


Sent = tuple[Row, tuple[NamedTuple, ...]]
"""A row, and the messages that leave after its commit."""


def move(row: Row, trigger: Trigger) -> Row:
    """Move the attempt by the real table."""
    state = transition(ATTEMPT_TRANSITIONS, row.state, trigger)
    attempted = row.attempted or trigger in {Trigger.GRANT, Trigger.APPLY, Trigger.TRY}
    if trigger in {Trigger.STAGE, Trigger.DOWNLOAD, Trigger.OFFER}:
        attempted = False
    return replace(row, state=state, attempted=attempted, offline=0)


def desire(row: Row, version: str, *, recall: bool = False) -> Sent:
    """Write the next assignment."""
    desired = Desired(generations.next_generation(row.desired.generation, 0), version, recall)
    return replace(row, desired=desired), (desired,)


def offer(row: Row) -> Sent:
    """Offer to the pending host."""
    row, sent = desire(row, VERSION)
    row = replace(move(row, Trigger.OFFER), generation=row.desired.generation, attempted=False, session=0, last_ask=0)
    return row, sent


def ask(row: Row, asked: Ask, *, room: bool) -> Sent:
    """Answer one ask. ``room``: the budgets have a place."""
    if not row.live or asked.session != row.epoch:
        return row, ()
    refused = Answer(asked.session, asked.generation, asked.number, granted=False)
    if asked.generation != row.generation or (row.session == row.epoch and asked.number <= row.last_ask):
        return row, (refused,)
    if row.state in go.ASKABLE and row.state is not AttemptState.STAGED:
        row = move(row, Trigger.STAGE)
    facts = go.GoFacts(
        state=row.state,
        rollout=row.rollout,
        suspended=row.killed,
        quarantined=False,
        revoked=False,
        listed=True,
        digest_matches=True,
        not_after=NOW - timedelta(seconds=1) if row.over else NOW + timedelta(seconds=1),
        limits_readable=True,
    )
    if go.judge_go(facts, NOW) is not None or not room:
        noted = replace(row, session=asked.session, last_ask=asked.number) if row.state in BEFORE_GO else row
        return noted, (refused,)
    granted = replace(move(row, Trigger.GRANT), session=asked.session, last_ask=asked.number)
    return granted, (refused._replace(granted=True),)


def hello(row: Row, facts: tuple[AttemptFact, ...], highest: int, *, on_trial: bool) -> Sent:
    """Take a hello in: a new session, the attempt as the host shows it, and what it has not taken yet."""
    row = replace(row, epoch=row.epoch + 1, live=True, offline=0)
    shown = [fact for fact in facts if fact.generation == row.generation]
    for fact in shown:
        verdict = assignments.judge_hello(row.state, AttemptState(fact.said.value.lower()), code=fact.code)
        if isinstance(verdict, assignments.Step):
            row = move(row, verdict.trigger)
            break
    else:
        trigger = assignments.judge_unheard(row.state) if row.generation > highest else None
        row = move(row, trigger) if trigger is not None else row
    row, sent = promotion(row, on_trial=on_trial)
    if row.desired.generation > highest and (not row.desired.version or not row.stopped):
        sent = (*sent, row.desired)
    return row, sent


class Promote(NamedTuple):
    """The permit to keep the version of this generation."""

    generation: int


def promotion(row: Row, *, on_trial: bool) -> Sent:
    """Promote what runs on trial, when it is due."""
    facts = promote.TrialFacts(
        state=row.state,
        recalled=row.desired.recall and row.desired.generation > row.generation,
        wanted_version=VERSION,
        wanted_sha256=SHA,
        running_version=VERSION if on_trial else "1.0.0",
        calls_itself=VERSION if on_trial else "1.0.0",
        running_sha256=SHA if on_trial else "a" * 64,
        on_trial=on_trial,
    )
    if not promote.may_promote(facts):
        return row, ()
    return move(row, Trigger.PROMOTE), (Promote(row.generation),)


def report(row: Row, generation: int, said: str, code: Code | None) -> Row:
    """Take one journaled report in."""
    if generation != row.generation:
        return row
    verdict = assignments.judge_report(row.state, AttemptState(said.lower()), code=code)
    return move(row, verdict.trigger) if isinstance(verdict, assignments.Step) else row


def cancel(row: Row) -> Sent:
    """End the rollout: before Go at once, after it by the host's word; ``none`` in the same transaction."""
    row = replace(row, rollout=RolloutState.CANCELLED)
    if row.state in BEFORE_GO:
        row = move(row, Trigger.CANCEL)
    return desire(row, "") if row.generation and row.state not in FINAL - {AttemptState.CANCELLED} else (row, ())


def expire(row: Row) -> Sent:
    """End what waits for Go although its time is over."""
    return desire(move(row, Trigger.EXPIRE), "") if row.generation else (move(row, Trigger.EXPIRE), ())


def overdue(row: Row) -> Sent | None:
    """Let the deadline of the state speak, where one may have passed."""
    rule = expiry(row.state)
    if rule is None or (row.state is AttemptState.GRANTED and row.offline < LOST_UNITS):
        return None
    if row.state in {AttemptState.OFFERED, AttemptState.DOWNLOADING} and not row.live:
        return None
    row = move(row, rule.trigger)
    return desire(row, "") if rule.trigger is Trigger.FAIL else (row, ())


def left(row: Row) -> Row:
    """The server notices that the session is over."""
    row = replace(row, live=False)
    return move(row, Trigger.WITHDRAW) if row.state is AttemptState.OFFERED else row
