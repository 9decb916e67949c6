"""Who is online: one notion for lists, watchers and rollouts.

A host is online while it has a session, and after its end for as long as it may be on its way back: three missed
heartbeats for one that holds its stream, two of its intervals for one that checks in. Each hello ends that time.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from fleetroll_server.domain.deadlines import OFFLINE_SECONDS

CHECK_INS = 2
"""Intervals after which a host that checks in has missed its time."""


def online_until(heard_at: datetime, check_in_seconds: float = 0.0) -> datetime:
    """Return until when a host without a session counts as online.

    Args:
        heard_at: its last word, or since when a server is there to be spoken to, whichever is later.
        check_in_seconds: how often it comes, >= 0; 0 = it holds its stream.
    """
    return heard_at + timedelta(seconds=max(OFFLINE_SECONDS, CHECK_INS * check_in_seconds))


def checks_in_seconds(own: float | None, named: float) -> float:
    """Return how often a host is expected: the longer of its own interval and the server's, of which it takes one.

    Args:
        own: what its hello says, in seconds; None = it holds its stream.
        named: what each welcome names, >= 60 s.

    Returns:
        0 for a host that holds its stream.
    """
    return 0.0 if own is None else max(own, named)
