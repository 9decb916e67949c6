"""What a publisher does to the releases of a product: verbs that make the product's next role of the one before. Pure.

* :class:`Publish` lists files of a release, :class:`SetChannels` promotes it or takes it out of a channel.
* :class:`Yank` (bad: nobody starts it), :class:`Retire` (old) and :class:`Revoke` (its artefacts must not run) take a
  release off the list and write the ruling with its reason into the product's policy. Nothing takes a ruling back: what
  was withdrawn is published under a new version.
* :class:`SetFloor` and :class:`SetIntermediates` change the policy alone. A floor may fall.

The policy's serial rises by one where the policy changed, however many verbs changed it. Making and signing are apart,
so that whoever holds the product's key signs wherever it is; :mod:`~fleetroll_publishing.succession` is what the gate
asks of the result, whoever made it.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from fleetroll_common.trust import library as tuf
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.product_policy import ProductPolicy, Revoked, Withdrawn, policy_path
from fleetroll_common.values.signed_fields import FAULTS
from fleetroll_publishing.demands import TargetFile, check_addition, invalid
from fleetroll_publishing.policies import Ruling, policy_of, policy_target, releases_in, ruling_on, version_of
from fleetroll_publishing.roles import sign_role
from fleetroll_publishing.sealing import DEFAULT_EXPIRIES, Expiries, in_utc
from fleetroll_publishing.succession import check_succession

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from fleetroll_common.trust.library import Signer, Targets
    from fleetroll_common.values.version import Version

LISTED_KEPT = 20
"""Releases of a product that stay listed however old they are; more is a list that every host reads in vain."""


@dataclass(frozen=True, slots=True)
class Publish:
    """Lists files beside what is listed: by path, at least one; every path is new."""

    additions: Mapping[str, TargetFile] = field(hash=False)


@dataclass(frozen=True, slots=True)
class SetChannels:
    """Lists a release in exactly these channels: 1 to 16 names, in any order."""

    version: Version
    channels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Yank:
    """Takes a release back as bad; one that was retired as well. ``reason``: 1 to 4096 characters."""

    version: Version
    reason: str


@dataclass(frozen=True, slots=True)
class Retire:
    """Takes a release off the list as old; no intermediate that hosts have to pass."""

    version: Version
    reason: str


@dataclass(frozen=True, slots=True)
class Revoke:
    """Declares that the artefacts of a release must not run.

    Attributes:
        version: the release.
        reason: 1 to 4096 characters.
        sha256s: of its artefacts where it is listed no more: the role does not have them then. Empty where it is.
    """

    version: Version
    reason: str
    sha256s: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SetFloor:
    """Rules below which version nothing is installed anew; None takes the floor away."""

    version: Version | None


@dataclass(frozen=True, slots=True)
class SetIntermediates:
    """Rules which versions are not jumped over, in any order; each is listed, or was one before."""

    versions: tuple[Version, ...]


Change = Publish | SetChannels | Yank | Retire | Revoke | SetFloor | SetIntermediates


def changed_role(product: str, role: Targets, changes: Sequence[Change]) -> Targets:
    """Return the role that follows ``role`` when ``changes`` are applied in their order; ``role`` stays as it is.

    Raises:
        RequestError: INVALID_ARGUMENT, NOT_FOUND: no such release is listed; ALREADY_EXISTS: nothing would change;
            CONFLICT: a withdrawn version or other bytes under a listed path (publisher's fault).
        TrustError: METADATA_INVALID: the policy of ``role`` can't be read.
    """
    before = policy_of(product, role)
    draft = _Draft(product, copy.deepcopy(role), before or ProductPolicy(product, 1))
    for change in changes:
        _apply(draft, change)
    if draft.policy != (before or ProductPolicy(product, 1)):
        serial = 1 if before is None else before.serial + 1
        draft.role.targets[policy_path(product)] = policy_target(replace(draft.policy, serial=serial))
    if draft.role.targets == role.targets:
        message = f"changes: {product} is like that already"
        raise RequestError(message, code=Code.ALREADY_EXISTS, remedy="nothing is left to do", field="changes")
    check_succession(product, role, draft.role)  # verbs that contradict each other, such as publish and yank
    draft.role.version += 1
    return draft.role


def sign_product(
    role: Targets, signers: Iterable[Signer], now: datetime, expiries: Expiries = DEFAULT_EXPIRIES
) -> bytes:
    """Return the file of ``role``, valid from ``now`` (aware) on, with one signature of each signer."""
    role.expires = in_utc(now + expiries.product)
    return sign_role(role, signers)


def too_old(product: str, role: Targets, needed: Iterable[Version], kept: int = LISTED_KEPT) -> tuple[Version, ...]:
    """Return the releases that may be retired, oldest first: beyond the ``kept`` newest, and not ``needed``."""
    policy = policy_of(product, role)
    spared = {*needed, *(policy.intermediates if policy is not None else ())}
    return tuple(sorted(version for version in [*releases_in(role)][kept:] if version not in spared))


@dataclass(slots=True)
class _Draft:
    """What verbs work on."""

    product: str
    role: Targets
    policy: ProductPolicy

    def listed(self, version: Version) -> tuple[tuf.TargetFile, ...]:
        """Return the files of a release that is listed.

        Raises:
            RequestError: NOT_FOUND; it says what became of the release (publisher's fault).
        """
        found = releases_in(self.role).get(version, ())
        if not found:
            ruling = ruling_on(self.policy, version)
            what = f"is {ruling.how.value}: {ruling.reason[:200]}" if ruling is not None else "is not listed"
            message = f"version: {self.product} {version} {what}"
            raise RequestError(message, code=Code.NOT_FOUND, remedy="name a listed release", field="version")
        return found

    def take_off(self, version: Version) -> None:
        """List nothing of a release any more."""
        for target in releases_in(self.role).get(version, ()):
            del self.role.targets[target.path]

    def known(self, version: Version) -> tuple[tuf.TargetFile, ...]:
        """Return the files of a release, none where it was withdrawn before; else as :meth:`listed`."""
        return () if ruling_on(self.policy, version) is not None else self.listed(version)


def _apply(draft: _Draft, change: Change) -> None:
    """Apply one verb."""
    if isinstance(change, Publish):
        _publish(draft, change)
    elif isinstance(change, SetChannels):
        _set_channels(draft, change)
    elif isinstance(change, Yank):
        draft.known(change.version)
        _refuse_twice(draft, draft.policy.yanked_why(change.version), change.version, "yanked")
        ruled = (*draft.policy.yanked, Withdrawn(change.version, change.reason))
        draft.policy = replace(draft.policy, yanked=ruled)
        draft.take_off(change.version)
    elif isinstance(change, Retire):
        _retire(draft, change)
    elif isinstance(change, Revoke):
        _revoke(draft, change)
    elif isinstance(change, SetFloor):
        draft.policy = replace(draft.policy, floor=change.version)
    else:
        _set_intermediates(draft, change)


def _publish(draft: _Draft, change: Publish) -> None:
    if not change.additions:
        raise invalid("additions", "nothing to publish")
    for path, target in change.additions.items():
        require_not_withdrawn(draft.policy, draft.product, path)
        check_addition(draft.product, draft.role, path, target)
        extra: dict[str, Any] = {"custom": dict(target.custom)} if target.custom else {}
        draft.role.targets[path] = tuf.TargetFile(target.length, {"sha256": target.sha256}, path, extra)


def _set_channels(draft: _Draft, change: SetChannels) -> None:
    channels = tuple(sorted(set(change.channels)))
    if fault := FAULTS["channels"](channels):
        raise invalid("channels", fault)
    for target in draft.listed(change.version):
        extra = {**target.unrecognized_fields, "custom": {**(target.custom or {}), "channels": list(channels)}}
        draft.role.targets[target.path] = tuf.TargetFile(target.length, target.hashes, target.path, extra)


def _retire(draft: _Draft, change: Retire) -> None:
    draft.listed(change.version)
    if change.version in draft.policy.intermediates:
        message = f"version: {draft.product} {change.version} is an intermediate that hosts have to pass"
        remedy = "set other intermediates first"
        raise RequestError(message, code=Code.CONFLICT, remedy=remedy, field="version")
    draft.policy = replace(draft.policy, retired=(*draft.policy.retired, Withdrawn(change.version, change.reason)))
    draft.take_off(change.version)


def _revoke(draft: _Draft, change: Revoke) -> None:
    listed = {target.hashes["sha256"] for target in draft.known(change.version)}
    if any(one.version == change.version for one in draft.policy.revoked):
        _refuse_twice(draft, "it", change.version, "revoked")
    if listed and not listed.issuperset(change.sha256s):
        raise invalid("sha256s", "names an artefact that is none of this release")
    digests = listed or set(change.sha256s)
    if not digests:
        what = f"the artefacts of {draft.product} {change.version}, which is listed no more, have to be named"
        raise invalid("sha256s", what)
    others = {target.hashes["sha256"] for target in draft.role.targets.values()} - listed
    if digests & others:
        raise invalid("sha256s", "names an artefact that is listed under another version")
    ruled = (Revoked(digest, change.version, change.reason) for digest in sorted(digests))
    draft.policy = replace(draft.policy, revoked=(*draft.policy.revoked, *ruled))
    draft.take_off(change.version)


def _set_intermediates(draft: _Draft, change: SetIntermediates) -> None:
    for version in change.versions:
        if version not in draft.policy.intermediates:
            draft.listed(version)
    draft.policy = replace(draft.policy, intermediates=tuple(sorted(set(change.versions))))


def require_not_withdrawn(policy: ProductPolicy | None, product: str, path: str) -> None:
    """Return when ``path`` may be listed as far as the policy rules.

    Raises:
        RequestError: CONFLICT: its version was taken back (publisher's fault).
    """
    version = version_of(path)
    ruling: Ruling | None = ruling_on(policy, version) if version is not None else None
    if ruling is not None:
        message = f"version: {product} {version} is {ruling.how.value}: {ruling.reason[:200]}"
        remedy = "publish under a new version: what was taken back stays so"
        raise RequestError(message, code=Code.CONFLICT, remedy=remedy, field="version")


def _refuse_twice(draft: _Draft, reason: str, version: Version, how: str) -> None:
    """Refuse to say again what was said: a ruling and its reason stay as they are."""
    if reason:
        message = f"version: {draft.product} {version} is {how} already"
        raise RequestError(message, code=Code.ALREADY_EXISTS, remedy="nothing is left to do", field="version")
