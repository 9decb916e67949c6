"""The launcher's rules as one pure function: ``step(state, event, moment) -> (state, actions)``.

What holds, whatever comes:

1. There is at most one child; a Spawn is asked for only when there is none.
2. A try is durable before it is used; a trial has ``TRIES`` starts, and at most two more for orderly stops.
3. What was committed stays: only a way back after repeated crashes takes it away, once, to the version before.
4. A trial ends at ``trial_end`` at the latest, whatever restarts happened.
5. Actions are done in their order; those after a Persist only when the record is durable.

Not done here: time, files, processes, randomness. The shell brings them in as events and moments.
"""

from typing import Any, Callable, Dict

from fleetroll_agent.launcher.arming import arm_failed, on_arm, on_excuse, on_promote, on_recall
from fleetroll_agent.launcher.events import (
    Actions,
    Arm,
    Beat,
    ChildExited,
    Event,
    Excuse,
    Exit,
    Extend,
    Goodbye,
    Heard,
    Hello,
    Moment,
    PersistFailed,
    Promote,
    Purpose,
    Recall,
    Send,
    Spawn,
    SpawnFailed,
    Stop,
    Terminate,
    Tick,
)
from fleetroll_agent.launcher.limits import MAX_GIVES, MAX_STOP_SECONDS
from fleetroll_agent.launcher.state import After, Phase, State, Step, end_child, join, persist, tell_record, wait
from fleetroll_agent.launcher.steady import crashed, ended_politely, host_refused, spawn_failed
from fleetroll_agent.launcher.timers import on_tick
from fleetroll_agent.launcher.trial import back, commit_if_due, expire, extend, launch, on_beat, on_exit
from fleetroll_agent.launcher.values import Reason

_MESSAGES = (Beat, Hello, Heard, Arm, Promote, Recall, Extend, Excuse, Goodbye)


def step(state: State, event: Event, moment: Moment) -> Step:
    """Return what follows from ``event``. Late events of a child that is being ended change nothing but its time."""
    if isinstance(event, PersistFailed):
        return _persist_failed(state, event, moment)
    state = state._replace(to_spawn=None)
    if isinstance(event, _MESSAGES):
        if not state.alive:
            return _wait_longer(state, event, moment), ()
        # The instants of lease and trial are strict: a Promote that comes after them is late.
        expired, actions = expire(state, moment)
        if actions:
            return expired, actions
    return HANDLERS[type(event)](state, event, moment)


def _beat(state: State, event: Beat, moment: Moment) -> Step:
    first = moment.at if state.first_beat_at is None else state.first_beat_at
    state = state._replace(phase=Phase.RUNNING, first_beat_at=first, beat_at=moment.at)
    if state.on_trial and state.record.trial is not None:
        return on_beat(state, event, moment)
    return state, ()


def _hello(state: State, _event: Hello, _moment: Moment) -> Step:
    state = state._replace(hello=True)
    if state.on_trial and state.record.trial is not None:
        return commit_if_due(state)
    return state, ()


def _heard(state: State, _event: Heard, _moment: Moment) -> Step:
    return state._replace(heard=True), ()


def _wait_longer(state: State, event: Event, moment: Moment) -> State:
    """Give an orderly end more time where the child asks for it: a command runs that can't be begun again."""
    if not isinstance(event, Extend) or state.phase is not Phase.ENDING or state.after is not After.EXIT:
        return state
    wanted = min(moment.at + event.seconds, state.ending_at + MAX_STOP_SECONDS)
    return state._replace(kill_at=max(state.kill_at, wanted))


def _extend(state: State, event: Extend, _moment: Moment) -> Step:
    if state.on_trial and state.record.trial is not None:
        return extend(state, event.seconds)
    return state, ()


def _goodbye(state: State, _event: Goodbye, _moment: Moment) -> Step:
    return state._replace(goodbye=True), ()


def _exited(state: State, event: ChildExited, moment: Moment) -> Step:
    if state.phase in (Phase.WAITING, Phase.DONE):
        return state, ()
    ending, on_trial = state.phase is Phase.ENDING, state.on_trial
    gone = wait(state, moment, 0.0)
    if ending:
        return _ended(gone, moment)
    if on_trial and gone.record.trial is not None:
        return on_exit(gone, event, moment)
    if gone.record.trial is not None:
        return launch(gone, moment)
    if state.goodbye:
        return ended_politely(gone, moment)
    if event.host_refuses:
        return host_refused(gone, event.detail, moment)
    return crashed(gone, event.detail, moment)


def _ended(state: State, moment: Moment) -> Step:
    if state.after is After.EXIT:
        return state._replace(phase=Phase.DONE), (Exit(),)
    if state.after is After.CRASH:
        return crashed(state, state.detail, moment)
    return launch(state, moment)


def _stop(state: State, _event: Stop, moment: Moment) -> Step:
    """End in an orderly way. The try of a running trial is given back before its child is asked to end."""
    if state.phase is Phase.DONE:
        return state, ()
    if state.phase is Phase.ENDING:
        return state._replace(after=After.EXIT), ()
    writes: Actions = ()
    trial = state.record.trial
    if trial is not None:
        if state.on_trial and trial.gives < MAX_GIVES:
            trial = trial._replace(tries_left=trial.tries_left + 1, gives=trial.gives + 1)
        state, write = persist(state, state.record._replace(trial=trial._replace(stopped=True)), Purpose.STOP)
        writes = (write,)
    if state.alive:
        return join(writes, end_child(state, moment, After.EXIT, "the launcher was asked to stop"))
    return state._replace(phase=Phase.DONE), (*writes, Exit())


def _persist_failed(state: State, event: PersistFailed, moment: Moment) -> Step:
    """Go on as is safe: without its record no trial is armed, started or kept; the rest is written again later."""
    state = state._replace(rewrite_at=moment.at + state.limits.rewrite)
    if event.purpose is Purpose.ARM:
        return arm_failed(state)
    if event.purpose is Purpose.TRY:
        record = state.fallback._replace(seq=state.record.seq)
        state = wait(state._replace(record=record, to_spawn=None), moment, 0.0)
        return back(state, moment, Reason.UNPROVEN, "STORE_FAILED", event.detail, host_fault=True)
    if event.purpose is Purpose.COMMIT:
        record = state.fallback._replace(seq=state.record.seq)
        return state._replace(record=record, on_trial=True), ()
    if event.purpose is Purpose.BACK:
        state = state._replace(back_pending=True)
    return state, _what_was_dropped(state)


def _what_was_dropped(state: State) -> Actions:
    if state.phase is Phase.DONE:
        return (Exit(),)
    if state.phase is Phase.ENDING:
        return (Send({"type": "stop"}), Terminate())
    if state.to_spawn is not None:
        return (Spawn(state.to_spawn), *tell_record(state))
    return ()


HANDLERS: Dict[type, Callable[[State, Any, Moment], Step]] = {
    Beat: _beat,
    Hello: _hello,
    Heard: _heard,
    Arm: on_arm,
    Promote: on_promote,
    Recall: on_recall,
    Extend: _extend,
    Excuse: on_excuse,
    Goodbye: _goodbye,
    ChildExited: _exited,
    SpawnFailed: spawn_failed,
    Stop: _stop,
    Tick: on_tick,
}
"""Every event but PersistFailed, which is about the step before; a test compares it with ``Event``."""
