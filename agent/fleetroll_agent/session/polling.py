"""A host that does not hold its stream: when it leaves, and when it comes again. Pure.

It opens the same stream, says the same hello, and is reconciled the same way. It stays while something is going on for
which a server may have a word, and while the server does not hold all its reports; then it says goodbye until the next
check-in, which the server names, or until what an attempt rests for is over, where that is sooner: it has no session
while it rests, so nothing else would wake it for a window. Whenever it has something to say it comes at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_agent.jobs.obstacles import obstacle
from fleetroll_agent.jobs.state import is_staged
from fleetroll_agent.settings import Session
from fleetroll_common.values.codes import Code

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fleetroll_agent.jobs.state import State
    from fleetroll_agent.jobs.values import Moment
    from fleetroll_agent.settings.values import HostSettings

FLOOR_SECONDS, CEILING_SECONDS = 60.0, 86400.0
"""Bounds of what a server may name: more often serves nobody, and after a day of silence a host is forgotten."""
SPREAD = 0.1
_RESTING = frozenset({Code.HELD_LOCALLY, Code.TOO_SOON, Code.WINDOW, Code.CLOCK_SKEW})
"""Why a staged attempt waits by the host's own rules: no server has a word in it until then."""


def polled_seconds(settings: HostSettings) -> float | None:
    """Return how often this host checks in; None where it holds its stream."""
    return float(settings.check_in_seconds) if settings.session is Session.POLL else None


def is_busy(states: Iterable[State], *, on_trial: bool) -> bool:
    """Tell whether the stream is held: a trial waits for its Promote, an attempt for its Go or its end."""
    return on_trial or any(has_work(state) for state in states)


def next_check_in_seconds(named: float, own: float, random01: float, rest: float | None = None) -> float:
    """Return after how many seconds the host comes again.

    Args:
        named: by the server, in its Welcome: before it knew what an attempt has come to wait for since; 0 = it named
            none.
        own: of agent.toml.
        random01: a random number in [0, 1); spreads what the server did not.
        rest: as :func:`rest_seconds` says.
    """
    wanted = named if named > 0 else own * (1 - SPREAD + 2 * SPREAD * random01)
    wanted = wanted if rest is None else min(wanted, rest)
    return min(max(FLOOR_SECONDS, wanted), CEILING_SECONDS)


def rest_seconds(states: Iterable[State], moment: Moment) -> float | None:
    """Return after how many seconds the first of the resting attempts may go on; None = none rests."""
    return min((_left_seconds(state, moment) for state in states if _rests(state)), default=None)


def has_work(state: State) -> bool:
    """Tell whether an attempt goes on that does not merely wait by the host's own rules."""
    return state.record.attempt is not None and not _rests(state)


def _rests(state: State) -> bool:
    attempt = state.record.attempt
    return attempt is not None and state.note in _RESTING and not attempt.past_go


def _left_seconds(state: State, moment: Moment) -> float:
    """Return how long it rests: what the host has reported, as it is now.

    Clocks that differ have no end that is known here; they are looked at again after the interval, as is reported.
    """
    if not is_staged(state.record.attempt):
        return 0.0 if state.retry_at is None else state.retry_at - moment.boot_seconds
    wait = obstacle(state, moment)
    return state.rules.ask_interval if wait is None else wait.until - moment.wall_seconds
