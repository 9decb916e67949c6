"""Failed hosts of a rollout, put together by what they said and by what they share.

Rules:

1. Two hosts belong together when they ended with the same code, and said the same but for numbers, ids and quotations.
2. A cluster's trait is what at least four of five of its hosts share, when clearly fewer of all that were tried do:
   that nearly all hosts run Linux explains nothing.
3. One host alone shares nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from fleetroll_tui.model.values import BAD

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from fleetroll_tui.model.values import Host, Member

SHARED = 0.8
"""Of a cluster's hosts that must have a trait."""
TELLS = 0.2
"""By how much more of the cluster's hosts must have it than of all that were tried."""
MOST_TRAITS = 3
MOST_SHAPE_CHARS = 200
_VARYING = (
    (re.compile(r"\b[0-9a-f]{8,}\b", re.IGNORECASE), "…"),
    (re.compile(r"\b(?:agent|rollout)-[a-z2-7]{8,}\b"), "…"),
    (re.compile(r"'[^']{1,200}'|\"[^\"]{1,200}\""), "'…'"),
    (re.compile(r"\d+(?:\.\d+)*"), "#"),
)


class Known(Protocol):
    """Hosts by their ids."""

    def get(self, key: str, /) -> Host | None:
        """Return a host; None for one that is not known."""


@dataclass(frozen=True, slots=True)
class Trait:
    """What hosts of a cluster share: ``hosts`` of them, and ``tried`` of all hosts that were tried."""

    name: str
    hosts: int
    tried: int


@dataclass(frozen=True, slots=True)
class Cluster:
    """Hosts that failed alike.

    Attributes:
        id: of the cluster, the same while its hosts come and go.
        code: why they ended.
        shape: what they said, without what differs.
        hosts: how many.
        failed: how many failed in all.
        traits: what they share, the most telling first.
        example: id of the host whose word is the newest.
        message: its word.
        newest_at: seconds since the epoch.
    """

    id: str
    code: str
    shape: str
    hosts: int
    failed: int
    traits: tuple[Trait, ...]
    example: str
    message: str
    newest_at: float

    @property
    def words(self) -> str:
        """Return it in one sentence, such as ``19 of 22: HEALTH_TIMEOUT, all arch=arm64``."""
        shared = [_said(trait, self.hosts) for trait in self.traits]
        return ", ".join([f"{self.hosts} of {self.failed}: {self.code or 'no code'}", *shared])


def clusters(members: Iterable[Member], hosts: Known) -> tuple[Cluster, ...]:
    """Put the failed ones among the hosts of a rollout together; the largest cluster comes first."""
    tried: Counter[str] = Counter()
    groups: dict[tuple[str, str], list[Member]] = {}
    attempted = failed = 0
    for member in members:
        bad = member.attempt.state in BAD
        if not (bad or member.attempt.granted_at):
            continue
        attempted += 1
        tried.update(set(_traits(member, hosts.get(member.id))))
        if bad:
            failed += 1
            groups.setdefault((member.attempt.code, shape_of(member.attempt.message)), []).append(member)
    found = [_cluster(key, group, failed, hosts, tried, attempted) for key, group in groups.items()]
    return tuple(sorted(found, key=lambda cluster: (-cluster.hosts, cluster.code, cluster.shape)))


def shape_of(message: str) -> str:
    """Return what a host said without what differs from host to host."""
    shape = message[: 2 * MOST_SHAPE_CHARS]
    for pattern, instead in _VARYING:
        shape = pattern.sub(instead, shape)
    return " ".join(shape.split())[:MOST_SHAPE_CHARS]


def _cluster(
    key: tuple[str, str],
    group: list[Member],
    failed: int,
    hosts: Known,
    tried: Counter[str],
    attempted: int,
) -> Cluster:
    newest = max(group, key=lambda member: (member.changed_at, member.id))
    shared: Counter[str] = Counter()
    for member in group:
        shared.update(set(_traits(member, hosts.get(member.id))))
    telling = [
        (count / len(group) - tried[name] / attempted, Trait(name, count, tried[name]))
        for name, count in shared.items()
        if len(group) > 1 and count >= SHARED * len(group)
    ]
    best = sorted(
        ((lift, trait) for lift, trait in telling if lift >= TELLS),
        key=lambda found: (-found[0], -found[1].hosts, found[1].name),
    )
    traits = tuple(trait for _lift, trait in best[:MOST_TRAITS])
    ident = f"{key[0]}/{key[1]}"
    code, shape = key
    message = newest.attempt.message
    return Cluster(ident, code, shape, len(group), failed, traits, newest.id, message, newest.changed_at)


def _traits(member: Member, host: Host | None) -> Iterator[str]:
    if member.attempt.from_version:
        yield f"from {member.attempt.from_version}"
    yield f"wave {member.wave}"
    if host is None:
        return
    yield f"arch={host.arch}"
    yield f"os={host.os}"
    if host.container:
        yield "in a container"
    for key, value in host.labels.items():
        yield f"{key}={value}"


def _said(trait: Trait, hosts: int) -> str:
    return f"all {trait.name}" if trait.hosts == hosts else f"{trait.hosts} of {hosts} {trait.name}"
