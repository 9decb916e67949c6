"""What a host's word does to its attempt: reports, which may be old, and hellos, which are the truth of now."""

from __future__ import annotations

from dataclasses import dataclass

from fleetroll_common.values.codes import Code
from fleetroll_server.domain.states import (
    ATTEMPT_TRANSITIONS,
    BEFORE_GO,
    FINAL,
    PAST_GO,
    AttemptState,
    Trigger,
)

_REPORTED = {
    AttemptState.OFFERED: Trigger.DOWNLOAD,
    AttemptState.DOWNLOADING: Trigger.DOWNLOAD,
    AttemptState.STAGED: Trigger.STAGE,
    AttemptState.APPLYING: Trigger.APPLY,
    AttemptState.TRIAL: Trigger.TRY,
    AttemptState.SOAKING: Trigger.SOAK,
    AttemptState.SUCCEEDED: Trigger.COMMIT,
    AttemptState.FAILED: Trigger.FAIL,
    AttemptState.ROLLED_BACK: Trigger.ROLL_BACK,
    AttemptState.ROLLBACK_FAILED: Trigger.ROLL_BACK_FAIL,
    AttemptState.CANCELLED: Trigger.END_BY_HOST,
    AttemptState.SKIPPED: Trigger.SKIP,
}
"""What hosts say; "offered" stands for: taken. The other states are the server's alone."""

_RANK = {
    AttemptState.PENDING: 0,
    AttemptState.OFFERED: 1,
    AttemptState.DOWNLOADING: 2,
    AttemptState.STAGED: 3,
    AttemptState.GRANTED: 4,
    AttemptState.APPLYING: 5,
    AttemptState.TRIAL: 6,
    AttemptState.SOAKING: 6,
    AttemptState.PROMOTED: 7,
}
_LOST_RANK = 4
"""A lost attempt had Go at least."""


_ENDED_PAST_ALL = frozenset({AttemptState.SUCCEEDED, AttemptState.ROLLED_BACK, AttemptState.FAILED})
"""After these everything that a host says of the attempt is of an earlier step."""
_ENDED_BY_SERVER = frozenset({AttemptState.CANCELLED, AttemptState.SKIPPED, AttemptState.EXPIRED})
"""Ends that may cross with the host's own end before Go on their way."""


@dataclass(frozen=True, slots=True)
class Step:
    """The report moves the attempt."""

    trigger: Trigger
    late: bool = False
    uncharged: bool = False
    """The host is past Go without a grant: charge it, above the limit too, and tell somebody."""


@dataclass(frozen=True, slots=True)
class History:
    """The report is of an earlier step: stored and acknowledged, moves nothing."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """The report can't be: stored with this code and acknowledged."""

    code: Code


Judgement = Step | History | Rejected


def judge_report(state: AttemptState, reported: AttemptState, *, code: Code | None, is_open: bool = True) -> Judgement:
    """Return what a journaled report does to the current attempt in ``state``.

    A report may be old: STAGED after a Go is history, never a proof that the Go is unused.

    Args:
        state: of the attempt.
        reported: what the report says.
        code: why, as the report says.
        is_open: the rollout has not ended: what the kill switch stopped goes back into its queue.
    """
    trigger = _REPORTED.get(reported)
    if trigger is None:
        return Rejected(Code.REPORT_ILLEGAL)
    if state in FINAL:
        return _after_the_end(state, reported)
    if reported not in FINAL and _RANK[reported] < _rank(state):
        return History()
    return _step(state, _killed(trigger, code, is_open=is_open))


def judge_hello(state: AttemptState, shown: AttemptState, *, code: Code | None, is_open: bool = True) -> Judgement:
    """Return what an attempt shown in the hello of the current session does.

    It is the truth of now: STAGED proves that every earlier Go is unused and dead. The arguments are those of
    :func:`judge_report`.
    """
    trigger = _REPORTED.get(shown)
    if trigger is None:
        return Rejected(Code.REPORT_ILLEGAL)
    if state in FINAL:
        return _after_the_end(state, shown)
    if shown is AttemptState.OFFERED:
        trigger = Trigger.DOWNLOAD
    if shown in BEFORE_GO and state not in BEFORE_GO | {AttemptState.GRANTED, AttemptState.LOST}:
        return Rejected(Code.REPORT_ILLEGAL)
    return _step(state, _killed(trigger, code, is_open=is_open))


def judge_unheard(state: AttemptState, *, quarantined: bool = False) -> Trigger | None:
    """Return what becomes of an attempt of which the host knows nothing: its hello has taken no such generation.

    Before Go it is offered again. From Go on the host must have known it once: its state folder was lost, or another
    machine took its place, perhaps since this very attempt broke it. Nobody will ever say what came of it, and that a
    Go is unused is proved by the word STAGED alone, so it failed.

    Args:
        state: of the attempt.
        quarantined: the host may be a copy with an older memory: its silence ends nothing that runs elsewhere.
    """
    if state in PAST_GO:
        return None if quarantined else Trigger.FAIL
    return Trigger.OFFER if state in {AttemptState.DOWNLOADING, AttemptState.STAGED} else None


def _rank(state: AttemptState) -> int:
    """Return how far an attempt got."""
    return _LOST_RANK if state is AttemptState.LOST else _RANK[state]


def _killed(trigger: Trigger, code: Code | None, *, is_open: bool) -> Trigger:
    """The kill switch ends attempts, not plans: the host goes back into the queue of its rollout while that is open."""
    requeued = trigger is Trigger.END_BY_HOST and code is Code.KILLED and is_open
    return Trigger.REQUEUE if requeued else trigger


def _step(state: AttemptState, trigger: Trigger) -> Judgement:
    """Return the step where the machine has one."""
    if trigger not in ATTEMPT_TRANSITIONS[state]:
        return Rejected(Code.REPORT_ILLEGAL)
    return Step(trigger, uncharged=state in BEFORE_GO and trigger in {Trigger.APPLY, Trigger.TRY, Trigger.SOAK})


def _after_the_end(state: AttemptState, reported: AttemptState) -> Judgement:
    """A result stands. Only a kept version that went back afterwards changes it."""
    if state is AttemptState.SUCCEEDED and reported is AttemptState.ROLLED_BACK:
        return Step(Trigger.ROLL_BACK, late=True)
    if reported in BEFORE_GO or reported is state or state in _ENDED_PAST_ALL:
        return History()
    if state in _ENDED_BY_SERVER and reported in {AttemptState.CANCELLED, AttemptState.FAILED, AttemptState.SKIPPED}:
        return History()
    if state is AttemptState.ROLLBACK_FAILED and reported not in FINAL:
        return History()
    return Rejected(Code.REPORT_ILLEGAL)
