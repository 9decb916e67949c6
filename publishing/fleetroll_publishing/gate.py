"""What the server demands before it lists new metadata, whoever signed it. Pure.

For a product's role, in this order (:func:`check_product`):

1. it is no longer than a host reads;
2. it is readable, says exactly what was signed, and is a role of targets → METADATA_INVALID;
3. it is signed by the keys that the top-level targets role names for the product → UNSIGNED;
4. its version is the listed one + 1: of two publishers the second is told to take the newest and try again → CONFLICT;
5. it follows the listed one by the rules of :mod:`~fleetroll_publishing.succession`: what was listed is listed still,
   with the same bytes and the same description, channels apart, or was taken back by a ruling of the policy that stays
   → CONFLICT, INVALID_ARGUMENT, METADATA_INVALID;
6. it expires neither too soon to be of use nor later than a year and a bit from now → INVALID_ARGUMENT;
7. it lists nothing of another product, and nothing without hash and length → WRONG_PRODUCT, METADATA_INVALID;
8. what is new and called a release manifest is described as one, and nothing else is; each new file stands where
   its description says that hosts look for it, so that no two are for one platform → INVALID_ARGUMENT.

:func:`check_repository` walks a whole set of files as a host does; signing calls it on its own work before it leaves.

Not done here: the hash of the artefact itself (whoever has the bytes recomputes it), who may call.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from fleetroll_common.trust.library import LengthOrHashMismatchError, Root, Targets
from fleetroll_common.trust.listing import read_listing, role_name
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.product_policy import policy_path
from fleetroll_publishing.anchored import read_anchors
from fleetroll_publishing.demands import check_kind, check_place
from fleetroll_publishing.roles import (
    TIMESTAMP_FILE,
    delegated_roles,
    file_name,
    meta_name,
    read_repository,
    root_versions,
)
from fleetroll_publishing.succession import check_succession
from fleetroll_publishing.verifying import untrusted, verified

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from fleetroll_common.trust.library import MetaFile

EXPIRY_MIN = timedelta(days=1)
"""A role that expires sooner would stop new installs before anybody has slept over it."""

EXPIRY_MAX = timedelta(days=400)
"""A year, and room for signing a little before it ends. What is valid for ever cannot be taken back by waiting."""

_AGAIN = "take the newest metadata and try again"


def check_product(files: Mapping[str, bytes], product: str, candidate: bytes, now: datetime) -> Targets:
    """Return the role in ``candidate`` when it may follow the listed one of ``product``.

    Args:
        files: the repository as it is.
        product: whose role it is.
        candidate: the signed file.
        now: aware; expiry is measured against it.

    Raises:
        RequestError: NOT_FOUND, CONFLICT, INVALID_ARGUMENT (the publisher's fault).
        TrustError: METADATA_ENDLESS, METADATA_INVALID, UNSIGNED, WRONG_PRODUCT (bytes not to be trusted).
        StoreError: ``files`` are damaged.
    """
    repository = read_repository(files)
    listed, role = repository.product(product), role_name(product)
    signed = verified(candidate, role, repository.targets)
    if not isinstance(signed, Targets):
        raise untrusted(Code.METADATA_INVALID, role, "is not a role of targets")
    if signed.version != listed.version + 1:
        raise _conflict(role, f"version {signed.version} does not follow {listed.version}")
    check_succession(product, listed, signed)
    if not now + EXPIRY_MIN <= signed.expires <= now + EXPIRY_MAX:
        raise RequestError(
            f"{role}: expires {signed.expires:%Y-%m-%dT%H:%M:%SZ}, not between {EXPIRY_MIN.days} and {EXPIRY_MAX.days} "
            "days from now",
            code=Code.INVALID_ARGUMENT,
            remedy="sign it with a sane expiry",
            role=role,
        )
    for found in read_listing(product, signed, repository.delegation(product)):
        if found.path not in {*listed.targets, policy_path(product)}:
            check_kind(found.path, found.custom)
            check_place(found.path, found.custom)
    return signed


def check_repository(files: Mapping[str, bytes], *, unsigned_lists: bool = False) -> None:
    """Return when a host that has nothing but the first root would accept all of ``files``, were nothing expired.

    Expiry is left out: a product that nobody has signed for a year must not keep the timestamp of all others from being
    signed again. :func:`~fleetroll_publishing.roles.standings` shows it.

    Args:
        files: the repository.
        unsigned_lists: nobody has signed snapshot and timestamp yet: all else is held to them.

    Raises:
        TrustError: METADATA_ENDLESS, METADATA_INVALID, UNSIGNED, METADATA_MIXED, WRONG_PRODUCT; the role is in the
            details.
        StoreError: a file is missing.
    """
    repository = read_repository(files)
    root = _check_roots(files)
    lists = None if unsigned_lists else root
    verified(files[TIMESTAMP_FILE], "timestamp", lists)
    _check_listed(files, "snapshot", repository.timestamp.snapshot_meta, lists)
    _check_listed(files, "targets", repository.snapshot.meta["targets.json"], root)
    read_anchors(repository.targets)
    for role, delegation in delegated_roles(repository.targets).items():
        product = role.removeprefix("products/")
        listed = repository.product(product)
        _check_listed(files, role, repository.snapshot.meta[meta_name(role)], repository.targets)
        read_listing(product, listed, delegation)


def _check_roots(files: Mapping[str, bytes]) -> Root:
    """Return the newest root after walking the chain: each is signed by the one before and by itself."""
    root: Root | None = None
    for version in root_versions(files):
        data = files[file_name("root", version)]
        following = verified(data, "root", root)
        if not isinstance(following, Root) or following.version != version:
            raise untrusted(Code.METADATA_MIXED, "root", f"of version {version} is another file")
        if root is not None and following.version != root.version + 1:
            raise untrusted(Code.METADATA_MIXED, "root", f"lacks version {root.version + 1}")
        verified(data, "root", following)
        root = following
    if root is None:
        raise untrusted(Code.METADATA_MIXED, "root", "is not there")
    return root


def _check_listed(files: Mapping[str, bytes], role: str, meta: MetaFile, delegator: Root | Targets | None) -> None:
    """Check one file against the list that names it and the role that names its keys."""
    data = files[file_name(role, meta.version)]
    signed = verified(data, role, delegator)
    try:
        meta.verify_length_and_hashes(data)
    except LengthOrHashMismatchError as error:
        raise untrusted(Code.METADATA_MIXED, role, "is not the file that is listed") from error
    if signed.version != meta.version:
        raise untrusted(Code.METADATA_MIXED, role, f"has version {signed.version}, {meta.version} is listed")


def _conflict(role: str, what: str) -> RequestError:
    """Return the publisher's error."""
    return RequestError(f"{role}: {what}", code=Code.CONFLICT, remedy=_AGAIN, role=role)
