"""The agent's own releases: as small as can be, complete, and for exactly this platform."""

from __future__ import annotations

from functools import cache

from fleetroll_common.values.platform import Platform
from tests.crash.agent.scenarios import AGENT
from tests.crash.products.releases import Release


@cache
def release(version: str) -> Release:
    """Return the release of a version."""
    return Release(version, product=AGENT, platform=Platform.current())
