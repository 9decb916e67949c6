"""After the switch: the product becomes healthy in time, stays so for its soak, and is kept.

1. Silence is never success: a look that errors, or finds another version, is not healthy.
2. Until its start limit is over an unhealthy product is given time; within the soak one unhealthy look ends it.
3. The server takes no part: an outage of it never takes a healthy product back, unless the product is one that can cut
   the host off (``revert_on_lost_contact``): then a session must be open when the soak is over, or be opened within the
   lease.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fleetroll_agent.jobs.events import Probed, StepEnded
from fleetroll_agent.jobs.state import Result, Running, State, end_attempt, running_attempt, say_stage, with_attempt
from fleetroll_agent.jobs.values import Moment, Said, Stage
from fleetroll_agent.jobs.work import Installed
from fleetroll_agent.products import back, forward
from fleetroll_agent.products.changes import with_work, work_of
from fleetroll_common.values.codes import Code

if TYPE_CHECKING:
    from fleetroll_agent.products.recipe import Recipe

_NO_JOB = 0


def on_probed(recipe: Recipe, state: State, event: Probed, moment: Moment) -> Result:
    """Judge one look."""
    if event.job != state.job:
        return state, ()
    state = with_work(replace(state, job=None), child=None)
    attempt = running_attempt(state)
    if work_of(attempt).going_back:
        return back.on_probed(recipe, state, event, moment)
    other = bool(event.version) and event.version != attempt.version
    if event.healthy and not other:
        return _healthy(recipe, state, moment)
    return _unhealthy(recipe, state, event, moment)


def _healthy(recipe: Recipe, state: State, moment: Moment) -> Result:
    """Begin the soak, go on with it, or keep the version."""
    attempt = running_attempt(state)
    if state.soak_from is None:
        state = with_attempt(replace(state, soak_from=moment.monotonic_seconds), stage=Stage.SOAKING)
        state = say_stage(state, moment)
    since = moment.monotonic_seconds if state.soak_from is None else state.soak_from
    held = moment.monotonic_seconds - since
    if held < attempt.soak_seconds:
        return _look_again(recipe, state, moment)
    if recipe.revert_on_lost_contact and not state.session:
        if held < attempt.lease_seconds:
            return _look_again(recipe, state, moment)
        text = f"no server could be reached for {held:.0f} s after the switch"
        return forward.failed(recipe, state, StepEnded(_NO_JOB, Code.LOST_CONTACT, text, by_itself=False), moment)
    return keep(state, moment)


def _unhealthy(recipe: Recipe, state: State, event: Probed, moment: Moment) -> Result:
    """Give a starting product its time; take a soaking one back at once."""
    attempt = running_attempt(state)
    other = bool(event.version) and event.version != attempt.version
    if state.soak_from is None and state.until is not None and moment.boot_seconds < state.until:
        return _look_again(recipe, state, moment)
    if other:
        code, text = Code.VERSION_MISMATCH, f"it reports {event.version!r:.80}, its release is {attempt.version}"
    elif state.soak_from is None:
        code, text = Code.HEALTH_TIMEOUT, f"not healthy within {recipe.start_seconds:g} s: {event.message}"
    else:
        code, text = Code.HEALTH_FAILED, f"not healthy any more: {event.message}"
    return forward.failed(recipe, state, StepEnded(_NO_JOB, code, text, event.output_tail), moment)


def keep(state: State, moment: Moment) -> Result:
    """Make the new version the installed one and end the attempt: one write."""
    attempt = running_attempt(state)
    work = work_of(attempt)
    record = state.record
    installed = Installed(attempt.version, attempt.sha256, work.backup_id, migrated=work.migrated)
    previous = record.previous if _same(record.current, installed) else record.current
    state = replace(
        state,
        running=Running(installed.version, installed.sha256),
        record=replace(record, current=installed, previous=previous),
    )
    return end_attempt(state, moment, Said.SUCCEEDED, running_version=attempt.version)


def _same(one: Installed | None, other: Installed) -> bool:
    return one is not None and one.sha256 == other.sha256


def _look_again(recipe: Recipe, state: State, moment: Moment) -> Result:
    return replace(state, probe_at=moment.boot_seconds + recipe.interval_seconds), ()
