"""Whether a host can take a release at all: the one list of reasons that plan, preview, offers and ``why`` read.

What stands here is true until somebody changes host or release; what passes by itself stands in
:mod:`fleetroll_server.domain.turn`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fleetroll_common.values.codes import Code
from fleetroll_server.domain.hostrules import (
    UNRULED,
    HostRules,
    never_fits,
    other_major,
    outside_channel,
    outside_pin,
    switched_off,
)
from fleetroll_server.domain.supported import is_below

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from fleetroll_common.values.platform import Platform


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What a plan must know about one host.

    Attributes:
        agent_id: its id, unique.
        name: its name; unique among hosts that aren't revoked.
        labels: label values by name.
        platform: of the host; None when it never told one that can be.
        version: what it runs of the product now; empty when it runs none.
        revoked: its identity was revoked.
        claimed_by: the rollout that holds the product on this host; empty when none does.
        cohorts: groups that may fail together.
        keeps: it keeps the product, by its own word; with nothing installed too.
        rules: what its policy means for it; the ones of no policy forbid nothing.
    """

    agent_id: str
    name: str
    labels: Mapping[str, str]
    platform: Platform | None
    version: str
    revoked: bool
    claimed_by: str
    cohorts: tuple[str, ...] = ()
    keeps: bool = True
    rules: HostRules = UNRULED


@dataclass(frozen=True, slots=True)
class ReleaseFacts:
    """What is rolled out.

    Attributes:
        product: its product.
        version: its version.
        artifacts: the hash of each artefact by what it is built for, some for more than one kind of host.
        supported_from: the oldest version that it updates; empty for every one.
        channels: in which it is.
        revoked: its digests must not run.
    """

    product: str
    version: str
    artifacts: Mapping[Platform, str] = field(default_factory=dict)
    supported_from: str = ""
    channels: tuple[str, ...] = ()
    revoked: bool = False

    def sha256_for(self, told: Platform | None) -> str:
        """Return the hash of the artefact that fits a host best; empty when none does."""
        fits = told.candidates() if told is not None else ()
        return next((self.artifacts[one] for one in fits if one in self.artifacts), "")


@dataclass(frozen=True, slots=True)
class Objection:
    """One reason why a host can't take a release; ``message`` names the host."""

    code: Code
    message: str


def objections(host: HostFacts, release: ReleaseFacts) -> Iterator[Objection]:
    """Give every reason, in the order in which a person wants to hear them; the first one is what is acted on."""
    for rule in RULES:
        found = rule(host, release)
        if found is not None:
            yield Objection(found.code, f"{host.name}: {found.message}")


def objection(host: HostFacts, release: ReleaseFacts) -> Objection | None:
    """Return the first reason; None when the host can take the release."""
    return next(objections(host, release), None)


def policy_objection(host: HostFacts, release: ReleaseFacts) -> Objection | None:
    """Return the first reason that the host's policy has; None when it has none."""
    return next((found for rule in POLICY_RULES if (found := rule(host, release)) is not None), None)


def _revoked(host: HostFacts, _release: ReleaseFacts) -> Objection | None:
    return Objection(Code.HOST_REVOKED, "its identity was revoked") if host.revoked else None


def _does_not_keep(host: HostFacts, release: ReleaseFacts) -> Objection | None:
    if host.keeps:
        return None
    return Objection(Code.NOT_OPTED_IN, f"keeps no product {release.product} (agent.toml names none)")


def _at_target(host: HostFacts, release: ReleaseFacts) -> Objection | None:
    if host.version != release.version:
        return None
    return Objection(Code.ALREADY_AT_TARGET, f"runs {release.product} {release.version} already")


def _digest_revoked(_host: HostFacts, release: ReleaseFacts) -> Objection | None:
    if not release.revoked:
        return None
    return Objection(Code.DIGEST_REVOKED, f"{release.product} {release.version} was revoked")


def _no_artifact(host: HostFacts, release: ReleaseFacts) -> Objection | None:
    if release.sha256_for(host.platform):
        return None
    platform = host.platform or "a platform that it never told"
    return Objection(Code.NO_ARTIFACT, f"{release.product} {release.version} has no artefact for {platform}")


def _too_old(host: HostFacts, release: ReleaseFacts) -> Objection | None:
    if not is_below(host.version, release.supported_from):
        return None
    oldest = f"{release.product} {release.version} updates from {release.supported_from} on"
    return Objection(Code.BELOW_SUPPORTED, f"{oldest}, not {host.version}: update it to that first")


def _switched_off(host: HostFacts, _release: ReleaseFacts) -> Objection | None:
    return _said(Code.OPTED_OUT, switched_off(host.rules))


def _other_channel(host: HostFacts, release: ReleaseFacts) -> Objection | None:
    return _said(Code.CHANNEL_NOT_ALLOWED, outside_channel(host.rules, release.channels))


def _pinned(host: HostFacts, release: ReleaseFacts) -> Objection | None:
    return _said(Code.PINNED, outside_pin(host.rules, release.version))


def _other_major(host: HostFacts, release: ReleaseFacts) -> Objection | None:
    return _said(Code.NOT_ALLOWED, other_major(host.rules, host.version, release.version))


def _never_fits(host: HostFacts, _release: ReleaseFacts) -> Objection | None:
    return _said(Code.WINDOW_TOO_SHORT, never_fits(host.rules))


def _said(code: Code, why: str) -> Objection | None:
    """Return the objection that words make; none without words."""
    return Objection(code, why) if why else None


POLICY_RULES: tuple[Callable[[HostFacts, ReleaseFacts], Objection | None], ...] = (
    _switched_off,
    _other_channel,
    _pinned,
    _other_major,
    _never_fits,
)
"""What a policy may have against a release; it holds at Go too, where the rest is judged by other means."""

RULES: tuple[Callable[[HostFacts, ReleaseFacts], Objection | None], ...] = (
    _revoked,
    _does_not_keep,
    _at_target,
    _digest_revoked,
    _no_artifact,
    _too_old,
    *POLICY_RULES,
)
