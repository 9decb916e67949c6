"""What keeps a staged attempt from asking for Go, by this host's own rules: none of it is a failure, all of it ends.

A person on the host is not bound by them: root there is the authority. Its own jobs ask for no Go.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleetroll_common.values.codes import Code
from fleetroll_common.values.plain import plain

if TYPE_CHECKING:
    from fleetroll_agent.jobs.state import State
    from fleetroll_agent.jobs.values import Moment

MAX_SECONDS = 366 * 86400.0
"""An instant that is further away is a clock's fault, and looked at again then."""


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why it waits, in words, and until when at the latest (Unix seconds)."""

    code: Code
    message: str
    until: float


def obstacle(state: State, moment: Moment) -> Obstacle | None:
    """Return what keeps the staged attempt waiting now; None when it may ask."""
    return _held(state, moment) or _too_soon(state, moment)


def _held(state: State, moment: Moment) -> Obstacle | None:
    override = state.record.override
    if override is None or not override.stands(moment.wall_seconds):
        return None
    why = f": {plain(override.reason, 200)}" if override.reason else ""
    return Obstacle(Code.HELD_LOCALLY, f"{override.kind.value} by {override.actor}{why}", override.until)


def _too_soon(state: State, moment: Moment) -> Obstacle | None:
    """An instant ahead of the clock is a clock that was set back: it is no reason to wait for years."""
    started, interval = state.record.started_at, state.policy.min_interval_seconds
    if started is None or not 0 <= moment.wall_seconds - started < interval:
        return None
    text = f"the last update began {moment.wall_seconds - started:.0f} s ago, two are {interval:g} s apart"
    return Obstacle(Code.TOO_SOON, text, started + interval)
