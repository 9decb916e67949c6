"""The way back: the previous version, its data where a migration had begun, and its health again.

1. Every step of it may be run again: a crash on the way back repeats the step at hand.
2. A step that fails is tried :data:`~fleetroll_agent.products.stepping.TRIES` times. Then the others are done all the
   same, because the old version running on doubtful ground beats none, and the end is ROLLBACK_FAILED.
3. Nothing but a healthy look at the previous version ends it well. What can't be brought back says what a person must
   do.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fleetroll_agent.jobs.effects import CancelJob, Effects
from fleetroll_agent.jobs.state import Result, Running, State, end_attempt, join, running_attempt
from fleetroll_agent.jobs.values import Attempt, ByHand, Moment, Said, Step, Stop
from fleetroll_agent.jobs.work import Installed
from fleetroll_agent.products.changes import about_of, with_work, work_of
from fleetroll_agent.products.stepping import TRIES, begin
from fleetroll_agent.settings.product import Kind
from fleetroll_common.values.codes import Code

if TYPE_CHECKING:
    from fleetroll_agent.jobs.events import Probed, StepEnded
    from fleetroll_agent.products.recipe import Recipe

HEALTHY_LOOKS = 3
"""In a row, before a previous version counts as back: one may be a leftover of what is being stopped."""


def knows_the_way(recipe: Recipe) -> bool:
    """Tell whether there is a way back: a product of commands without its ``rollback`` has none."""
    return recipe.kind is not Kind.COMMAND or Step.ROLLBACK in recipe.hooks


def stop(recipe: Recipe, state: State, moment: Moment) -> Result:
    """End what was asked to stop: with nothing changed, or by the way back."""
    attempt = running_attempt(state)
    code = attempt.stop_code or Code.CANCELLED_BY
    if not work_of(attempt).changed:
        facts = {"code": code, "message": "stopped before the switch", "running_version": state.running.version}
        return end_attempt(state, moment, Said.CANCELLED, **facts)
    effects: Effects = () if state.job is None else (CancelJob(state.job),)
    state = with_work(replace(state, job=None), code=code, message="stopped on request", unproven=True)
    return join(effects, start(recipe, state, moment))


def start(recipe: Recipe, state: State, moment: Moment) -> Result:
    """Turn round; why is in the work already."""
    work = work_of(running_attempt(state))
    if work.switched and running_attempt(state).by_hand is ByHand.NOTHING:
        why = state.record.banned(work.from_sha256)
        if why is not None:
            return _stays(state, moment, why)
    state = with_work(replace(state, probe_at=None, until=None, soak_from=None), going_back=True)
    if not knows_the_way(recipe) and running_attempt(state).by_hand is not ByHand.RESTORE:
        state = with_work(state, back_failed="agent.toml has no rollback for it")
        return _finish(state, moment)
    return _next(recipe, state, moment)


def on_step_ended(recipe: Recipe, state: State, event: StepEnded, moment: Moment) -> Result:
    """Go on with the next step of the way back, whatever became of this one."""
    attempt = running_attempt(state)
    step, work = attempt.step, work_of(attempt)
    # After a first installation nothing has to start again: its restart is only to end what was begun.
    unimportant = step is Step.RESTART_BACK and about_of(attempt).fresh
    if event.code is None or step is None or unimportant:
        return _next(recipe, state, moment)
    if work.tries < TRIES:
        return (state, ()) if state.leaving else begin(recipe, state, moment, step)
    return _next(recipe, _note(state, f"{step.value}: {event.message}", event.output_tail), moment)


def on_probed(recipe: Recipe, state: State, event: Probed, moment: Moment) -> Result:
    """Wait for the previous version's health, for as long as a start may take."""
    version = work_of(running_attempt(state)).from_version
    other = bool(event.version and version and event.version != version)
    if event.healthy and not other:
        state = replace(state, held=state.held + 1)
        if state.held >= HEALTHY_LOOKS:
            return _finish(state, moment)
        return replace(state, probe_at=moment.boot_seconds + recipe.interval_seconds), ()
    if state.until is not None and moment.boot_seconds >= state.until:
        why = f"it runs {event.version}, not {version}" if other else event.message
        return _finish(_note(state, f"health: {why}", event.output_tail), moment)
    return replace(state, held=0, probe_at=moment.boot_seconds + recipe.interval_seconds), ()


def again(recipe: Recipe, state: State, moment: Moment) -> Result:
    """Repeat the step of the way back that a crash cut off; one that kills the agent again and again is passed over."""
    attempt = running_attempt(state)
    if work_of(attempt).paused:
        return _next(recipe, with_work(state, paused=False), moment)
    if attempt.step is None or attempt.step not in _steps(recipe, attempt):
        return _next(recipe, state, moment)
    if work_of(attempt).tries >= TRIES:
        text = f"{attempt.step.value}: the agent was started anew each time it ran"
        return _next(recipe, _note(state, text, ""), moment)
    return begin(recipe, state, moment, attempt.step)


