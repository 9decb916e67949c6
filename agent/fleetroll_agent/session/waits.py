"""How long to wait before the next stream. Pure.

Full jitter after the cap: a fleet that comes back from an outage spreads over the whole interval. A trial does not wait
for its turn: its lease is running. A host that was refused for good keeps asking, slowly: the decision may be undone.

What a server names is a wish within bounds: no server, and nobody in its place, can silence a host for longer than
:data:`MAX_NAMED_SECONDS`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_agent.session.facts import End
from fleetroll_common.values.backoff import full_jitter
from fleetroll_common.values.codes import Code

if TYPE_CHECKING:
    from fleetroll_agent.session.facts import Ended
    from fleetroll_agent.settings import Settings

SLOW_SECONDS = 3600.0
"""For a host that a person has to let in again: once an hour, give or take half of it."""

MAX_NAMED_SECONDS = 3600.0
"""The longest wait that a server's word is good for: a restart or a storm is over by then, and the host's own back-off
does the rest."""

_FOR_GOOD = frozenset(
    {
        Code.IDENTITY_REVOKED,
        Code.IDENTITY_FORKED,
        Code.IDENTITY_UNKNOWN,
        Code.BAD_SIGNATURE,
        Code.PROTOCOL_UNSUPPORTED,
    }
)
_AT_ONCE = frozenset({Code.STALE_HELLO})
"""Another stream of this host came first, or a late hello: say it again."""
MAX_AT_ONCE = 3
"""In a row; more of them are a fault somewhere, and a loop without a wait would feed it."""


def next_wait_seconds(ended: Ended, failures: int, settings: Settings, random01: float, *, on_trial: bool) -> float:
    """Return the seconds to wait before the next stream.

    Args:
        ended: how the last one ended.
        failures: streams in a row that did not open, this one included; 0 after a session that was open.
        settings: base and cap.
        random01: a random number in [0, 1).
        on_trial: this version is on trial.
    """
    named = None if ended.retry_after_seconds is None else named_wait_seconds(ended.retry_after_seconds)
    base, cap = settings.reconnect_base_seconds, settings.reconnect_cap_seconds
    if ended.code in _AT_ONCE and failures <= MAX_AT_ONCE:
        return 0.0
    if ended.code in _FOR_GOOD:
        return SLOW_SECONDS * (0.5 + random01)
    if ended.kind is End.VISITED:
        return ended.retry_after_seconds or SLOW_SECONDS
    if ended.kind is End.RENEWED:
        return full_jitter(0, base, base, random01)
    if on_trial:
        return min(named or 0.0, cap) + full_jitter(0, base, base, random01)
    if ended.kind is End.DRAINED:
        return (named or 0.0) + full_jitter(0, base, base, random01)
    own = full_jitter(max(0, failures - 1), base, cap, random01)
    return own if named is None else named + own


def named_wait_seconds(seconds: float) -> float:
    """Return how much of a wait that a server named is kept: 0 for what is no time to come, an hour at most."""
    return min(seconds, MAX_NAMED_SECONDS) if seconds > 0 else 0.0
