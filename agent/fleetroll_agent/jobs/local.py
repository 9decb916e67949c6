"""What a person on this host starts: updates, ways back, holds. Root is the authority here, and needs no permit.

1. One attempt at a time: what runs is not interrupted, whoever started it. A server's assignment that comes meanwhile
   waits for the end.
2. The kill switch, the update interval and the windows bind the server's wishes, not a person's. What agent.toml itself
   refuses (channels, pins) and what is not signed is refused to everybody.
3. An update, a way back and a hold let the server's assignments wait, until they are lifted or their time is over. An
   update that did not come about leaves no hold.

What the host starts by itself comes this way too; :mod:`.by_itself` says what it may not.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fleetroll_agent.jobs import by_itself
from fleetroll_agent.jobs.behind import say_waiting
from fleetroll_agent.jobs.effects import ReleaseLock
from fleetroll_agent.jobs.failures import forget
from fleetroll_agent.jobs.looking import use_permit
from fleetroll_agent.jobs.overrides import Override, OverrideKind
from fleetroll_agent.jobs.state import Result, State, accept, end_attempt, is_staged, say_stage, stop_work
from fleetroll_agent.jobs.values import Attempt, Moment, Said, Stage
from fleetroll_common.values.codes import Code

if TYPE_CHECKING:
    from fleetroll_agent.jobs.events import CancelledLocally, HoldEnded, HoldSet, LockGiven, StartedLocally


def why_not(state: State) -> str:
    """Return why nothing can be started here now, in words; empty when something can."""
    attempt = state.record.attempt
    if attempt is None or not (attempt.local or attempt.past_go):
        return ""
    number = f"local {attempt.local}" if attempt.local else f"generation {attempt.generation}"
    return f"an update to {attempt.version} is going on here ({number}, {attempt.stage.value})"


def on_started_locally(state: State, event: StartedLocally, moment: Moment) -> Result:
    """Take what a person asks for as the running attempt; refused while another one runs.

    What the server has assigned and nobody has begun gives way, and goes on behind it.
    """
    if why_not(state) or (event.automatic and by_itself.why_not(state, moment)):
        return state, ()
    before = state.record.attempt
    state, effects = _gives_way(state)
    number = state.record.locals + 1
    attempt = Attempt(
        0,
        event.version,
        event.soak_seconds,
        event.lease_seconds,
        retry_bad=event.retry_bad,
        local=number,
        by_hand=event.by_hand,
        automatic=event.automatic,
        source=event.source,
        sha256=event.sha256,
        backup_id=event.backup_id,
        actor=event.actor,
        reason=event.reason,
        hold_seconds=0.0 if event.automatic else event.hold_seconds,
        ticket=event.ticket,
    )
    failures = state.record.failures if event.automatic else forget(state.record.failures, event.version)
    state = replace(state, record=replace(state.record, locals=number, failures=failures))
    if not event.sha256:
        state, more = accept(state, moment, attempt)
        state = replace(state, alone_until=moment.boot_seconds + state.rules.alone)
        return _behind(state, before, moment), (*effects, *more)
    # What it needs is on this disk: nothing is to be found or fetched.
    state, more = accept(state, moment, replace(attempt, stage=Stage.STAGED))
    state = replace(state, retry_at=None, ask_at=moment.boot_seconds)
    return _behind(state, before, moment), (*effects, *more)


def on_cancelled_locally(state: State, _event: CancelledLocally, moment: Moment) -> Result:
    """End what a person has started, while that is free."""
    attempt = state.record.attempt
    if attempt is None or not attempt.local or attempt.past_go:
        return state, ()
    return end_attempt(state, moment, Said.CANCELLED, code=Code.CANCELLED_BY, message="cancelled on this host")


def give_up_if_alone(state: State, moment: Moment) -> Result:
    """End a person's attempt that needs a server, when none comes: a person waits for an answer."""
    if not is_alone(state) or state.alone_until is None or moment.boot_seconds < state.alone_until:
        return state, ()
    text = "no server could be reached; nothing was changed"
    return end_attempt(state, moment, Said.FAILED, code=Code.UNAVAILABLE, message=text, unproven=True)


def is_alone(state: State) -> bool:
    """Tell whether a person's attempt waits for a server."""
    attempt = state.record.attempt
    if attempt is None or not attempt.local or attempt.past_go or attempt.source or is_staged(attempt):
        return False
    return not state.session and state.job is None


def on_hold_set(state: State, event: HoldSet, moment: Moment) -> Result:
    """Let the server's assignments wait."""
    override = Override(
        OverrideKind.HOLD, event.actor, state.record.highest, event.until, event.reason, moment.wall_seconds
    )
    state = replace(state, record=replace(state.record, override=override))
    attempt = state.record.attempt
    if attempt is None or not is_staged(attempt) or attempt.local:
        return state, ()
    # A Go that is on its way answers an ask that does not stand any more.
    return replace(state, note=None, ask=None, ask_at=moment.boot_seconds), (ReleaseLock(),)


def on_hold_ended(state: State, _event: HoldEnded, moment: Moment) -> Result:
    """Let them come again."""
    state = replace(state, record=replace(state.record, override=None))
    return _look_again(state, moment), ()


def on_lock_given(state: State, event: LockGiven, moment: Moment) -> Result:
    """Begin: the lock is what a person's attempt waits for."""
    attempt, ask = state.record.attempt, state.ask
    if attempt is None or not attempt.local or not is_staged(attempt) or state.leaving:
        return state, ()
    if ask is None or ask.number != event.ask:
        return state, ()
    return use_permit(state, moment)


def _gives_way(state: State) -> Result:
    """Put what the server has assigned, and nobody has begun, behind what a person wants."""
    attempt = state.record.attempt
    if attempt is None:
        return state, ()
    state, effects = stop_work(state)
    again = replace(attempt, stage=Stage.ACCEPTED, sha256="", about=None, tries=0)
    return replace(state, record=replace(state.record, attempt=None, waiting=again)), effects


def _behind(state: State, before: Attempt | None, moment: Moment) -> State:
    """Let the server know that its assignment waits now, and for how long at a time."""
    waiting = state.record.waiting
    return state if before is None or waiting is None else say_waiting(state, moment, waiting)


def _look_again(state: State, moment: Moment) -> State:
    """Judge a waiting attempt anew, and let it say why it waits now."""
    attempt = state.record.attempt
    if attempt is None or not is_staged(attempt) or attempt.local or state.ask is not None:
        return state
    had_note, state = state.note is not None, replace(state, note=None, ask_at=moment.boot_seconds)
    return say_stage(state, moment) if had_note else state


def staged_again(state: State, moment: Moment) -> State:
    """Let a staged local attempt that an earlier process left ask for the lock."""
    attempt = state.record.attempt
    if attempt is None or not attempt.local or attempt.stage is not Stage.STAGED:
        return state
    return replace(state, ask_at=moment.boot_seconds)
