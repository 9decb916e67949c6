"""What may be rolled out: releases as the server lists them, what their publisher rules, and how many hosts have them.

Who runs what is counted from the hosts, live; everything else is as old as the last list.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from fleetroll_tui.model.versions import parsed

if TYPE_CHECKING:
    from collections import Counter

    from fleetroll_tui.model.shelf import Shelf
    from fleetroll_tui.model.values import Host

LISTED, YANKED, RETIRED, REVOKED = "listed", "yanked", "retired", "revoked"
RELEASE_STATES = (LISTED, YANKED, RETIRED, REVOKED)
BETWEEN = "\x1f"
"""Between product and version where one text stands for both: no name holds it."""


@dataclass(frozen=True, slots=True)
class Artefact:
    """The bytes of a release for one platform; hashes are 64 hex digits, or "" where there is none."""

    platform: str
    path: str
    length: int
    sha256: str
    manifest_sha256: str = ""


@dataclass(frozen=True, slots=True)
class Release:
    """One version of a product.

    Attributes:
        reason: why it is not listed; "" while it is.
        said: why it was published, if anybody gave a reason.
        runs: hosts that run it.
        wanted: hosts that are meant to run it and do not yet.
        keys: ids of the keys that sign for its product; empty where nobody said.
    """

    id: str
    product: str
    version: str
    channels: tuple[str, ...] = ()
    git_sha: str = ""
    at: float = 0.0
    migrations: bool = False
    breaking: str = ""
    notes: str = ""
    artefacts: tuple[Artefact, ...] = ()
    by: str = ""
    said: str = ""
    supported_from: str = ""
    state: str = LISTED
    reason: str = ""
    runs: int = 0
    wanted: int = 0
    keys: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Return what people call it."""
        return f"{self.product} {self.version}"

    @property
    def length(self) -> int:
        """Return the bytes of the largest artefact: what one host fetches at most."""
        return max((each.length for each in self.artefacts), default=0)

    @property
    def platforms(self) -> tuple[str, ...]:
        """Return what it runs on."""
        return tuple(each.platform for each in self.artefacts)


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A release that was taken off the list; ``sha256`` is a revoked artefact's."""

    version: str
    state: str
    reason: str = ""
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the publisher rules about a product; ``serial`` 0: nothing was ever ruled."""

    role_version: int = 0
    serial: int = 0
    floor: str = ""
    intermediates: tuple[str, ...] = ()
    withdrawn: tuple[Withdrawn, ...] = ()


@dataclass(frozen=True, slots=True)
class InUse:
    """A version that hosts still need: hosts that run it, whose way back it is, that are meant to run it."""

    version: str
    running: int = 0
    previous: int = 0
    wanted: int = 0
    intermediate: bool = False


@dataclass(frozen=True, slots=True)
class Stranded:
    """A host that a floor would leave without a way up, and why."""

    name: str
    version: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class FloorPreview:
    """What a floor would mean: hosts below it, those of them without a way up, the first of these by name."""

    below: int = 0
    stranded: int = 0
    hosts: tuple[Stranded, ...] = ()


@dataclass(frozen=True, slots=True)
class Listed:
    """A product whose releases are signed by keys of its own."""

    name: str
    role_version: int = 0
    expires_at: float = 0.0
    releases: int = 0


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Everything that is published, as it stood when it was listed."""

    releases: tuple[Release, ...] = ()
    products: dict[str, Listed] = field(default_factory=dict)
    policies: dict[str, Policy] = field(default_factory=dict)


EMPTY = Catalogue()


def place_of(product: str, version: str) -> str:
    """Return one text for a version of a product."""
    return f"{product}{BETWEEN}{version}"


def counts_of(host: Host) -> list[tuple[str, str]]:
    """Return what a host counts for, of each of its products.

    "runs" and "wants" are counted by place, "homes" by place and fleet; a version that nobody knows is "".
    """
    found = []
    for product in host.products:
        place = place_of(product.name, product.current)
        found += [("runs", place), ("homes", f"{place}{BETWEEN}{host.fleet_id}")]
        if product.target and product.target != product.current:
            found.append(("wants", place_of(product.name, product.target)))
    return found


def counted(release: Release, runs: Counter[str], wants: Counter[str]) -> Release:
    """Return a release with the hosts that have it now."""
    place = place_of(release.product, release.version)
    now = max(0, runs[place]), max(0, wants[place])
    return release if now == (release.runs, release.wanted) else replace(release, runs=now[0], wanted=now[1])


def recount(shelf: Shelf[Release], runs: Counter[str], wants: Counter[str]) -> None:
    """Bring the numbers of hosts on a shelf up to date; what has not changed is not touched."""
    for release in list(shelf):
        new = counted(release, runs, wants)
        if new is not release:
            shelf.put(release.id, new)


@dataclass(frozen=True, slots=True)
class Spread:
    """Which hosts a release concerns: those that have its product."""

    runs: int = 0
    wanted: int = 0
    older: int = 0
    newer: int = 0
    unknown: int = 0

    @property
    def hosts(self) -> int:
        """Return how many have the product."""
        return self.runs + self.older + self.newer + self.unknown


def spread_of(release: Release, runs: Counter[str]) -> Spread:
    """Return how the hosts that have its product stand to a release: a pass over the versions that are about."""
    want = parsed(release.version)
    older = newer = unknown = 0
    for place, hosts in runs.items():
        product, _, version = place.partition(BETWEEN)
        if product != release.product or version == release.version or hosts <= 0:
            continue
        have = parsed(version)
        if have is None or want is None:
            unknown += hosts
        elif have < want:
            older += hosts
        else:
            newer += hosts
    return Spread(release.runs, release.wanted, older, newer, unknown)


def fleets_of(release: Release, homes: Counter[str]) -> dict[str, int]:
    """Return how many hosts of each fleet run a release, the most first."""
    begin = place_of(release.product, release.version) + BETWEEN
    found = {
        place.removeprefix(begin): hosts for place, hosts in homes.items() if hosts > 0 and place.startswith(begin)
    }
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))
