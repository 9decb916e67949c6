"""What a security floor means for hosts: which of them it leaves without a way up. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fleetroll_common.values.platform import Platform
    from fleetroll_common.values.product_policy import ProductPolicy
    from fleetroll_common.values.version import Version


@dataclass(frozen=True, slots=True)
class Rung:
    """A listed release as a host may step on it.

    Attributes:
        platforms: what its artefacts are built for.
        supported_from: hosts below this version are not updated to it; None = all are.
    """

    platforms: frozenset[Platform]
    supported_from: Version | None = None


def no_way_up(running: Version, platform: Platform | None, rungs: Mapping[Version, Rung], policy: ProductPolicy) -> str:
    """Return why a host below the floor can't come up to it; empty where it can.

    A way leads from release to release, each one listed for the host's platform and willing to update what runs before
    it. Below the floor only required intermediates may be stepped on, and none of them is jumped over.

    Args:
        running: the version that runs on the host.
        platform: of the host; None = it says none that is known.
        rungs: what is listed, by version.
        policy: with the floor that is asked about; what it has set as intermediates counts.
    """
    floor = policy.floor
    if floor is None or running >= floor:
        return ""
    if platform is None:
        return "its platform is not known"
    goals = [version for version, rung in rungs.items() if version >= floor and _runs_on(rung, platform)]
    if not goals:
        return f"nothing at or above {floor} is listed for {platform}"
    faults = [_blocked(running, goal, platform, rungs, policy) for goal in sorted(goals)]
    return "" if "" in faults else faults[0]


def _blocked(
    running: Version, goal: Version, platform: Platform, rungs: Mapping[Version, Rung], policy: ProductPolicy
) -> str:
    """Return what stands in the way from ``running`` to ``goal``; empty for nothing."""
    here = running
    while here < goal:
        there = policy.next_hop(here, goal)
        rung = rungs.get(there)
        if rung is None or not _runs_on(rung, platform):
            return f"{there} is required before {goal}, and not listed for {platform}"
        if rung.supported_from is not None and here < rung.supported_from:
            return f"{there} updates nothing below {rung.supported_from}, and no intermediate leads there from {here}"
        here = there
    return ""


def _runs_on(rung: Rung, platform: Platform) -> bool:
    """Tell whether a release has an artefact for ``platform``."""
    return any(built_for.covers(platform) for built_for in rung.platforms)
