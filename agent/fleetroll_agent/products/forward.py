"""From Go to the switch: one step after the other, each written down before it begins.

1. The order is the recipe's. A step that is not configured is not there.
2. What fails while nothing was changed ends the attempt FAILED. Once ``pull``, the migration or the switch was begun,
   every failure goes back.
3. What was asked to stop ends between two steps, never inside one: a migration that is cut off is worse than one that
   is taken back.
4. The new program says its version before the switch where it can be asked, and it must be the release's.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fleetroll_agent.jobs.events import StepEnded
from fleetroll_agent.jobs.obstacles import counts
from fleetroll_agent.jobs.state import Result, State, end_attempt, remember_bad, running_attempt, with_attempt
from fleetroll_agent.jobs.values import Attempt, ByHand, Moment, Said, Stage, Step, Stop
from fleetroll_agent.jobs.work import Work
from fleetroll_agent.products import back, by_hand
from fleetroll_agent.products.changes import about_of, with_work, work_of
from fleetroll_agent.products.stepping import TRIES, begin
from fleetroll_common.values.codes import Code

if TYPE_CHECKING:
    from fleetroll_agent.products.recipe import Recipe

_PROVES = frozenset({Step.CHECK, Step.MIGRATE, Step.SMOKE, Step.RESTART, Step.HEALTH})
"""Steps whose failure is the release's own: a backup or a pull says nothing about it."""
_NO_JOB = 0


def use_go(recipe: Recipe, state: State, moment: Moment) -> Result:
    """Begin with the first step; this write uses the permit."""
    if running_attempt(state).by_hand is not ByHand.NOTHING:
        return by_hand.begin(recipe, state, moment)
    current = state.record.current
    started_at = moment.wall_seconds if counts(state) else state.record.started_at
    work = Work() if current is None else Work(current.version, current.sha256)
    state = with_attempt(state, stage=Stage.APPLYING, work=work)
    state = replace(state, record=replace(state.record, started_at=started_at))
    return begin(recipe, state, moment, recipe.steps(about_of(running_attempt(state)))[0])


def on_step_ended(recipe: Recipe, state: State, event: StepEnded, moment: Moment) -> Result:
    """Go on with the next step, or with what the failure asks for."""
    if event.job != state.job:
        return state, ()
    state = with_work(replace(state, job=None), child=None)
    attempt = running_attempt(state)
    if work_of(attempt).going_back:
        return back.on_step_ended(recipe, state, event, moment)
    event = _judged(attempt, event)
    if event.code is not None:
        return failed(recipe, state, event, moment)
    if attempt.step is Step.BACKUP:
        state = with_work(state, backup_id=event.value)
    return go_on(recipe, state, moment)


def go_on(recipe: Recipe, state: State, moment: Moment) -> Result:
    """Stand between two steps: here an attempt can be stopped, and a process that leaves hands it over."""
    attempt = running_attempt(state)
    if attempt.stop is Stop.RECALL or (attempt.stop is Stop.BEFORE_SWITCH and not work_of(attempt).switched):
        return back.stop(recipe, state, moment)
    if state.leaving:
        return with_work(state, paused=True), ()
    steps = recipe.steps(about_of(attempt))
    done = -1 if attempt.step not in steps else steps.index(attempt.step)
    return begin(recipe, state, moment, steps[done + 1])


def failed(recipe: Recipe, state: State, event: StepEnded, moment: Moment) -> Result:
    """End with nothing changed, or go back."""
    attempt = running_attempt(state)
    proven = event.by_itself and attempt.step in _PROVES
    if proven and attempt.sha256:
        state = remember_bad(state, attempt.sha256)
    facts: dict[str, Any] = {"code": event.code, "message": event.message, "output_tail": event.output_tail}
    if not work_of(attempt).changed:
        return end_attempt(state, moment, Said.FAILED, unproven=not proven, **facts)
    return back.start(recipe, with_work(state, unproven=not proven, **facts), moment)


def cut_off(recipe: Recipe, state: State, moment: Moment) -> Result:
    """Decide about a step that ended with the process that ran it: what may be run again is, else it has failed."""
    attempt = running_attempt(state)
    step, work = attempt.step, work_of(attempt)
    is_known = step in recipe.steps(about_of(attempt))
    if step is not None and is_known and recipe.may_run_again(step) and work.tries < TRIES:
        return begin(recipe, state, moment, step)
    text = f"the agent was started anew while the step {'' if step is None else step.value} ran"
    return failed(recipe, state, StepEnded(_NO_JOB, Code.STEP_FAILED, text, by_itself=False), moment)


def _judged(attempt: Attempt, event: StepEnded) -> StepEnded:
    """Return the event, as a failure when the new program is not what its release says."""
    if attempt.step is not Step.CHECK or event.code is not None or event.value == attempt.version:
        return event
    text = f"the new program reports {event.value!r:.80}, its release is {attempt.version}"
    return replace(event, code=Code.VERSION_MISMATCH, message=text)
