"""Go: the one permit to change the host. Kept in memory only, used once, void at the least doubt.

A Go is used when it answers the latest ask, in the session in which that ask was made, at most 60 s after the ask was
sent; a newer ask, a hello that is being built, the end of the session and any restart void it. Using it *is* the write
of APPLYING: until that is durable nothing has been done.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fleetroll_agent.jobs.assigning import suspend
from fleetroll_agent.jobs.by_itself import gives_way, is_own
from fleetroll_agent.jobs.effects import AskGo, AskLock, ExtendLease, ReleaseLock
from fleetroll_agent.jobs.looking import use_permit
from fleetroll_agent.jobs.noting import note_skew, note_wait
from fleetroll_agent.jobs.obstacles import OBSTACLES, obstacle
from fleetroll_agent.jobs.staging import look_up_again
from fleetroll_agent.jobs.state import (
    Ask,
    Result,
    State,
    end_attempt,
    is_staged,
    join,
    with_attempt,
    with_suspended,
)
from fleetroll_agent.jobs.values import Moment, Said, Stage
from fleetroll_common.values.codes import Code

if TYPE_CHECKING:
    from fleetroll_agent.jobs.events import (
        AskAgain,
        GoGiven,
        GoRefused,
        HelloBuilt,
        LockBusy,
        ServerBusy,
        SessionClosed,
        SessionOpened,
    )
    from fleetroll_agent.jobs.obstacles import Obstacle

SOONEST_ASK_SECONDS = 1.0
"""After a refusal: a server that names no time, or one in the past, would be asked in a tight loop. The interval bounds
the other side."""

FRESH_SECONDS = 3600.0
"""What the host started by itself, and had staged so long, is looked up again before it begins."""


def on_hello_built(state: State, _event: HelloBuilt, _moment: Moment) -> Result:
    """Void every Go of the older session: the hello says STAGED, and the server frees the charge for that word."""
    return _without_session(state)


def on_session_opened(state: State, event: SessionOpened, moment: Moment) -> Result:
    """Begin to count asks anew, and ask at once. The Welcome's list of pressed switches replaces what was heard."""
    state, effects = _without_session(state)
    state = with_suspended(replace(state, session=event.session, skewed=event.skewed), event.suspended)
    state, more = gives_way(state, moment)
    effects = (*effects, *more)
    if event.suspended:
        return join(effects, suspend(state, moment))
    attempt = state.record.attempt
    if attempt is not None and is_staged(attempt) and not attempt.local:
        state = replace(note_skew(state, moment), ask_at=moment.boot_seconds)
    elif state.note is Code.CLOCK_SKEW and state.retry_at is not None and not event.skewed:
        state = replace(state, retry_at=moment.boot_seconds)
    return state, effects


def on_session_closed(state: State, event: SessionClosed, _moment: Moment) -> Result:
    """Void what the session gave; a late word about an older one changes nothing."""
    return _without_session(state) if event.session == state.session else (state, ())


def ask_if_due(state: State, moment: Moment) -> Result:
    """Ask for Go when it is time. The instant counts from here: before the lock is taken and anything is sent."""
    attempt = state.record.attempt
    allowed = is_staged(attempt) and may_ask(state) and not state.leaving and state.job is None
    if attempt is None or attempt.local or not allowed or state.ask_at is None or moment.boot_seconds < state.ask_at:
        return state, ()
    wait = obstacle(state, moment)
    if wait is not None:
        return _wait(state, moment, wait), ()
    ask = Ask(state.asks + 1, moment.boot_seconds)
    # What is over is told again when it comes back: a window closes each night until another one.
    over = OBSTACLES | {Code.CLOCK_SKEW}
    note = None if state.note in over else state.note
    state = replace(state, asks=ask.number, ask=ask, ask_at=_next_ask(state, moment), note=note)
    return state, (AskGo(state.session, attempt.generation, ask.number, attempt.sha256),)


def ask_lock_if_due(state: State, moment: Moment) -> Result:
    """Ask for the host's lock when a local attempt is staged: no server has a say in it.

    What the host started by itself waits for its window, for a hold and for the interval, as the server's wishes do;
    and when it has waited long, it is looked up once more: no server is there to say what became of it.
    """
    attempt = state.record.attempt
    free = state.ask is None and state.job is None
    due = is_staged(attempt) and free and state.ask_at is not None and moment.boot_seconds >= state.ask_at
    if attempt is None or not attempt.local or not due or state.leaving:
        return state, ()
    wait = obstacle(state, moment) if is_own(attempt) else None
    if wait is not None:
        return _wait(state, moment, wait), ()
    if is_own(attempt) and not _is_fresh(state, moment):
        return look_up_again(state, moment)
    ask = Ask(state.asks + 1, moment.boot_seconds)
    at = moment.boot_seconds + state.rules.ask_interval
    return replace(state, asks=ask.number, ask=ask, ask_at=at), (AskLock(ask.number, by_host=is_own(attempt)),)


