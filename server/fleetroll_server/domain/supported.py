"""From which version on a release updates: hosts below it need one in between. Hosts judge by the same rule."""

from __future__ import annotations

from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.version import Version


def is_below(running: str, supported_from: str) -> bool:
    """Tell whether a host is too old for a release. What can't be compared is left to the host, which knows better.

    Args:
        running: the version that runs there; empty where none does, or none is known.
        supported_from: of the release; empty: it updates every version.
    """
    if not running or not supported_from:
        return False
    try:
        return Version.parse(running) < Version.parse(supported_from)
    except RequestError:
        return False
