"""What a product's verified role lists. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError, TrustError
from fleetroll_common.values.product_policy import ProductPolicy, policy_path
from fleetroll_common.values.version import Version

if TYPE_CHECKING:
    from fleetroll_common.trust.library import DelegatedRole, TargetFile, Targets

PATH_PARTS = 3
"""``<product>/<version>/<file>``."""

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_REMEDY = "publish the product's release again; what runs goes on running"


@dataclass(frozen=True, slots=True)
class ListedTarget:
    """One file that the product's key allows.

    Attributes:
        path: ``<product>/<version>/<file>``.
        length: bytes of the whole file, >= 1.
        sha256: of the whole file, 64 small hex digits.
        custom: the signed description; empty where there is none.
    """

    path: str
    length: int
    sha256: str
    custom: dict[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Offered:
    """What a mirror or a bundle lists of one product.

    Attributes:
        targets: newest version first.
        waived: roles that have expired and were taken all the same, ``timestamp`` and ``snapshot`` at most; whoever
            acts on ``targets`` MUST say so in its output and its journal.
    """

    targets: tuple[ListedTarget, ...]
    waived: tuple[str, ...] = ()
    policy: ProductPolicy | None = None
    """What the publisher rules about the product; None = nothing."""


def role_name(product: str) -> str:
    """Return the name of the role that lists ``product``."""
    return f"products/{product}"


def product_of(path: str) -> str:
    """Return the product that ``path`` belongs to.

    Raises:
        TrustError: a path of another shape is listed nowhere: NOT_LISTED.
    """
    parts = path.split("/")
    if len(parts) != PATH_PARTS or not all(parts):
        raise not_listed(path)
    return parts[0]


def not_listed(path: str) -> TrustError:
    """Return the error for a target that no role lists."""
    return TrustError(
        f"{path!r} is not among the signed releases",
        code=Code.NOT_LISTED,
        remedy="publish it, or ask for a release that is listed",
        path=path,
    )


def read_listing(product: str, targets: Targets, delegation: DelegatedRole) -> tuple[ListedTarget, ...]:
    """Return all that ``targets`` lists, newest version first; what is under no version (a policy) comes last.

    A role that lists one wrong entry is refused as a whole: its key signed something that it must not.

    Raises:
        TrustError: an entry lies outside of the delegation or describes another product: WRONG_PRODUCT; an entry has no
            usable length, hash or description: METADATA_INVALID (the publisher's fault, or of a thief of the key).
    """
    listed = [_read_target(product, target, delegation) for target in targets.targets.values()]
    return tuple(sorted(listed, key=_age))


def read_policy(product: str, listing: tuple[ListedTarget, ...]) -> ProductPolicy | None:
    """Return the policy among what is listed; None = there is none, and nothing is ruled.

    Raises:
        TrustError: it can't be read, or is another product's: METADATA_INVALID, WRONG_PRODUCT (the publisher's fault).
    """
    path = policy_path(product)
    found = next((target for target in listing if target.path == path), None)
    return None if found is None else ProductPolicy.from_json(found.custom)


def _read_target(product: str, target: TargetFile, delegation: DelegatedRole) -> ListedTarget:
    """Check one entry."""
    path = target.path
    if not delegation.is_delegated_path(path) or product_of(path) != product:
        raise _refusal(Code.WRONG_PRODUCT, product, path, "lies outside of what this product's key may list")
    sha256 = target.hashes.get("sha256", "")
    if _SHA256.fullmatch(sha256) is None or type(target.length) is not int or target.length < 1:
        raise _refusal(Code.METADATA_INVALID, product, path, "has no SHA-256 or no length")
    custom = {} if target.custom is None else target.custom
    if not isinstance(custom, dict):
        raise _refusal(Code.METADATA_INVALID, product, path, "has a description that is no object")
    if custom.get("product", product) != product:
        raise _refusal(Code.WRONG_PRODUCT, product, path, f"describes the product {custom['product']!r}")
    version = path.split("/")[1]
    if custom.get("version", version) != version:
        raise _refusal(Code.METADATA_INVALID, product, path, f"describes the version {custom['version']!r}")
    return ListedTarget(path, target.length, sha256, custom)


def _refusal(code: Code, product: str, path: str, fault: str) -> TrustError:
    """Return the error that names the entry."""
    return TrustError(f"the target {path!r} {fault}", code=code, remedy=_REMEDY, product=product, path=path)


def _age(target: ListedTarget) -> tuple[bool, _Newest, str]:
    """Return what sorts newest first."""
    try:
        return (False, _Newest(Version.parse(target.path.split("/")[1])), target.path)
    except RequestError:
        return (True, _Newest(Version(0, 0, 0)), target.path)


@dataclass(frozen=True, slots=True)
class _Newest:
    """A version that sorts before the older ones."""

    version: Version

    def __lt__(self, other: _Newest) -> bool:
        """Tell whether this one is newer."""
        return other.version < self.version
