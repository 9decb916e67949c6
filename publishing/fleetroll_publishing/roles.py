"""The files of a release repository as values: names, reading, signing. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import quote

from fleetroll_common.trust.library import (
    DelegatedRole,
    Metadata,
    MetaFile,
    RepositoryError,
    Root,
    Signed,
    Snapshot,
    Targets,
    Timestamp,
)
from fleetroll_common.trust.listing import PATH_PARTS, role_name
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from fleetroll_common.trust.library import Signer

_Kind = TypeVar("_Kind", bound=Signed)

TIMESTAMP_FILE = "timestamp.json"
"""The one name without a version: where every host begins."""

SPEC_VERSION = "1.0.31"
"""Of the TUF specification; written down so that a newer library does not change what is signed."""


@dataclass(frozen=True, slots=True)
class Repository:
    """The newest of each role, read from one set of files; nothing is verified by reading.

    Attributes:
        files: name → bytes, all that there is.
        root: the newest root.
        timestamp: what hosts read first.
        snapshot: the one that the timestamp names.
        targets: the top-level role that the snapshot names.
        products: by product name, the roles that the snapshot names.
    """

    files: Mapping[str, bytes]
    root: Root
    timestamp: Timestamp
    snapshot: Snapshot
    targets: Targets
    products: Mapping[str, Targets]

    def product(self, product: str) -> Targets:
        """Return the role of ``product``.

        Raises:
            RequestError: there is none: NOT_FOUND (caller's fault).
        """
        if product not in self.products:
            raise RequestError(
                f"product: the repository has no product {product[:80]!r}",
                code=Code.NOT_FOUND,
                remedy="add the product first, or correct its name",
                product=product,
            )
        return self.products[product]

    def delegation(self, product: str) -> DelegatedRole:
        """Return how the top-level role delegates to ``product``; the errors are those of :meth:`product`."""
        self.product(product)
        return delegated_roles(self.targets)[role_name(product)]


def file_name(role: str, version: int) -> str:
    """Return for example ``3.products%2Fagent.json``; the timestamp has no version in its name."""
    return TIMESTAMP_FILE if role == Timestamp.type else f"{version}.{quote(role, '')}.json"


def meta_name(role: str) -> str:
    """Return how the snapshot calls the file of ``role``."""
    return f"{role}.json"


def delegated_roles(targets: Targets) -> dict[str, DelegatedRole]:
    """Return the delegations of the top-level role by role name."""
    return (targets.delegations.roles if targets.delegations else None) or {}


def delegation_of(product: str, keyids: list[str], threshold: int) -> DelegatedRole:
    """Return how the top-level role delegates to ``product``: what is under its name, and nobody after it is asked."""
    paths = ["/".join([product, *["*"] * (PATH_PARTS - 1)])]
    return DelegatedRole(role_name(product), keyids, threshold, terminating=True, paths=paths)


def read_repository(files: Mapping[str, bytes]) -> Repository:
    """Return the newest of each role.

    Raises:
        StoreError: a file that another one names is missing or unreadable (whoever keeps the files).
    """
    timestamp = read_role(files, Timestamp, TIMESTAMP_FILE)
    snapshot = read_role(files, Snapshot, file_name("snapshot", timestamp.snapshot_meta.version))
    targets = read_listed(files, snapshot, "targets")
    roles = [role for role in delegated_roles(targets) if meta_name(role) in snapshot.meta]
    products = {role.removeprefix("products/"): read_listed(files, snapshot, role) for role in roles}
    return Repository(files, read_newest_root(files), timestamp, snapshot, targets, products)


def read_newest_root(files: Mapping[str, bytes]) -> Root:
    """Return the root of the highest version without a gap before it; raises as :func:`read_repository`."""
    versions = root_versions(files)
    return read_role(files, Root, file_name("root", versions[-1] if versions else 1))


def root_versions(files: Mapping[str, bytes]) -> list[int]:
    """Return the versions of the roots, oldest first."""
    heads = [name.removesuffix(".root.json") for name in files if name.endswith(".root.json")]
    return sorted(int(head) for head in heads if head.isdecimal())


def read_listed(files: Mapping[str, bytes], snapshot: Snapshot, role: str) -> Targets:
    """Return the role of targets that ``snapshot`` names; raises as :func:`read_repository`."""
    if meta_name(role) not in snapshot.meta:
        raise _unreadable(f"the snapshot does not name {role}")
    return read_role(files, Targets, file_name(role, snapshot.meta[meta_name(role)].version))


def read_role(files: Mapping[str, bytes], kind: type[_Kind], name: str) -> _Kind:
    """Return the signed part of the file ``name``, a fresh value that the caller may change.

    Raises:
        StoreError: it is missing or is no such role (whoever keeps the files).
    """
    try:
        signed: Signed = Metadata.from_bytes(files[name]).signed
    except KeyError as error:
        raise _unreadable(f"{name} is missing") from error
    except RepositoryError as error:
        raise _unreadable(f"{name} is unreadable") from error
    if not isinstance(signed, kind):
        raise _unreadable(f"{name} is the file of another role")
    return signed


def sign_role(signed: Signed, signers: Iterable[Signer]) -> bytes:
    """Return the file of ``signed`` with one signature of each signer."""
    metadata: Metadata[Any] = Metadata(cast("Any", signed))
    for signer in signers:
        metadata.sign(signer, append=True)
    return metadata.to_bytes()


def describe(version: int, data: bytes) -> MetaFile:
    """Return what a list says about a file: version, length and hash, so that no other content passes for it."""
    return MetaFile(version, len(data), {"sha256": hashlib.sha256(data).hexdigest()})


@dataclass(frozen=True, slots=True)
class Standing:
    """How a role stands: for status displays and for deciding what to sign again.

    Attributes:
        role: ``root``, ``timestamp``, ``snapshot``, ``targets`` or ``products/<name>``.
        version: the newest.
        expires: aware, UTC.
    """

    role: str
    version: int
    expires: datetime


def standings(files: Mapping[str, bytes]) -> tuple[Standing, ...]:
    """Return how each role stands, root first; raises as :func:`read_repository`."""
    read = read_repository(files)
    roles: dict[str, Signed] = {
        "root": read.root,
        "timestamp": read.timestamp,
        "snapshot": read.snapshot,
        "targets": read.targets,
    }
    roles |= {role_name(product): role for product, role in read.products.items()}
    return tuple(Standing(role, signed.version, signed.expires) for role, signed in roles.items())


def _unreadable(what: str) -> StoreError:
    """Return the error of whoever keeps the files."""
    return StoreError(
        f"the release repository is damaged: {what}",
        code=Code.STORE_FAILED,
        remedy="restore the repository's files from a backup",
    )
