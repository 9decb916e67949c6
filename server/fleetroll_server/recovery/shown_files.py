"""The signed files that hosts show to a database that went back: verified, then followed. Pure.

1. Only signatures count. Top-level targets, snapshot and timestamp are judged by the newest root that this server has,
   a product's role by the newest targets. What was signed under a root that it does not have proves nothing here;
   those that hosts show are followed first (:mod:`.roots`). What is here under keys that are named no more, by the
   newest root or by newer targets, holds nothing up: a thief's host may have shown it first, under a stolen key.
2. Newer targets and newer product roles are taken over as they are, where nothing has vanished from them without a
   verb, and they do not claim to be valid for longer than anybody may sign.
3. Snapshot and timestamp are signed anew with versions above the highest that were shown, so that no host refuses what
   it is offered as older than what it has seen. Where the newest root names keys that are not here they are written
   without a signature, and shown to no host, until these keys are exchanged.

That something has expired is not looked at: old files are shown by hosts that were away, and what is signed now is
valid from now.
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
from fleetroll_common.trust.updater import require_plain
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import FleetrollError, RequestError
from fleetroll_publishing.anchored import read_anchors
from fleetroll_publishing.gate import EXPIRY_MAX
from fleetroll_publishing.roles import delegated_roles, file_name, meta_name
from fleetroll_publishing.sealing import DEFAULT_EXPIRIES, following, leave_unsigned, seal
from fleetroll_publishing.succession import check_later

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
        missing: by role, the version that the shown snapshot names: newer, and not shown or not taken.
        refused: by role, why it is not taken though it is genuine and newer.
    """

    timestamp: int = 0
    snapshot: int = 0
    roles: Mapping[str, tuple[int, bytes]] = field(default_factory=dict)
    missing: Mapping[str, int] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
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


def verified(repository: Repository, files: Mapping[str, bytes], now: datetime) -> Verified:
    """Return what of ``files`` is genuine and newer than ``repository``; ``now``: aware, expiries are held to it."""
    root = repository.root
    timestamp = _genuine(files.get("timestamp.json"), Timestamp, "timestamp", root)
    snapshot = _genuine(files.get("snapshot.json"), Snapshot, "snapshot", root)
    roles: dict[str, tuple[int, bytes]] = {}
    top = _genuine(files.get("targets.json"), Targets, "targets", root)
    refused: dict[str, str] = {}
    stands = _genuine(repository.files.get(_targets_name(repository)), Targets, "targets", root) is not None
    if top is not None and (top.version > repository.targets.version or not stands):
        refused |= _faults("targets", repository.targets if stands else None, top, now)
        if not refused:
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
        if product is None:
            continue
        if known is not None and product.version <= known.version:
            if _still_signed(repository, role, known, newest):
                continue
            known = None
        refused |= _faults(role, known, product, now)
        if role not in refused:
            roles[role] = (product.version, data)
    return Verified(
        timestamp=0 if timestamp is None else timestamp.version,
        snapshot=0 if snapshot is None else snapshot.version,
        roles=roles,
        missing={} if snapshot is None else _missing(repository, snapshot, roles),
        refused=refused,
        genuine=genuine,
    )


def followed(
    files: Mapping[str, bytes], signers: RoleSigners, now: datetime, shown: Verified, *, unsigned: bool = False
) -> dict[str, bytes]:
    """Return the files that follow ``files`` and all that was shown.

    Args:
        files: the repository, with the roots that were shown.
        signers: of snapshot and timestamp.
        now: aware.
        shown: what is followed.
        unsigned: nobody signs the lists: the newest root names keys that are not among ``signers``.

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
    finish = leave_unsigned if unsigned else seal
    return finish(act, new, {role: version for role, (version, _data) in shown.roles.items()})


def _faults(role: str, known: Targets | None, shown: Targets, now: datetime) -> dict[str, str]:
    """Return why a newer role is not taken, under its name; empty where it is."""
    if shown.expires > now + EXPIRY_MAX:
        return {role: f"it says that it is valid until {shown.expires:%Y-%m-%d}"}
    try:
        if role == "targets":
            _check_top(known, shown)
        elif known is not None:
            check_later(role.removeprefix(PRODUCTS), known, shown)
    except FleetrollError as error:
        return {role: error.message}
    return {}


def _check_top(known: Targets | None, shown: Targets) -> None:
    """Refuse a top-level role from which a product or a file is gone, or whose anchors went back.

    Raises:
        RequestError: CONFLICT; TrustError: the anchors can't be read.
    """
    if known is None:
        return
    gone = sorted({*known.targets, *delegated_roles(known)} - {*shown.targets, *delegated_roles(shown)})
    if gone:
        message = f"{gone[0]} is gone; nothing leaves the list without a verb"
        raise RequestError(message, code=Code.CONFLICT, remedy="sign it again", role="targets")
    before, after = read_anchors(known), read_anchors(shown)
    if before is not None and after is not None and after.serial < before.serial:
        message = f"the anchors' serial is {after.serial}, and was {before.serial}"
        raise RequestError(message, code=Code.CONFLICT, remedy="sign it again", role="targets")


def _missing(repository: Repository, snapshot: Snapshot, roles: Mapping[str, tuple[int, bytes]]) -> dict[str, int]:
    """Return roles that the shown snapshot has newer than anything that is here."""
    behind = {}
    for name, listed in snapshot.meta.items():
        role = name.removesuffix(".json")
        ours = repository.snapshot.meta.get(meta_name(role))
        known = max(0 if ours is None else ours.version, roles[role][0] if role in roles else 0)
        if listed.version > known:
            behind[role] = listed.version
    return behind


def _targets_name(repository: Repository) -> str:
    """Return the name of the targets role that is here."""
    return file_name("targets", repository.targets.version)


def _still_signed(repository: Repository, role: str, known: Targets, newest: Targets) -> bool:
    """Tell whether the newest keys of a product stand for the role that is here."""
    if newest is repository.targets:
        return True
    return _genuine(repository.files.get(file_name(role, known.version)), Targets, role, newest) is not None


def _genuine(data: bytes | None, kind: type[_Kind], role: str, delegator: Root | Targets) -> _Kind | None:
    """Return the signed part of a file that ``delegator`` stands for; nothing for one that hosts refuse."""
    if data is None:
        return None
    try:
        require_plain(data)
        metadata: Metadata[Any] = Metadata.from_bytes(data)
        delegator.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
    except (RepositoryError, DeserializationError, ValueError):
        return None
    return metadata.signed if isinstance(metadata.signed, kind) else None