def _next(recipe: Recipe, state: State, moment: Moment) -> Result:
    """Begin the next step; a process that leaves hands the attempt over between two."""
    attempt = running_attempt(state)
    steps = _steps(recipe, attempt)
    done = -1 if attempt.step not in steps else steps.index(attempt.step)
    if done + 1 == len(steps):
        return _finish(state, moment)
    if state.leaving:
        return with_work(state, paused=True), ()
    return begin(recipe, state, moment, steps[done + 1])


def _steps(recipe: Recipe, attempt: Attempt) -> tuple[Step, ...]:
    return recipe.steps_back(about_of(attempt), work_of(attempt))


def _note(state: State, what: str, output_tail: str) -> State:
    """Keep what failed on the way back; the first output counts, the others follow from it."""
    work = work_of(running_attempt(state))
    words = f"{work.back_failed}; {what}" if work.back_failed else what
    return with_work(state, back_failed=words, output_tail=work.output_tail if work.back_failed else output_tail)


def _finish(state: State, moment: Moment) -> Result:
    """End the attempt with what came of the way back."""
    attempt = running_attempt(state)
    work = work_of(attempt)
    if work.back_failed:
        return _needs_a_person(state, attempt, moment)
    facts: dict[str, Any] = {"code": work.code, "message": work.message, "output_tail": work.output_tail}
    facts["running_version"] = work.from_version
    if attempt.by_hand is not ByHand.NOTHING:
        return _by_hand(state, moment)
    if attempt.stop is not Stop.NOTHING and work.code is attempt.stop_code:
        return end_attempt(state, moment, Said.CANCELLED, **facts)
    return end_attempt(state, moment, Said.ROLLED_BACK, unproven=work.unproven, **facts)


def _stays(state: State, moment: Moment, why: str) -> Result:
    """Keep what was switched to, though it failed: the version before must not run any more."""
    attempt, record = running_attempt(state), state.record
    work = work_of(attempt)
    kept = Installed(attempt.version, attempt.sha256, work.backup_id, migrated=work.migrated)
    state = replace(
        state, record=replace(record, current=kept, previous=None), running=Running(kept.version, kept.sha256)
    )
    text = (
        f"{attempt.version} failed ({work.message}) and stays: {work.from_version}, the version before, was revoked "
        f"({why}). On this host: update to a version that is allowed, then run: fleetroll-agent check"
    )
    facts: dict[str, Any] = {"code": Code.DIGEST_REVOKED, "message": text, "output_tail": work.output_tail}
    return end_attempt(state, moment, Said.ROLLBACK_FAILED, running_version=attempt.version, **facts)


def _by_hand(state: State, moment: Moment) -> Result:
    """Keep what a person went back to; what was left is the version before from now on."""
    attempt, record = running_attempt(state), state.record
    if attempt.by_hand is ByHand.ROLLBACK:
        kept = Installed(attempt.version, attempt.sha256)
        # What migrated its data can't simply be switched to again: its data is not migrated any more.
        left = None if work_of(attempt).migrated else record.current
        record = replace(record, current=kept, previous=left)
        state = replace(state, record=record, running=Running(kept.version, kept.sha256))
    return end_attempt(state, moment, Said.SUCCEEDED, running_version=state.running.version)


def _needs_a_person(state: State, attempt: Attempt, moment: Moment) -> Result:
    """Say loudly what stands and what is to be done."""
    work, record = work_of(attempt), state.record
    restore = f"; the backup is {work.backup_id}" if work.backup_id and work.migrated else ""
    wanted = work.from_version or "what was there before"
    what, remedy = {
        ByHand.NOTHING: (
            f"the way back failed ({work.back_failed}) after {attempt.version} failed ({work.message})",
            f"bring {wanted} up by hand{restore}",
        ),
        ByHand.ROLLBACK: (
            f"the way back to {attempt.version} failed ({work.back_failed})",
            f"bring {attempt.version} up by hand{restore}",
        ),
        ByHand.RESTORE: (
            f"the backup {work.backup_id} was not restored as it should be ({work.back_failed})",
            f"see to the data, or restore another one: fleetroll-agent restore {record.product} --backup ID",
        ),
    }[attempt.by_hand]
    text = f"{what}. On this host: {remedy}, then run: fleetroll-agent check"
    code = Code.HEALTH_FAILED if work.back_failed.startswith("health:") else Code.STEP_FAILED
    return end_attempt(state, moment, Said.ROLLBACK_FAILED, code=code, message=text, output_tail=work.output_tail)
