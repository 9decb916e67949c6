"""The signed files that hosts show to a database that went back: verified, then followed. Pure.

1. Only signatures count. Top-level targets, snapshot and timestamp are judged by the newest root that this server has,
   a product's role by the newest targets. What was signed under a root that it does not have proves nothing here.
2. Newer targets and newer product roles are taken over as they are.
3. Snapshot and timestamp are signed anew with versions above the highest that were shown, so that no host refuses what
   it is offered as older than what it has seen.

Expiry is not looked at: old files are shown by hosts that were away, and what is signed now is valid from now.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote

from fleetroll_common.trust.library import (
    DeserializationError,
    Metadata,
    RepositoryError,
    Root,
    Signed,
    Snapshot,
    Targets,
    Timestamp,
)
from fleetroll_publishing.roles import delegated_roles, file_name, meta_name
from fleetroll_publishing.sealing import DEFAULT_EXPIRIES, following, seal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from fleetroll_publishing.roles import Repository
    from fleetroll_publishing.signers import RoleSigners

_Kind = TypeVar("_Kind", bound=Signed)
PRODUCTS = "products/"


@dataclass(frozen=True, slots=True)
class Verified:
    """What is genuine and newer than what the server has.

    Attributes:
        timestamp: the version that was shown; 0 for none.
        snapshot: the same.
        roles: by role, the file and its version: targets and products that are newer.
        genuine: by the name of a file, its version: all whose signatures hold, newer or not.
        missing: roles of which the shown snapshot names a newer version that nobody has shown yet.
    """

    timestamp: int = 0
    snapshot: int = 0
    roles: Mapping[str, tuple[int, bytes]] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    genuine: Mapping[str, int] = field(default_factory=dict)

    def raises(self, repository: Repository) -> bool:
        """Tell whether the server has to sign above it."""
        return (
            self.timestamp > repository.timestamp.version
            or self.snapshot > repository.snapshot.version
            or bool(self.roles)
        )


def shown_version(data: bytes) -> int:
    """Return the version that a file says it has, unverified: whether it is worth a look; 0 for none."""
    try:
        signed: Signed = Metadata.from_bytes(data).signed
    except (RepositoryError, DeserializationError, ValueError):
        return 0
    return signed.version


def verified(repository: Repository, files: Mapping[str, bytes]) -> Verified:
    """Return what of ``files`` is genuine and newer than ``repository``."""
    root = repository.root
    timestamp = _genuine(files.get("timestamp.json"), Timestamp, "timestamp", root)
    snapshot = _genuine(files.get("snapshot.json"), Snapshot, "snapshot", root)
    roles: dict[str, tuple[int, bytes]] = {}
    top = _genuine(files.get("targets.json"), Targets, "targets", root)
    if top is not None and top.version > repository.targets.version:
        roles["targets"] = (top.version, files["targets.json"])
    first = {"timestamp.json": timestamp, "snapshot.json": snapshot, "targets.json": top}
    genuine = {name: signed.version for name, signed in first.items() if signed is not None}
    newest = top if "targets" in roles and top is not None else repository.targets
    for name, data in files.items():
        role = unquote(name.removesuffix(".json"))
        if not role.startswith(PRODUCTS) or role not in delegated_roles(newest):
            continue
        product = _genuine(data, Targets, role, newest)
        if product is not None:
            genuine[name] = product.version
        known = repository.products.get(role.removeprefix(PRODUCTS))
        if product is not None and (known is None or product.version > known.version):
            roles[role] = (product.version, data)
    return Verified(
        timestamp=0 if timestamp is None else timestamp.version,
        snapshot=0 if snapshot is None else snapshot.version,
        roles=roles,
        missing=() if snapshot is None else _missing(repository, snapshot, roles),
        genuine=genuine,
    )


def followed(files: Mapping[str, bytes], signers: RoleSigners, now: datetime, shown: Verified) -> dict[str, bytes]:
    """Return the files that follow ``files`` and all that was shown.

    Raises:
        RequestError: NOT_ALLOWED: the key of snapshot or timestamp is missing.
        TrustError: what was shown does not fit together; StoreError: ``files`` are damaged.
    """
    act = following(files, signers, now, DEFAULT_EXPIRIES)
    act.snapshot.version = max(act.snapshot.version, shown.snapshot + 1)
    act = type(act)(
        act.files, act.snapshot, max(act.timestamp_version, shown.timestamp + 1), signers, now, act.expiries
    )
    new = {file_name(role, version): data for role, (version, data) in shown.roles.items()}
    return seal(act, new, {role: version for role, (version, _data) in shown.roles.items()})


def _missing(repository: Repository, snapshot: Snapshot, roles: Mapping[str, tuple[int, bytes]]) -> tuple[str, ...]:
    """Return roles that the shown snapshot has newer than anything that is here."""
    behind = []
    for name, listed in snapshot.meta.items():
        role = name.removesuffix(".json")
        ours = repository.snapshot.meta.get(meta_name(role))
        known = max(0 if ours is None else ours.version, roles[role][0] if role in roles else 0)
        if listed.version > known:
            behind.append(role)
    return tuple(sorted(behind))


def _genuine(data: bytes | None, kind: type[_Kind], role: str, delegator: Root | Targets) -> _Kind | None:
    """Return the signed part of a file that ``delegator`` stands for; nothing for any other."""
    if data is None:
        return None
    try:
        metadata: Metadata[Any] = Metadata.from_bytes(data)
        delegator.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
    except (RepositoryError, DeserializationError, ValueError):
        return None
    return metadata.signed if isinstance(metadata.signed, kind) else None
