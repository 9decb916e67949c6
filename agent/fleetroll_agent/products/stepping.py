"""The beginning of a step, forward or back: written down first, then done."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fleetroll_agent.jobs.effects import OpenGate, Probe, RunStep
from fleetroll_agent.jobs.state import Result, State, is_staged, new_job, running_attempt, say_stage, with_attempt
from fleetroll_agent.jobs.values import Moment, Step
from fleetroll_agent.products.changes import with_work, work_of

if TYPE_CHECKING:
    from fleetroll_agent.jobs.events import StepStarted
    from fleetroll_agent.products.recipe import Recipe

TRIES = 3
"""How often a step that may be run again is begun: a step that kills the agent must not do so for ever."""

MAX_CUTS = 10
"""How often an orderly stop costs no try of one step: a step that stops the agent itself must not do so for ever."""

_BEGUN = {Step.PULL: "pulled", Step.MIGRATE: "migrated", Step.SWITCH: "switched"}
"""What is noted in the same write that begins the step."""


def begin(recipe: Recipe, state: State, moment: Moment, step: Step) -> Result:
    """Write down that ``step`` begins, then do it."""
    attempt = running_attempt(state)
    work = work_of(attempt)
    tries, cuts = (work.tries + 1, work.cuts) if attempt.step is step else (1, 0)
    state = with_attempt(state, step=step)
    state = with_work(state, tries=tries, cuts=cuts, child=None, **({_BEGUN[step]: True} if step in _BEGUN else {}))
    if step in (Step.HEALTH, Step.HEALTH_BACK):
        until = moment.boot_seconds + recipe.start_seconds
        state = say_stage(replace(state, until=until, soak_from=None, held=0), moment)
        return probe(state)
    state, job = new_job(state)
    return say_stage(state, moment), (RunStep(job, running_attempt(state)),)


def give_back(state: State) -> State:
    """Let the try of the step at hand not count: an orderly stop cuts it, and no crash."""
    work = work_of(running_attempt(state))
    if work.tries < 1 or work.cuts >= MAX_CUTS:
        return state
    return with_work(state, tries=work.tries - 1, cuts=work.cuts + 1)


def probe(state: State) -> Result:
    """Look at the product's health now."""
    state, job = new_job(replace(state, probe_at=None))
    return state, (Probe(job, running_attempt(state)),)


def probe_if_due(state: State, moment: Moment) -> Result:
    """Look at the product's health when it is time."""
    if state.probe_at is None or state.job is not None or moment.boot_seconds < state.probe_at:
        return state, ()
    return probe(state)


def lock_job(ask: int) -> int:
    """Return the number under which the process of the host's own lock is told: an ask is no job, and has none."""
    return -ask


def on_step_started(state: State, event: StepStarted, _moment: Moment) -> Result:
    """Write the process down, of a step, of a look at the health or of the host's own lock, then let it run."""
    ask = state.ask if is_staged(state.record.attempt) and not state.leaving else None
    if event.job != (state.job if ask is None else lock_job(ask.number)):
        return state, ()
    return with_work(state, child=event.child), (OpenGate(event.job),)
