"""From ACCEPTED to STAGED: the tries of the download, and what each of their ends means."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fleetroll_agent.jobs import looking, ruling
from fleetroll_agent.jobs.by_itself import is_own
from fleetroll_agent.jobs.effects import FillSlot, FindTarget
from fleetroll_agent.jobs.noting import note_skew
from fleetroll_agent.jobs.obstacles import version_before
from fleetroll_agent.jobs.refusing import judge
from fleetroll_agent.jobs.state import (
    Result,
    State,
    end_attempt,
    is_before_go,
    is_staged,
    join,
    new_job,
    running_attempt,
    say_stage,
    with_attempt,
)
from fleetroll_agent.jobs.values import Moment, Said, Stage
from fleetroll_common.values.codes import Code

if TYPE_CHECKING:
    from fleetroll_agent.jobs.events import SlotReady, StagingFailed, TargetFound

_WAITING = frozenset({Code.DISK_FULL, Code.LOCKED, Code.CLOCK_SKEW})
"""The host is busy, full, or in doubt about the time: the attempt waits and spends no try."""
_ENDING = frozenset({Code.DISK_FULL, Code.LOCKED})
"""Of these a local attempt spends tries: the server sees its own wait, and ends it; a local one has nobody who does,
and all that stands behind it would wait as well."""


def start_if_due(state: State, moment: Moment) -> Result:
    """Begin, or try again, when it is time, nothing runs, and a session is open: its token opens the repository."""
    attempt = state.record.attempt
    idle = is_before_go(attempt) and not is_staged(attempt) and state.job is None and can_begin(state)
    if attempt is None or not idle or state.retry_at is None or moment.boot_seconds < state.retry_at:
        return state, ()
    state, job = new_job(replace(state, retry_at=None))
    own = is_own(attempt)
    names = (attempt.generation, attempt.version, attempt.source)
    return state, (FindTarget(job, state.session, *names, by_host=own, on_disk=version_before(state)),)


def can_begin(state: State) -> bool:
    """Tell whether there is anything to ask: an open session, or what a person named on this host."""
    attempt = state.record.attempt
    return bool(state.session) or (attempt is not None and bool(attempt.source))


def on_target_found(state: State, event: TargetFound, moment: Moment) -> Result:
    """Judge the digest before a byte of it is fetched."""
    if event.job != state.job:
        return state, ()
    state = replace(state, record=ruling.seen(state.record, event.policy, looking.digests(state)))
    if is_staged(state.record.attempt):
        return looking.on_found(state, event, moment)
    if not can_begin(state):
        return replace(state, job=None, retry_at=moment.boot_seconds), ()
    attempt = running_attempt(state)
    first = attempt.sha256 != event.sha256
    state = with_attempt(
        replace(state, looked_at=moment.boot_seconds), sha256=event.sha256, about=looking.about(state, event)
    )
    excuses = state.course.excuses(state)
    if event.sha256 == state.running.sha256 and not state.record.broken:
        text = f"{attempt.version} runs here already"
        return end_attempt(state, moment, Said.CANCELLED, code=Code.ALREADY_AT_TARGET, message=text)
    refusal = judge(state, event, moment)
    if refusal is not None:
        facts = {"code": refusal.code, "message": refusal.message}
        return join(excuses, end_attempt(state, moment, refusal.said, **facts))
    if first or attempt.stage is Stage.ACCEPTED:
        state = say_stage(with_attempt(state, stage=Stage.DOWNLOADING), moment, message=event.note)
    session, own = state.session, is_own(attempt)
    fill = FillSlot(event.job, session, attempt.generation, attempt.version, event.sha256, attempt.source, by_host=own)
    return state, (*excuses, fill)


def on_slot_ready(state: State, event: SlotReady, moment: Moment) -> Result:
    """Enter STAGED: from here on the attempt waits for Go, and costs nothing."""
    if event.job != state.job:
        return state, ()
    state = with_attempt(replace(state, job=None, note=None), stage=Stage.STAGED, tries=0)
    state = note_skew(say_stage(state, moment), moment)
    staged_at = moment.boot_seconds if is_own(state.record.attempt) else None
    return replace(state, ask_at=moment.boot_seconds, staged_at=staged_at), ()


def look_up_again(state: State, moment: Moment) -> Result:
    """Go back from STAGED to the beginning: what was signed then may be yanked, or have expired, by now."""
    state = replace(with_attempt(state, stage=Stage.ACCEPTED), ask_at=None, note=None, staged_at=None)
    return start_if_due(replace(state, retry_at=moment.boot_seconds), moment)


def on_staging_failed(state: State, event: StagingFailed, moment: Moment) -> Result:
    """Wait and try again, or end: a host that is full waits, a source that fails spends a try, a lie ends it.

    The end of the session is nobody's failure: the next session goes on where this one stopped. That metadata has
    expired says nothing as long as the clock by which it has differs from the server's.
    """
    if event.job != state.job:
        return state, ()
    state = replace(state, job=None)
    if event.code is Code.METADATA_FREEZE and state.skewed:
        event = replace(event, code=Code.CLOCK_SKEW, message=f"the clocks differ by more than 5 min: {event.message}")
    if is_staged(state.record.attempt):
        return looking.on_failed(state, event, moment)
    if event.transient and event.session != state.session:
        return replace(state, retry_at=moment.boot_seconds), ()
    attempt = running_attempt(state)
    if event.code in _WAITING and not (attempt.local and event.code in _ENDING):
        return _wait(state, event, moment, state.rules.disk_full)
    tries = attempt.tries + 1
    state = with_attempt(state, tries=tries)
    if not event.transient or tries >= (attempt.max_attempts or state.rules.max_attempts):
        return end_attempt(state, moment, Said.FAILED, code=event.code, message=event.message)
    waits, spread = state.rules.retries, 0.8 + 0.4 * moment.random01
    return _wait(state, event, moment, waits[min(tries, len(waits)) - 1] * spread)


def _wait(state: State, event: StagingFailed, moment: Moment, seconds: float) -> Result:
    """Report why, and until when; then wait."""
    state = with_attempt(state, stage=Stage.DOWNLOADING)
    facts = {"retry_at": moment.wall_seconds + seconds, "time_limit_seconds": seconds + state.rules.staging}
    state = say_stage(state, moment, code=event.code, message=event.message, **facts)
    return replace(state, retry_at=moment.boot_seconds + seconds, note=event.code), ()