def _is_fresh(state: State, moment: Moment) -> bool:
    """Tell whether it was looked up lately; what an earlier process had staged was not."""
    return state.staged_at is not None and moment.boot_seconds - state.staged_at <= FRESH_SECONDS


def may_ask(state: State) -> bool:
    """Tell whether anybody may be asked: a server in an open session, or for a person's attempt this host's lock."""
    attempt = state.record.attempt
    if attempt is not None and attempt.local:
        return True
    return bool(state.session) and not state.skewed and not state.suspended


def on_go(state: State, event: GoGiven, moment: Moment) -> Result:
    """Use Go, if it is the one that was asked for last; else nothing happens."""
    attempt, ask = state.record.attempt, state.ask
    if attempt is None or ask is None or not is_staged(attempt) or state.leaving:
        return state, ()
    if (event.session, event.generation, event.ask) != (state.session, attempt.generation, ask.number):
        return state, ()
    if not 0 <= moment.boot_seconds - ask.sent_at <= state.rules.go or state.suspended:
        return replace(state, ask=None), (ReleaseLock(),)
    return use_permit(state, moment)


def on_no_go(state: State, event: GoRefused, moment: Moment) -> Result:
    """Give the lock back and ask later; an answer to an older ask says nothing.

    Why it was refused is written down: what its server halted is not this host's to take when the server is gone.
    """
    attempt, ask = state.record.attempt, state.ask
    if attempt is None or ask is None or not is_staged(attempt):
        return state, ()
    if (event.session, event.generation, event.ask) != (state.session, attempt.generation, ask.number):
        return state, ()
    at = _next_ask(state, moment)
    if event.retry_after_seconds is not None:
        at = min(at, moment.boot_seconds + max(SOONEST_ASK_SECONDS, event.retry_after_seconds))
    state = with_attempt(replace(state, ask=None, ask_at=at), refused=event.code or Code.INTERNAL)
    return state, (ReleaseLock(),)


def on_ask_again(state: State, event: AskAgain, moment: Moment) -> Result:
    """Ask at once; that ask voids the Go of an older one that may be on its way."""
    attempt = state.record.attempt
    if attempt is None or not is_staged(attempt) or event.session != state.session:
        return state, ()
    if event.generation != attempt.generation:
        return state, ()
    return replace(state, ask_at=moment.boot_seconds), ()


def on_lock_busy(state: State, event: LockBusy, moment: Moment) -> Result:
    """Something else goes first: this ask was never sent; ask later, but let no lock put it off for ever."""
    if state.ask is None or state.ask.number != event.ask:
        return state, ()
    state = replace(state, ask=None, deferrals=state.deferrals + (1 if event.counts else 0))
    if state.deferrals > state.rules.lock_deferrals:
        text = f"put off {state.rules.lock_deferrals} times: {event.message}"
        return end_attempt(state, moment, Said.FAILED, code=Code.LOCKED, message=text, unproven=True)
    text = event.message or "another job of this host holds the lock"
    return join((ReleaseLock(),), (note_wait(state, moment, Code.LOCKED, text), ()))


def on_server_busy(state: State, event: ServerBusy, _moment: Moment) -> Result:
    """Ask the launcher for more time when a trial can't get in because the server says so."""
    attempt = state.record.attempt
    if attempt is None or attempt.stage is not Stage.TRIAL:
        return state, ()
    return state, (ExtendLease(event.seconds),)


def _wait(state: State, moment: Moment, wait: Obstacle) -> State:
    """Report why, once, and look again when it should be over; now and then before that, for clocks are set."""
    seconds = min(max(SOONEST_ASK_SECONDS, wait.until - moment.wall_seconds), state.rules.ask_interval)
    return replace(note_wait(state, moment, wait.code, wait.message, wait.until), ask_at=moment.boot_seconds + seconds)


def _without_session(state: State) -> Result:
    """Forget session and ask; a person's attempt needs no session, and keeps what it asked for."""
    attempt = state.record.attempt
    state = replace(state, session=0)
    if attempt is not None and attempt.local:
        return state, ()
    return without_ask(replace(state, asks=0))


def without_ask(state: State) -> Result:
    """Void what was asked, for a Go or for the host's lock. The lock is given back unless the attempt is past Go."""
    attempt = state.record.attempt
    state = replace(state, ask=None, ask_at=None)
    return state, () if attempt is not None and attempt.past_go else (ReleaseLock(),)


def _next_ask(state: State, moment: Moment) -> float:
    """Return when to ask again: the interval, give or take a fifth, so that hosts do not ask in step."""
    return moment.boot_seconds + state.rules.ask_interval * (0.8 + 0.4 * moment.random01)
