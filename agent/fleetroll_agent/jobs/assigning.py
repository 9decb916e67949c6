"""Assignments and the kill switch: what starts an attempt, and what ends one before Go."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fleetroll_agent.jobs.behind import say_taken, say_waiting
from fleetroll_agent.jobs.by_itself import is_persons
from fleetroll_agent.jobs.state import (
    Result,
    State,
    accept,
    add_outcome,
    end_attempt,
    is_before_go,
    join,
    running_attempt,
    say,
    say_stage,
    with_attempt,
    with_suspended,
)
from fleetroll_agent.jobs.values import MAX_UNHELD, Attempt, Moment, Outcome, Said, Stop
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.generations import MAX_JUMP
from fleetroll_common.values.version import Version

if TYPE_CHECKING:
    from fleetroll_agent.jobs.effects import Effects
    from fleetroll_agent.jobs.events import Acked, Assigned, Suspended
    from fleetroll_agent.jobs.values import ProductRecord


def on_assigned(state: State, event: Assigned, moment: Moment) -> Result:
    """Take a generation above the highest, once; say again what became of the highest; pass over lower ones.

    What :func:`why_refused` refuses changes nothing, is not written down, and gets no answer.
    """
    record = state.record
    if event.generation < record.highest:
        return state, ()
    if event.generation == record.highest:
        return _say_again(state, moment), ()
    if why_refused(record, event):
        return state, ()
    state = replace(state, record=replace(record, highest=event.generation))
    fresh = _attempt(event) if event.version else None
    attempt = record.attempt
    if attempt is not None and (attempt.past_go or attempt.local):
        return _let_wait(state, event, fresh, moment)
    code = Code.SUPERSEDED if event.version else Code.CANCELLED_BY
    effects: Effects = ()
    if attempt is not None:
        state, effects = end_attempt(state, moment, Said.CANCELLED, code=code, message=_ended_by(event))
    if fresh is None:
        return state, effects
    state, more = accept(state, moment, fresh)
    if state.record.attempt is None:
        return state, (*effects, *more)
    if state.suspended:
        return join((*effects, *more), _killed(state, moment))
    return state, (*effects, *more)


def why_refused(record: ProductRecord, event: Assigned) -> str:
    """Return why no host takes an assignment, in words; empty when it may be taken, or is no newer than the highest."""
    if event.generation <= record.highest:
        return ""
    if event.generation > record.highest + MAX_JUMP:
        return f"its generation is more than {MAX_JUMP} above the highest one here, {record.highest}"
    unheld = sum(not known.local and known.acked_at is None for known in record.outcomes)
    if event.version and unheld >= MAX_UNHELD:
        return f"the server has not acknowledged {unheld} results of this host: it holds no more"
    try:
        if event.version:
            Version.parse(event.version)
    except RequestError as error:
        return error.message
    return ""


def on_suspended(state: State, event: Suspended, moment: Moment) -> Result:
    """Note the switch. Pressed: before Go the attempt ends, verified bytes stay; after Go it goes back if it still can.

    Lifting starts nothing.
    """
    if not event.active:
        return with_suspended(state, state.suspended - {event.scope}), ()
    return suspend(with_suspended(state, state.suspended | {event.scope}), moment)


def suspend(state: State, moment: Moment) -> Result:
    """Let a pressed switch take effect on whatever is going on."""
    attempt, waiting = state.record.attempt, state.record.waiting
    if waiting is not None:
        state = _end_waiting(state, moment, waiting, Code.KILLED, "the kill switch was pressed")
    if attempt is None or is_persons(attempt):
        return state, ()
    if is_before_go(attempt):
        return _killed(state, moment)
    return ask_to_stop(state, Stop.BEFORE_SWITCH, Code.KILLED), ()


def ask_to_stop(state: State, stop: Stop, code: Code) -> State:
    """Write down that the attempt past Go shall go back; a recall outranks a stop before the switch."""
    attempt = running_attempt(state)
    if stop is Stop.BEFORE_SWITCH and (state.course.is_switched(attempt) or attempt.stop is not Stop.NOTHING):
        return state
    return with_attempt(state, stop=stop, stop_code=code)


def on_acked(state: State, event: Acked, moment: Moment) -> Result:
    """Note when the server acknowledged an outcome: from then on it is kept for its time."""
    if not any(known.acked_at is None and known.number <= event.number for known in state.record.outcomes):
        return state, ()
    outcomes = tuple(
        replace(known, acked_at=moment.wall_seconds)
        if known.acked_at is None and known.number <= event.number
        else known
        for known in state.record.outcomes
    )
    return replace(state, record=replace(state.record, outcomes=outcomes)), ()


def _let_wait(state: State, event: Assigned, fresh: Attempt | None, moment: Moment) -> Result:
    """Keep a newer generation until the attempt past Go has ended; a recall brings that end about."""
    waiting = state.record.waiting
    if waiting is not None:
        state = _end_waiting(state, moment, waiting, Code.SUPERSEDED, _ended_by(event))
    if fresh is not None and state.suspended:
        outcome = Outcome(0, fresh.generation, fresh.version, Said.CANCELLED, code=Code.KILLED, message=_KILLED)
        state = add_outcome(state, moment, outcome)
    elif fresh is not None:
        state = replace(state, record=replace(state.record, waiting=fresh))
        state = say_taken(state, moment, fresh)
    if running_attempt(state).local:
        return state, ()
    if event.recall:
        return state.course.way_back(ask_to_stop(state, Stop.RECALL, Code.RECALLED), moment)
    if event.stop_before_switch:
        return ask_to_stop(state, Stop.BEFORE_SWITCH, Code.CANCELLED_BY), ()
    return state, ()


def _killed(state: State, moment: Moment) -> Result:
    return end_attempt(state, moment, Said.CANCELLED, code=Code.KILLED, message=_KILLED)


def _end_waiting(state: State, moment: Moment, waiting: Attempt, code: Code, message: str) -> State:
    state = replace(state, record=replace(state.record, waiting=None))
    return add_outcome(
        state, moment, Outcome(0, waiting.generation, waiting.version, Said.CANCELLED, code=code, message=message)
    )


def _say_again(state: State, moment: Moment) -> State:
    """Report the state of the highest generation once more; a generation that desired nothing has none."""
    record = state.record
    if record.attempt is not None and record.attempt.generation == record.highest:
        return say_stage(state, moment, code=state.note)
    if record.waiting is not None and record.waiting.generation == record.highest:
        return say_waiting(state, moment, record.waiting)
    known = record.outcome(record.highest)
    if known is None:
        return state
    facts = ("sha256", "code", "message", "running_version", "unproven", "committed_locally")
    return say(state, moment, known.generation, known.said, **{name: getattr(known, name) for name in facts})


def _attempt(event: Assigned) -> Attempt:
    return Attempt(
        event.generation,
        event.version,
        event.soak_seconds,
        event.lease_seconds,
        event.retry_bad,
        excused=event.excused,
        max_attempts=event.max_attempts,
        automatic=event.automatic,
        override_local=event.override_local,
    )


def _ended_by(event: Assigned) -> str:
    if event.version:
        return f"generation {event.generation} asks for {event.version} instead"
    return f"generation {event.generation} asks for nothing"


_KILLED = "the kill switch was pressed before the permit to apply was used"
