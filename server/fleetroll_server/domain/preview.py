"""What a person is shown before a start: the plan in numbers, how long, how much, and what they should know.

The plan itself is made by :mod:`fleetroll_server.domain.plan`, as for the start; nothing here decides about a host.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleetroll_common.values.standing import VersionStanding, version_standing
from fleetroll_server.domain.estimate import per_host, wave_seconds
from fleetroll_server.domain.limits import OfflinePolicy

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from fleetroll_common.values.codes import Code
    from fleetroll_server.domain.eligible import HostFacts, ReleaseFacts
    from fleetroll_server.domain.estimate import PerHost
    from fleetroll_server.domain.limits import RolloutLimits
    from fleetroll_server.domain.plan import Plan, PlannedWave

_NAMED = 5
"""Hosts that a warning names."""
_THEN = {
    OfflinePolicy.WAIT: "they wait until not_after and hold up no wave",
    OfflinePolicy.SKIP: "each that is offline when its turn comes is skipped",
    OfflinePolicy.FAIL: "each that is offline when its turn comes counts as failed",
}


@dataclass(frozen=True, slots=True)
class Announced:
    """What the release says of itself.

    Attributes:
        facts: as the plan knows it.
        sizes: bytes of each artefact by its hash.
        breaking_changes: empty for none.
        acknowledged: whoever asks accepts them.
        migrations_required: it changes data.
    """

    facts: ReleaseFacts
    sizes: Mapping[str, int]
    breaking_changes: str
    acknowledged: bool
    migrations_required: bool


@dataclass(frozen=True, slots=True)
class WavePreview:
    """One wave in numbers."""

    wave: PlannedWave
    download_bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Warned:
    """What a person should know; ``hosts`` says how many it is about, 0 for none in particular."""

    kind: str
    message: str
    hosts: int = 0


@dataclass(frozen=True, slots=True)
class Preview:
    """Everything but the release's own words."""

    waves: tuple[WavePreview, ...]
    excluded: Mapping[Code, int]
    one: PerHost
    warnings: tuple[Warned, ...]

    @property
    def hosts(self) -> int:
        """Return how many hosts take part."""
        return sum(len(each.wave.hosts) for each in self.waves)

    @property
    def seconds(self) -> float:
        """Return how long all waves take, one after the other."""
        return sum(each.seconds for each in self.waves)

    @property
    def download_bytes(self) -> int:
        """Return what all hosts load."""
        return sum(each.download_bytes for each in self.waves)


def preview(
    plan: Plan,
    release: Announced,
    limits: RolloutLimits,
    *,
    online: frozenset[str],
    durations_seconds: Sequence[float],
    refused: str,
) -> Preview:
    """Put a plan into numbers.

    Args:
        plan: as a start would store it.
        release: what is rolled out.
        limits: in force.
        online: ids of the hosts that are online now.
        durations_seconds: how long updates of the product took, from Go to the end.
        refused: why no start is possible now, whatever it is; empty when one is.
    """
    one = per_host(durations_seconds, limits)
    waves = tuple(
        WavePreview(wave, _bytes(wave.hosts, release), wave_seconds(len(wave.hosts), one, limits))
        for wave in plan.waves
    )
    excluded = Counter(found.code for found in plan.exclusions)
    warnings = tuple(_warnings(plan, release, limits, online, refused))
    return Preview(waves, dict(sorted(excluded.items())), one, warnings)


def _bytes(hosts: Iterable[HostFacts], release: Announced) -> int:
    """Return what these hosts load: each the artefact that fits it best."""
    return sum(release.sizes[release.facts.sha256_for(host.platform)] for host in hosts)


def _warnings(
    plan: Plan, release: Announced, limits: RolloutLimits, online: frozenset[str], refused: str
) -> Iterable[Warned]:
    """Give what a person should know, what refuses a start first."""
    hosts = [host for wave in plan.waves for host in wave.hosts]
    if refused:
        yield Warned("suspended", f"no start is possible now: {refused}")
    if release.breaking_changes and not release.acknowledged:
        yield Warned("breaking_changes", "the release has breaking changes: a start must acknowledge them")
    if release.migrations_required:
        yield Warned("migrations", "the release migrates data: hosts whose agent.toml has no migrate command refuse it")
    if len(plan.waves) == 1 and len(hosts) > 1 and limits.max_concurrent > 1:
        yield Warned("no_canary", "there is one wave: no smaller group proves the release before it", len(hosts))
    offline = [host for host in hosts if host.agent_id not in online]
    yield from _about("offline", offline, f"offline now: {_THEN[limits.offline_policy]}")
    bare = [host for host in hosts if not host.version]
    yield from _about("no_previous", bare, "without a known version: nothing is there to go back to")
    newer = [host for host in hosts if version_standing(host.version, release.facts.version) is VersionStanding.NEWER]
    yield from _about("downgrade", newer, "on a newer version: this takes them back")


def _about(kind: str, hosts: Sequence[HostFacts], what: str) -> Iterable[Warned]:
    """Give the warning about these hosts, if there are any."""
    if hosts:
        names = ", ".join(host.name for host in hosts[:_NAMED])
        more = f" and {len(hosts) - _NAMED} more" if len(hosts) > _NAMED else ""
        yield Warned(kind, f"{len(hosts)} of the hosts {what} ({names}{more})", len(hosts))
