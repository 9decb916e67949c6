"""Building and changing a release repository: every act takes the files as they are and returns the new ones. Pure.

Roles: ``root`` (offline, two of three keys), ``targets`` and one terminating role per product with the paths
``<product>/*/*``, ``snapshot`` and ``timestamp``. Names carry versions (consistent snapshots), so that a file once
written never changes; ``timestamp.json`` alone is replaced. The caller stores the returned files **in their order**:
the timestamp comes last, and until it is there hosts see the repository as it was. Two acts that started from the same
files return the same names: the store MUST refuse the second, who then takes the newest files and tries again.

Each act ends with :func:`~fleetroll_publishing.gate.check_repository` over old and new files: what a host would refuse
is never returned.

Not done here: what the verbs make of a list (:mod:`~fleetroll_publishing.verbs`); exchanging keys that lie offline
(:mod:`~fleetroll_publishing.rotation`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_common.trust import library as tuf
from fleetroll_common.trust.listing import role_name
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.release import check_product as check_product_name
from fleetroll_publishing import gate
from fleetroll_publishing.demands import (
    ROOT_THRESHOLD,
    TargetFile,
    check_keys,
    require_new_key,
)
from fleetroll_publishing.roles import (
    SPEC_VERSION,
    TIMESTAMP_FILE,
    delegation_of,
    file_name,
    read_repository,
    sign_role,
)
from fleetroll_publishing.sealing import DEFAULT_EXPIRIES, Act, Expiries, following, in_utc, seal
from fleetroll_publishing.verbs import Publish, changed_role, sign_product

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from fleetroll_publishing.signers import RoleSigners
    from fleetroll_publishing.verbs import Change

__all__ = [
    "DEFAULT_EXPIRIES",
    "Expiries",
    "TargetFile",
    "add_product",
    "change_product",
    "create",
    "publish_targets",
    "refresh_snapshot",
    "refresh_timestamp",
    "rotate_online",
    "seal_product",
]


def create(
    products: Sequence[str], signers: RoleSigners, now: datetime, expiries: Expiries = DEFAULT_EXPIRIES
) -> dict[str, bytes]:
    """Return the files of a new repository; its first root is what hosts are given to pin.

    Args:
        products: names, each once.
        signers: all of them: at least three root keys, targets, each product, snapshot, timestamp; all keys different.
        now: aware.
        expiries: how long each role counts.

    Raises:
        RequestError: a name, a key or the number of keys is wrong (caller's fault).
    """
    check_keys(products, signers)
    root = _first_root(signers, now + expiries.root)
    files = {file_name("root", 1): sign_role(root, signers.enough("root", root.roles["root"]))}
    delegations = tuf.Delegations({}, {})
    for product in products:
        _delegate(delegations, product, signers)
    top = tuf.Targets(1, SPEC_VERSION, in_utc(now + expiries.targets), delegations=delegations)
    files[file_name("targets", 1)] = sign_role(top, signers.enough("targets", root.roles["targets"]))
    for product in products:
        named = (delegations.roles or {})[role_name(product)]
        files[file_name(role_name(product), 1)] = _empty_role(signers.enough(named.name, named), now + expiries.product)
    versions = dict.fromkeys(["targets", *map(role_name, products)], 1)
    act = Act({}, tuf.Snapshot(1, SPEC_VERSION, meta={}), 1, signers, now, expiries)
    return seal(act, files, versions)


def publish_targets(
    files: Mapping[str, bytes],
    product: str,
    additions: Mapping[str, TargetFile],
    signers: RoleSigners,
    now: datetime,
    expiries: Expiries = DEFAULT_EXPIRIES,
) -> dict[str, bytes]:
    """Return the new files that list ``additions`` beside what the product lists already.

    Args:
        files: the repository.
        product: whose role changes.
        additions: by path, at least one; every path is new.
        signers: the product's, snapshot and timestamp.
        now: aware.
        expiries: of the roles that are signed.

    Raises:
        RequestError: NOT_FOUND: no such product; ALREADY_EXISTS: a path is listed with these bytes; CONFLICT: with
            others, or the version was taken back; INVALID_ARGUMENT: a path, length, hash or description; NOT_ALLOWED: a
            key is missing (caller's fault).
        StoreError: ``files`` are damaged.
    """
    return change_product(files, product, [Publish(additions)], signers, now, expiries)


def change_product(
    files: Mapping[str, bytes],
    product: str,
    changes: Sequence[Change],
    signers: RoleSigners,
    now: datetime,
    expiries: Expiries = DEFAULT_EXPIRIES,
) -> dict[str, bytes]:
    """Return the new files with the verbs of :mod:`~fleetroll_publishing.verbs` applied to what a product lists.

    Args:
        files: the repository.
        product: whose role changes.
        changes: applied in their order, all or none.
        signers: the product's, snapshot and timestamp.
        now: aware.
        expiries: of the roles that are signed.

    Raises:
        RequestError: as :func:`~fleetroll_publishing.verbs.changed_role`; NOT_FOUND: no such product; NOT_ALLOWED: a
            key is missing (caller's fault).
        StoreError: ``files`` are damaged.
    """
    repository = read_repository(files)
    role, named = changed_role(product, repository.product(product), changes), repository.delegation(product)
    candidate = sign_product(role, signers.enough(named.name, named), now, expiries)
    return seal_product(files, product, candidate, signers, now, expiries)


def seal_product(
    files: Mapping[str, bytes],
    product: str,
    candidate: bytes,
    signers: RoleSigners,
    now: datetime,
    expiries: Expiries = DEFAULT_EXPIRIES,
) -> dict[str, bytes]:
    """Return the new files that make ``candidate``, signed wherever the product's key is, the product's role.

    Raises:
        RequestError, TrustError, StoreError: what :func:`~fleetroll_publishing.gate.check_product` refuses.
    """
    version = gate.check_product(files, product, candidate, now).version
    role = role_name(product)
    return seal(following(files, signers, now, expiries), {file_name(role, version): candidate}, {role: version})


def add_product(
    files: Mapping[str, bytes],
    product: str,
    signers: RoleSigners,
    now: datetime,
    expiries: Expiries = DEFAULT_EXPIRIES,
) -> dict[str, bytes]:
    """Return the new files with an empty role for ``product``.

    Needs the keys of targets, the product, snapshot and timestamp.

    Raises:
        RequestError: ALREADY_EXISTS, INVALID_ARGUMENT, NOT_ALLOWED (caller's fault).
        StoreError: ``files`` are damaged.
    """
    repository = read_repository(files)
    check_product_name(product)
    if product in repository.products:
        raise RequestError(
            f"product: the repository has {product!r} already",
            code=Code.ALREADY_EXISTS,
            remedy="publish to it",
            product=product,
        )
    top = repository.targets
    delegations = top.delegations or tuf.Delegations({}, {})
    for signer in signers.every(role_name(product)) or [signers.of(role_name(product))]:
        require_new_key(signer, {**repository.root.keys, **delegations.keys})
    named = _delegate(delegations, product, signers)
    top.delegations, top.version, top.expires = delegations, top.version + 1, in_utc(now + expiries.targets)
    new = {
        file_name(role_name(product), 1): _empty_role(signers.enough(named.name, named), now + expiries.product),
        file_name("targets", top.version): sign_role(top, signers.enough("targets", repository.root.roles["targets"])),
    }
    return seal(following(files, signers, now, expiries), new, {role_name(product): 1, "targets": top.version})


def refresh_snapshot(
    files: Mapping[str, bytes], signers: RoleSigners, now: datetime, expiries: Expiries = DEFAULT_EXPIRIES
) -> dict[str, bytes]:
    """Return a snapshot of the same roles that counts from ``now`` on, and its timestamp.

    Raises:
        RequestError: NOT_ALLOWED: the key of snapshot or timestamp is missing (caller's fault).
        StoreError: ``files`` are damaged.
    """
    return seal(following(files, signers, now, expiries), {}, {})


def refresh_timestamp(
    files: Mapping[str, bytes], signers: RoleSigners, now: datetime, expiries: Expiries = DEFAULT_EXPIRIES
) -> dict[str, bytes]:
    """Return the timestamp of the same snapshot that counts from ``now`` on.

    Raises:
        RequestError: NOT_ALLOWED: its key is missing (caller's fault).
        StoreError: ``files`` are damaged.
    """
    timestamp = read_repository(files).timestamp
    timestamp.version += 1
    timestamp.expires = in_utc(now + expiries.timestamp)
    new = {TIMESTAMP_FILE: sign_role(timestamp, [signers.of("timestamp")])}
    gate.check_repository({**files, **new})
    return new


def rotate_online(
    files: Mapping[str, bytes], signers: RoleSigners, now: datetime, expiries: Expiries = DEFAULT_EXPIRIES
) -> dict[str, bytes]:
    """Return a new root that names other keys for snapshot and timestamp, and both signed by them.

    The answer to a stolen online key: hosts forget what the replaced keys have signed, however high its version was.

    Args:
        files: the repository.
        signers: the threshold of root keys, and the *new* snapshot and timestamp keys.
        now: aware.
        expiries: of the roles that are signed.

    Raises:
        RequestError: NOT_ALLOWED: too few root keys; INVALID_ARGUMENT: a new key is in use already (caller's fault).
        StoreError: ``files`` are damaged.
    """
    repository = read_repository(files)
    root = repository.root
    for role in ("snapshot", "timestamp"):
        require_new_key(signers.of(role), root.keys)
        for keyid in list(root.roles[role].keyids):
            root.revoke_key(keyid, role)
        root.add_key(signers.of(role).public_key, role)
    root.version += 1
    root.expires = in_utc(now + expiries.root)
    new = {file_name("root", root.version): sign_role(root, signers.enough("root", root.roles["root"]))}
    return seal(following(files, signers, now, expiries), new, {})


def _first_root(signers: RoleSigners, expires: datetime) -> tuf.Root:
    """Return the unsigned first root."""
    root = tuf.Root(1, SPEC_VERSION, in_utc(expires), consistent_snapshot=True)
    for role in ("root", "targets", "snapshot", "timestamp"):
        for signer in signers.every(role) or [signers.of(role)]:
            root.add_key(signer.public_key, role)
        root.roles[role].threshold = signers.thresholds.get(role, ROOT_THRESHOLD if role == "root" else 1)
    return root


def _delegate(delegations: tuf.Delegations, product: str, signers: RoleSigners) -> tuf.DelegatedRole:
    """Add the role of ``product``: it may list what is under its name, and nobody after it is asked."""
    name = role_name(product)
    keys = {signer.public_key.keyid: signer.public_key for signer in signers.every(name) or [signers.of(name)]}
    delegations.keys.update(keys)
    role = delegation_of(product, list(keys), signers.thresholds.get(name, 1))
    delegations.roles = {**(delegations.roles or {}), name: role}
    return role


def _empty_role(signers: Sequence[tuf.Signer], expires: datetime) -> bytes:
    """Return the first role of a product, which lists nothing."""
    return sign_role(tuf.Targets(1, SPEC_VERSION, in_utc(expires)), signers)
