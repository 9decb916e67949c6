"""What keeps a staged attempt from asking for Go, by this host's own rules: none of it is a failure, all of it ends.

A person on the host is not bound by them: root there is the authority. Its own jobs ask for no Go.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from fleetroll_agent.jobs.ruling import here_of
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.plain import plain
from fleetroll_common.values.version import Version
from fleetroll_common.values.windows import SEARCH_DAYS, find_opening
from fleetroll_common.values.zones import find_zone

if TYPE_CHECKING:
    from fleetroll_agent.jobs.policy import Policy
    from fleetroll_agent.jobs.state import State
    from fleetroll_agent.jobs.values import Moment
    from fleetroll_common.values.windows import Opening

MAX_SECONDS = 366 * 86400.0
"""An instant that is further away is a clock's fault, and looked at again then."""
OBSTACLES = frozenset({Code.HELD_LOCALLY, Code.TOO_SOON, Code.WINDOW})
"""What is known to be over when the attempt asks."""


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why it waits, in words, and until when at the latest (Unix seconds)."""

    code: Code
    message: str
    until: float


def obstacle(state: State, moment: Moment) -> Obstacle | None:
    """Return what keeps the staged attempt waiting now; None when it may ask."""
    return _held(state, moment) or _too_soon(state, moment) or _outside(state, moment)


def _held(state: State, moment: Moment) -> Obstacle | None:
    override = state.record.override
    if override is None or not override.stands(moment.wall_seconds):
        return None
    why = f": {plain(override.reason, 200)}" if override.reason else ""
    return Obstacle(Code.HELD_LOCALLY, f"{override.kind.value} by {override.actor}{why}", override.until)


def _too_soon(state: State, moment: Moment) -> Obstacle | None:
    """An instant ahead of the clock is a clock that was set back: it is no reason to wait for years."""
    started, interval = state.record.started_at, state.policy.min_interval_seconds
    if goes_back(state) or started is None or not 0 <= moment.wall_seconds - started < interval:
        return None
    text = f"the last update began {moment.wall_seconds - started:.0f} s ago, two are {interval:g} s apart"
    return Obstacle(Code.TOO_SOON, text, started + interval)


def _outside(state: State, moment: Moment) -> Obstacle | None:
    """No window is open, or too little of it is left. A zone that is not known keeps the host closed, and says so."""
    policy = state.policy
    if not policy.windows:
        return None
    now = datetime.fromtimestamp(moment.wall_seconds, timezone.utc)
    try:
        found = find_opening(policy.windows, now, policy.time_zone, policy.expected_seconds)
    except RequestError as error:
        text = f"the windows count as closed: {error}"
        return Obstacle(Code.WINDOW, text, moment.wall_seconds + state.rules.ask_interval)
    if found is None:
        text = f"no window of the next {SEARCH_DAYS} days has the {policy.expected_seconds:g} s that the work takes"
        return Obstacle(Code.WINDOW, text, moment.wall_seconds + MAX_SECONDS)
    if found.begins <= now:
        return None
    return Obstacle(Code.WINDOW, _when(found, policy), found.begins.timestamp())


def _when(opening: Opening, policy: Policy) -> str:
    """Say when it opens and closes, by the clocks of the window with which it opens."""
    name = opening.window.zone_name(policy.time_zone)
    zone = find_zone(name)
    begins, ends = (f"{at.astimezone(zone):%Y-%m-%d %H:%M}" for at in (opening.begins, opening.ends))
    text = f"the next opening with the {policy.expected_seconds:g} s that the work takes is from {begins} to {ends}"
    return f"{text} {name} ({opening.window})"


def counts(state: State) -> bool:
    """Tell whether the attempt counts as an update: a way back does not, nor does a stop on a required way up.

    A stop that this host has just left by a way back is an update: it was made once already.
    """
    attempt = state.record.attempt
    is_hop = attempt is not None and attempt.about is not None and attempt.about.hop and not _is_previous(state)
    return not goes_back(state) and not is_hop


def goes_back(state: State) -> bool:
    """Tell whether the attempt leads down to the version before, which is on this disk: no way back has to wait.

    Up again is an update: else a server might change a host to and fro as often as it likes.
    """
    attempt = state.record.attempt
    return attempt is not None and attempt.sha256 in _before(state).values()


def version_before(state: State) -> str:
    """Return the digest of the version before, where a server's attempt leads down to that; empty = it does not.

    What a person on the host starts, and the host by itself, takes what is listed.
    """
    attempt = state.record.attempt
    return "" if attempt is None or attempt.local else _before(state).get(attempt.version, "")


def _before(state: State) -> dict[str, str]:
    """Return what the running attempt may go back to: digests by version; empty where it leads up."""
    attempt, running = state.record.attempt, here_of(state.running.version, "").running
    if attempt is None or running is None or not Version.parse(attempt.version) < running:
        return {}
    return _previous(state)


def _is_previous(state: State) -> bool:
    """Tell whether the attempt is of the version before, which is on this disk, whichever of the two is newer."""
    attempt = state.record.attempt
    return attempt is not None and attempt.sha256 in _previous(state).values()


def _previous(state: State) -> dict[str, str]:
    """Return the version before as product record and launcher know it: digests by version."""
    record = state.record
    known = {record.previous.version: record.previous.sha256} if record.previous is not None else {}
    if state.launcher is not None and state.launcher.previous is not None:
        known[state.launcher.previous.version] = state.launcher.previous.digest
    return known
