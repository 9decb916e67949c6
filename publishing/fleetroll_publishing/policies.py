"""A product's policy as its signed role carries it, and what it says about a release. Pure.

The document stands in the description of the target ``<product>/policy/policy.json``; the file's bytes are its
canonical JSON, so that whoever has the list has the file as well.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from fleetroll_common.trust.library import TargetFile, encode_canonical
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.product_policy import ProductPolicy, policy_path
from fleetroll_common.values.version import Version

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fleetroll_common.trust.library import Targets


class Withdrawal(str, Enum):
    """Why a release is listed no more, the gravest last."""

    RETIRED = "retired"
    YANKED = "yanked"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Ruling:
    """What the policy says about a release that was taken off the list.

    Attributes:
        how: the gravest of what was said.
        reason: in the publisher's words.
    """

    how: Withdrawal
    reason: str


def policy_of(product: str, role: Targets) -> ProductPolicy | None:
    """Return the policy that ``role`` carries; None = there is none, and nothing is ruled.

    Raises:
        TrustError: METADATA_INVALID: it can't be read (the publisher's fault).
    """
    found = role.targets.get(policy_path(product))
    return None if found is None else ProductPolicy.from_json(found.custom or {})


def policy_bytes(policy: ProductPolicy) -> bytes:
    """Return the bytes of the file: canonical JSON."""
    return str(encode_canonical(policy.to_json())).encode()


def policy_target(policy: ProductPolicy) -> TargetFile:
    """Return the entry of the list that carries ``policy``."""
    data = policy_bytes(policy)
    digest = hashlib.sha256(data).hexdigest()
    path = policy_path(policy.product)
    return TargetFile(len(data), {"sha256": digest}, path, {"custom": policy.to_json()})


def version_of(path: str) -> Version | None:
    """Return the version in a target's path; None = it stands under none, such as a policy."""
    try:
        return Version.parse(path.split("/")[1])
    except (RequestError, IndexError):
        return None


def releases_in(role: Targets) -> Mapping[Version, tuple[TargetFile, ...]]:
    """Return what ``role`` lists by version, the newest version first, each with its files by path."""
    found: dict[Version, list[TargetFile]] = {}
    for path in sorted(role.targets):
        version = version_of(path)
        if version is not None:
            found.setdefault(version, []).append(role.targets[path])
    return {version: tuple(found[version]) for version in sorted(found, reverse=True)}


def ruling_on(policy: ProductPolicy | None, version: Version) -> Ruling | None:
    """Return what ``policy`` says about a release; None = it was not taken back."""
    if policy is None:
        return None
    revoked = next((one.reason for one in policy.revoked if one.version == version), "")
    said = (
        (Withdrawal.REVOKED, revoked),
        (Withdrawal.YANKED, policy.yanked_why(version)),
        (Withdrawal.RETIRED, policy.retired_why(version)),
    )
    return next((Ruling(how, reason) for how, reason in said if reason), None)


def withdrawn_in(policy: ProductPolicy | None) -> Mapping[Version, Ruling]:
    """Return every release that ``policy`` took back, ascending."""
    if policy is None:
        return {}
    versions = {one.version for one in (*policy.retired, *policy.yanked)} | {one.version for one in policy.revoked}
    rulings = {version: ruling_on(policy, version) for version in sorted(versions)}
    return {version: ruling for version, ruling in rulings.items() if ruling is not None}
