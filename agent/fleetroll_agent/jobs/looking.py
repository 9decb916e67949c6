"""The last look before the change: what was signed when it was staged may be taken back by now.

A permit, or this host's own lock, is used only for a release that was looked up a moment ago. Else it is looked up once
more, with fresh metadata, while the permit waits; what came meanwhile voids the permit as it always does. What can't be
looked up is not begun: the lock is given back, and it is asked for again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fleetroll_agent.jobs import ruling
from fleetroll_agent.jobs.by_itself import is_own
from fleetroll_agent.jobs.effects import FindTarget, ReleaseLock
from fleetroll_agent.jobs.noting import note_wait
from fleetroll_agent.jobs.obstacles import version_before
from fleetroll_agent.jobs.refusing import is_way_back, judge
from fleetroll_agent.jobs.state import (
    Result,
    State,
    end_attempt,
    is_staged,
    join,
    new_job,
    running_attempt,
    with_attempt,
)
from fleetroll_agent.jobs.values import ByHand, Moment, Said
from fleetroll_agent.jobs.work import About
from fleetroll_common.values.codes import Code
from fleetroll_common.values.version import Version

if TYPE_CHECKING:
    from fleetroll_agent.jobs.events import Ruled, StagingFailed, TargetFound


def use_permit(state: State, moment: Moment) -> Result:
    """Use the permit that ``state.ask`` was answered with, at once or after one more look."""
    attempt = running_attempt(state)
    if state.job is not None:
        return state, ()
    if attempt.by_hand is not ByHand.NOTHING or _is_fresh(state, moment):
        return _begin(state, moment)
    state, job = new_job(state)
    own = is_own(attempt)
    names = (attempt.generation, attempt.version, attempt.source)
    return state, (FindTarget(job, state.session, *names, by_host=own, on_disk=version_before(state)),)


def on_found(state: State, event: TargetFound, moment: Moment) -> Result:
    """Begin, when it is still what was staged, nothing speaks against it, and the permit is still good."""
    attempt = running_attempt(state)
    state = replace(state, job=None, looked_at=moment.boot_seconds)
    if event.sha256 != attempt.sha256:
        text = f"{attempt.version} is listed with another digest than the one that was staged"
        return end_attempt(state, moment, Said.FAILED, code=Code.WRONG_HASH, message=text, unproven=True)
    state = with_attempt(state, about=about(state, event))
    refusal = judge(state, event, moment)
    if refusal is not None:
        return end_attempt(state, moment, refusal.said, code=refusal.code, message=refusal.message)
    ask = state.ask
    if ask is None:  # what came meanwhile voided it; and while it looks, nothing else is asked
        return replace(state, ask_at=moment.boot_seconds if state.ask_at is None else state.ask_at), ()
    late = not 0 <= moment.boot_seconds - ask.sent_at <= state.rules.go or bool(state.suspended)
    if state.leaving or (late and not attempt.local):
        return replace(state, ask=None, ask_at=moment.boot_seconds), (ReleaseLock(),)
    return _begin(state, moment)


def on_failed(state: State, event: StagingFailed, moment: Moment) -> Result:
    """Give the lock back and ask again later; a refusal ends the attempt, and so do too many tries of a local one."""
    attempt = running_attempt(state)
    tries = attempt.tries + 1 if attempt.local else 0
    waits = event.transient or event.code in (Code.LOCKED, Code.DISK_FULL, Code.CLOCK_SKEW)
    if not waits or tries >= state.rules.max_attempts:
        return end_attempt(state, moment, Said.FAILED, code=event.code, message=event.message)
    at = moment.boot_seconds + state.rules.ask_interval * (0.8 + 0.4 * moment.random01)
    state = replace(with_attempt(state, tries=tries), ask=None, ask_at=at)
    return join((ReleaseLock(),), (note_wait(state, moment, event.code, event.message), ()))


def on_ruled(state: State, event: Ruled, moment: Moment) -> Result:
    """Remember what is ruled about what this host has; what is staged and was taken back ends here."""
    state = replace(state, record=ruling.seen(state.record, event.policy, digests(state)))
    attempt = state.record.attempt
    if attempt is None or not is_staged(attempt) or attempt.by_hand is not ByHand.NOTHING:
        return state, ()
    here = ruling.here_of(state.running.version, state.record.floor)
    back = is_way_back(state)
    found = ruling.objection(event.policy, Version.parse(attempt.version), attempt.sha256, here, back=back)
    if found is not None:
        return end_attempt(state, moment, Said.FAILED, code=found.code, message=found.message)
    if not back and not attempt.source and event.listed is not None and attempt.sha256 not in event.listed:
        text = f"{attempt.version} is not among the signed releases any more"
        return end_attempt(state, moment, Said.FAILED, code=Code.NOT_LISTED, message=text)
    return state, ()


def about(state: State, event: TargetFound) -> About | None:
    """Return what is kept about the release that was found: also whether it is a stop on the way to another one."""
    here = ruling.here_of(state.running.version, "")
    hop = ruling.is_hop(event.policy, Version.parse(running_attempt(state).version), here)
    return replace(event.about or About(), hop=True) if hop else event.about


def digests(state: State) -> tuple[str, ...]:
    """Return the digests of all that this host has of the product."""
    record, boot = state.record, state.launcher
    slots = () if boot is None else (boot.current, boot.previous)
    kept = [*(one.digest for one in slots if one is not None), state.running.sha256]
    kept += [one.sha256 for one in (record.current, record.previous, record.attempt) if one is not None]
    return tuple(digest for digest in kept if digest)


def _begin(state: State, moment: Moment) -> Result:
    return state.course.use_go(replace(state, ask=None, ask_at=None, note=None), moment)


def _is_fresh(state: State, moment: Moment) -> bool:
    """Tell whether it was looked up a moment ago; what an earlier process had looked up was not."""
    return state.looked_at is not None and 0 <= moment.boot_seconds - state.looked_at <= state.rules.fresh
