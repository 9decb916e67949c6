"""*Behind* is lower than the newest release that a host may take: the one function of selections, tiles and filters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_common.values.standing import VersionStanding, version_standing
from fleetroll_common.values.version import Version

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fleetroll_common.values.platform import Platform
    from fleetroll_server.domain.eligible import ReleaseFacts


class Newest:
    """The newest release by platform, of those that a channel and whatever else is ruled allow.

    Asked for a whole fleet it looks through the releases once for each platform, not for each host.
    """

    def __init__(self, allowed: Iterable[ReleaseFacts]) -> None:
        """Take what hosts may begin with, of one product, in any order."""
        self._allowed = sorted(allowed, key=lambda release: Version.parse(release.version), reverse=True)
        self._known: dict[Platform | None, str] = {}

    def version_for(self, platform: Platform | None) -> str:
        """Return the version of the newest release with an artefact for ``platform``; empty when there is none."""
        if platform not in self._known:
            fitting = (release.version for release in self._allowed if release.sha256_for(platform))
            self._known[platform] = next(fitting, "")
        return self._known[platform]

    def standing(self, running: str, platform: Platform | None) -> VersionStanding:
        """Return how a host that runs the version ``running`` stands to it."""
        return version_standing(running, self.version_for(platform))

    def is_behind(self, running: str, platform: Platform | None) -> bool:
        """Tell whether a host is behind. Who runs nothing, a development build or something newer is not."""
        return self.standing(running, platform) is VersionStanding.BEHIND
