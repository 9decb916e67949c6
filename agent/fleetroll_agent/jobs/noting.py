"""What a staged attempt waits for is reported once, until something else is waited for. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fleetroll_agent.jobs.state import is_staged, say_stage
from fleetroll_common.values.codes import Code

if TYPE_CHECKING:
    from fleetroll_agent.jobs.state import State
    from fleetroll_agent.jobs.values import Moment


def note_skew(state: State, moment: Moment) -> State:
    """Report that a staged attempt of the server's waits for clocks that agree, where they do not."""
    attempt = state.record.attempt
    if not state.skewed or not state.session or (attempt is not None and attempt.local):
        return state
    return note_wait(state, moment, Code.CLOCK_SKEW, "host and server clocks differ by more than 5 min")


def note_wait(state: State, moment: Moment, code: Code, message: str, until: float | None = None) -> State:
    """Report why a staged attempt waits, once per reason; ``until`` None = it asks again after its interval."""
    if state.note is code or not is_staged(state.record.attempt):
        return state
    at = moment.wall_seconds + state.rules.ask_interval if until is None else until
    return replace(say_stage(state, moment, code=code, message=message, retry_at=at), note=code)
