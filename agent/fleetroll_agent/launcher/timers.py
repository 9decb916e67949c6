"""The deadlines of a launcher: when the next one is, and what happens when it has come."""

from typing import List, Optional

from fleetroll_agent.launcher.events import Actions, Event, Kill, MarkBad, Moment, Purpose
from fleetroll_agent.launcher.state import After, Phase, State, Step, end_child, persist, tell_record
from fleetroll_agent.launcher.trial import back, expire, health_limit, launch, lease_end, on_hang
from fleetroll_agent.launcher.values import Authority, Reason


def next_deadline(state: State) -> Optional[float]:
    """Return the instant at which a Tick is due; None while only events matter."""
    instants: List[float] = []
    if state.rewrite_at is not None and state.phase is not Phase.DONE:
        instants.append(state.rewrite_at)
    if state.phase is Phase.WAITING:
        instants.append(state.restart_at)
    elif state.phase is Phase.ENDING:
        instants.append(state.kill_at)
    elif state.alive:
        instants.append(_silence_limit(state))
        instants.extend(_trial_limits(state))
    trial = state.record.trial
    if trial is not None and (state.phase is Phase.WAITING or state.alive):
        instants.append(trial.trial_end)
    return min(instants) if instants else None


def _silence_limit(state: State) -> float:
    if state.phase is Phase.STARTING:
        return state.spawned_at + state.limits.start
    return state.beat_at + state.limits.hang


def _trial_limits(state: State) -> List[float]:
    trial = state.record.trial
    if trial is None:
        return []
    if not state.on_trial:
        return [] if state.armed_at is None else [state.armed_at + state.limits.start]
    limits: List[float] = []
    if state.phase is Phase.RUNNING and state.healthy_at is None:
        limits.append(health_limit(state)[0])
    if trial.authority is Authority.SERVER and state.healthy_at is not None:
        limits.append(lease_end(state, trial))
    return limits


def on_tick(state: State, _event: Event, moment: Moment) -> Step:
    """Do the one thing that is due; a second one has its own Tick."""
    if state.rewrite_at is not None and moment.at >= state.rewrite_at and state.phase is not Phase.DONE:
        return _rewrite(state)
    if state.phase is Phase.ENDING:
        return _kill(state, moment)
    expired, actions = expire(state, moment)
    if actions:
        return expired, actions
    if state.phase is Phase.WAITING:
        return launch(state, moment) if moment.at >= state.restart_at else (state, ())
    return _silence(state, moment) if state.alive else (state, ())


def _rewrite(state: State) -> Step:
    """Write again what could not be written; the child hears of it when it is durable."""
    state, write = persist(state, state.record, Purpose.NOTE)
    marks: Actions = (MarkBad(state.record.bad),) if state.record.bad else ()
    return state, (write, *marks, *(tell_record(state) if state.alive else ()))


def _kill(state: State, moment: Moment) -> Step:
    if moment.at < state.kill_at:
        return state, ()
    return state._replace(kill_at=moment.at + state.limits.grace), (Kill(),)


def _silence(state: State, moment: Moment) -> Step:
    trial = state.record.trial
    if moment.at >= _silence_limit(state):
        if state.phase is Phase.STARTING:
            detail = "no beat within {:g} s of its start".format(state.limits.start)
        else:
            detail = "no beat for {:g} s".format(state.limits.hang)
        if state.on_trial and trial is not None:
            return on_hang(state, detail, moment)
        return end_child(state, moment, After.LAUNCH if trial is not None else After.CRASH, detail)
    if state.on_trial and state.phase is Phase.RUNNING and state.healthy_at is None:
        limit, detail = health_limit(state)
        if trial is not None and moment.at >= limit:
            return back(state, moment, Reason.BAD, "HEALTH_TIMEOUT", detail)
    if state.armed_at is not None and not state.on_trial and moment.at >= state.armed_at + state.limits.start:
        return end_child(state._replace(armed_at=None), moment, After.LAUNCH, "it did not end after it was armed")
    return state, ()
