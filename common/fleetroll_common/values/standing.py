"""How the version that runs stands to the one that should: the one comparison for selections, tiles and filters. Pure.

Which version should run is another question: the server's ``domain.behind`` answers it for a host's platform.
"""

from __future__ import annotations

from enum import Enum
from functools import lru_cache

from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.version import Version


class VersionStanding(str, Enum):
    """Where a host stands; exactly one of these, and only BEHIND is out of date."""

    CURRENT = "current"
    BEHIND = "behind"
    NEWER = "newer"
    """It runs something above: a pre-release, or what was taken back since."""
    DEV = "dev"
    """It runs a build that nobody published."""
    UNKNOWN = "unknown"
    """It runs nothing, something that is no version, or there is nothing to compare it with."""


def version_standing(running: str, newest: str) -> VersionStanding:
    """Compare.

    Args:
        running: what the host runs; empty for nothing.
        newest: what it should run; empty where there is no such thing. A development build is nothing to go by.
    """
    have, want = _parsed(running), _parsed(newest)
    if have is None:
        return VersionStanding.UNKNOWN
    if have.is_dev:
        return VersionStanding.DEV
    if want is None or want.is_dev:
        return VersionStanding.UNKNOWN
    if have == want:
        return VersionStanding.CURRENT
    return VersionStanding.BEHIND if have < want else VersionStanding.NEWER


@lru_cache(maxsize=4096)
def _parsed(text: str) -> Version | None:
    """Return a version; None for text that is none."""
    try:
        return Version.parse(text)
    except RequestError:
        return None
