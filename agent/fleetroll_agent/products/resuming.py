"""A process of the agent begins and finds an attempt past Go: first what still runs is ended, then it goes on or back.

The job lock is taken before anything else. What the record names as running is ended and seen to be gone: two
migrations at once would be worse than any failure. An agent that was asked to end waited for its step, if that could
not be begun again, and left the attempt between two.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fleetroll_agent.jobs.effects import EndChild, HoldLock, Tidy
from fleetroll_agent.jobs.runner import NOBODY
from fleetroll_agent.jobs.state import Result, State, join, new_job, running_attempt, say_stage
from fleetroll_agent.jobs.values import Moment, Step
from fleetroll_agent.products import back, forward
from fleetroll_agent.products.changes import with_work, work_of
from fleetroll_agent.products.stepping import begin
from fleetroll_common.values.codes import Code

if TYPE_CHECKING:
    from fleetroll_agent.jobs.events import ChildGone
    from fleetroll_agent.products.recipe import Recipe

AGAIN_SECONDS = 10.0
"""Between two tries to end a process that does not end: one that waits for a disk can't."""


def resume(recipe: Recipe, state: State, moment: Moment) -> Result:
    """Take up an attempt past Go; without an attempt, what an ended one may have left is put in order."""
    attempt = state.record.attempt
    if attempt is None:
        return state, (Tidy(),)
    child = work_of(attempt).child
    if not attempt.past_go:
        # The command of the host's own lock: it changes nothing, and whatever asks it again comes after its end.
        return state, () if child is None else (EndChild(NOBODY, child),)
    if child is None:
        return join((HoldLock(),), go_on(recipe, state, moment))
    state, job = new_job(state)
    return state, (HoldLock(), EndChild(job, child))


def on_child_gone(recipe: Recipe, state: State, event: ChildGone, moment: Moment) -> Result:
    """Go on once it is gone; until then nothing else begins. A process that leaves lets the next one go on."""
    if event.job != state.job:
        return state, ()
    state = replace(state, job=None)
    if event.gone and state.leaving:
        return with_work(replace(state, until=None), child=None), ()
    if not event.gone:
        child = work_of(running_attempt(state)).child
        if state.note is None and child is not None:
            text = f"process {child.pid} of an earlier try can't be ended: free what it waits for, or restart the host"
            state = replace(say_stage(state, moment, code=Code.LOCKED, message=text), note=Code.LOCKED)
        return replace(state, until=moment.boot_seconds + AGAIN_SECONDS), ()
    return go_on(recipe, with_work(replace(state, until=None, note=None), child=None), moment)


def end_child_if_due(state: State, moment: Moment) -> Result:
    """Try again to end what an earlier process started."""
    attempt = state.record.attempt
    child = None if attempt is None else work_of(attempt).child
    if child is None or state.job is not None or state.until is None or moment.boot_seconds < state.until:
        return state, ()
    state, job = new_job(replace(state, until=None))
    return state, (EndChild(job, child),)


def go_on(recipe: Recipe, state: State, moment: Moment) -> Result:
    """Go on where the record stands."""
    attempt = running_attempt(state)
    if work_of(attempt).going_back:
        return back.again(recipe, state, moment)
    if work_of(attempt).paused:
        return forward.go_on(recipe, with_work(state, paused=False), moment)
    if attempt.step is Step.HEALTH:
        # Nobody looked while the agent was away: the soak begins anew.
        return begin(recipe, state, moment, Step.HEALTH)
    return forward.cut_off(recipe, state, moment)
