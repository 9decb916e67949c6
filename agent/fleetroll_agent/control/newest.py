"""Which release of a product is the newest that this host may take: the signed list meets agent.toml. Pure.

As at the server: a pre-release is only ever named, and where agent.toml allows any channel it is the stable one.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from fleetroll_agent.jobs.ruling import here_of, objection
from fleetroll_common.values.errors import FleetrollError
from fleetroll_common.values.manifest_custom import ManifestCustom, describe
from fleetroll_common.values.version import Version

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fleetroll_agent.jobs.policy import Policy
    from fleetroll_common.trust.listing import ListedTarget, Offered
    from fleetroll_common.values.platform import Platform
    from fleetroll_common.values.release import ReleaseCustom

STABLE = ("stable",)


def newest(offered: Offered, policy: Policy, here: Platform, running: str, floor: str = "") -> Version | None:
    """Return the highest version that is listed for ``here`` and that ``policy`` allows; None when there is none.

    A person asks: what failed here before is refused by the rules, in words, and not passed over in silence.

    Args:
        offered: what the product's verified role lists, and what its publisher rules.
        policy: of this host.
        here: the platform.
        running: the version that runs; empty = none is known.
        floor: that this host remembers; empty = none.
    """
    return max((custom.version for _, custom in admissible(offered, policy, here, running, floor)), default=None)


def admissible(
    offered: Offered, policy: Policy, here: Platform, running: str, floor: str = ""
) -> Iterable[tuple[ListedTarget, ReleaseCustom | ManifestCustom]]:
    """Yield what is listed for ``here`` and allowed by ``policy`` and publisher, with its description; as in newest.

    What is reached by way of another version is passed over, so that one's turn comes first.
    """
    host = here_of(running, floor)
    for target, custom in _described(offered.targets):
        ruled = objection(offered.policy, custom.version, target.sha256, host)
        if ruled is None and _is_allowed(custom, policy, here, running):
            yield target, custom


def _described(listed: Iterable[ListedTarget]) -> Iterable[tuple[ListedTarget, ReleaseCustom | ManifestCustom]]:
    """Yield what can be read; another kind, or a newer publisher's, is judged when it is asked for by name."""
    for target in listed:
        with contextlib.suppress(FleetrollError):
            yield target, describe(target.custom)


def _is_allowed(custom: ReleaseCustom | ManifestCustom, policy: Policy, here: Platform, running: str) -> bool:
    channels = STABLE if policy.allowed_channels is None else policy.allowed_channels
    since = custom.supported_from
    return (
        (isinstance(custom, ManifestCustom) or custom.platform.covers(here))
        and not custom.version.pre
        and bool(set(channels) & set(custom.channels))
        and (since is None or not running or Version.parse(running) >= since)
        and (policy.pin is None or policy.pin.admits(custom.version))
    )
