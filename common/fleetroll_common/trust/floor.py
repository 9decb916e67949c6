"""How far this host has seen the repository go: versions below that are a replay, whatever the local files say.

The metadata files of a host are a cache: a truncated one is simply fetched again, and the memory of how new it was is
gone with it. The memory is therefore kept apart, in one small record with a checksum, and only rises:

1. The record is written, durably, *before* the metadata file whose version it holds. A crash between the two leaves a
   floor that is ahead of the files by something that the repository has really signed, so it can show it again.
2. On a fresh host the record is the first file of all. Files without a record are therefore a lost record, never a
   first use.
3. A damaged or lost record is refused, not rebuilt: nothing else says how far the host had come. Writes are atomic, so
   only a failing disk or a hand leads here.
4. A floor falls in one way alone: a newer root, signed by the root keys, has replaced the keys of timestamp or
   snapshot. That is how a repository recovers whose stolen key signed a version of astronomic height.
5. The record names the pinned root that it belongs to; another root is another repository.
6. Documents that change in place under one path (a product's policy, the anchors) carry a serial of their own, which is
   held against the highest seen under the keys that signed it: versions of roles are forgotten by rule 4, and with them
   an older document would come back.
7. So would an older list of the products' keys: those that were exchanged stay refused (:mod:`.exchanged`).

Not done here: protection from whoever can write this folder (the checksum has no key), and from the loss of the whole
folder (that is a first use; the pinned root and the expiry of the timestamp are what is left).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from fleetroll_common.durable import DamagedRecord, dump_record, load_record, sync_dir, write_durably
from fleetroll_common.trust.exchanged import admit_keys, read_keys
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import TrustError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from fleetroll_common.trust.exchanged import ProductKeys
    from fleetroll_common.trust.library import Root, Snapshot, Targets, Timestamp

FLOOR_NAME = "floor.json"


@dataclass(frozen=True, slots=True)
class Serial:
    """The highest serial of one document, and the digest of the keys under which it was seen."""

    number: int
    keys: str


@dataclass(frozen=True, slots=True)
class Floor:
    """The lowest that is still accepted.

    Attributes:
        anchor: SHA-256 of the pinned root, hex.
        root: version of the root.
        timestamp: version of the timestamp; 0 = none was seen.
        timestamp_keys: digest of the keys that this version was accepted under; empty = none.
        snapshot: version of the snapshot; 0 = none was seen.
        snapshot_keys: as for the timestamp.
        roles: versions by file name as the snapshot lists them (``targets.json``, ``products/agent.json``).
        checked_at: reference time of the last refresh that succeeded, in Unix seconds; 0 = none did.
        serials: by path, of documents that change in place.
        product_keys: by role, which keys were seen to sign it, and to go.
    """

    anchor: str
    root: int = 0
    timestamp: int = 0
    timestamp_keys: str = ""
    snapshot: int = 0
    snapshot_keys: str = ""
    roles: Mapping[str, int] = field(default_factory=dict)
    checked_at: int = 0
    serials: Mapping[str, Serial] = field(default_factory=dict)
    product_keys: Mapping[str, ProductKeys] = field(default_factory=dict)

    @property
    def reference_time(self) -> datetime:
        """Return the time of the last refresh that succeeded, aware, UTC."""
        return datetime.fromtimestamp(self.checked_at, timezone.utc)


def admit_root(floor: Floor, version: int) -> Floor:
    """Return the floor with the root ``version`` seen.

    Raises:
        TrustError: METADATA_ROLLBACK.
    """
    _at_least(floor.root, version, "root")
    return replace(floor, root=version)


def forget_replaced_keys(floor: Floor, root: Root) -> Floor:
    """Return the floor without what keys have signed that ``root`` no longer names (rule 4)."""
    timestamp_keys, snapshot_keys = keys_digest(root, "timestamp"), keys_digest(root, "snapshot")
    if floor.timestamp_keys != timestamp_keys:
        floor = replace(floor, timestamp=0, snapshot=0, timestamp_keys=timestamp_keys)
    if floor.snapshot_keys != snapshot_keys:
        floor = replace(floor, snapshot=0, roles={}, snapshot_keys=snapshot_keys)
    return floor


def admit_timestamp(floor: Floor, timestamp: Timestamp) -> Floor:
    """Return the floor with ``timestamp`` seen.

    Raises:
        TrustError: METADATA_ROLLBACK, of the timestamp or of the snapshot that it names.
    """
    _at_least(floor.timestamp, timestamp.version, "timestamp")
    _at_least(floor.snapshot, timestamp.snapshot_meta.version, "snapshot")
    return replace(floor, timestamp=timestamp.version)


def admit_snapshot(floor: Floor, snapshot: Snapshot) -> Floor:
    """Return the floor with ``snapshot`` seen.

    Raises:
        TrustError: METADATA_ROLLBACK, of the snapshot or of a role that it lists, or a role is gone from it.
    """
    _at_least(floor.snapshot, snapshot.version, "snapshot")
    roles = {name: meta.version for name, meta in snapshot.meta.items()}
    for name, version in floor.roles.items():
        _at_least(version, roles.get(name, 0), name.removesuffix(".json"))
    return replace(floor, snapshot=snapshot.version, roles=roles)


def admit_serial(floor: Floor, path: str, number: int, keys: str) -> Floor:
    """Return the floor with the serial ``number`` of the document at ``path`` seen (rule 6).

    Args:
        floor: as it stands.
        path: of the document.
        number: its serial; 0 = there is no document.
        keys: digest of the keys that may sign it now; what others have signed is forgotten.

    Raises:
        TrustError: METADATA_ROLLBACK: a lower one than was seen, or the document is gone.
    """
    seen = floor.serials.get(path)
    if seen is not None and seen.keys == keys:
        _at_least(seen.number, number, path)
    kept = {name: serial for name, serial in floor.serials.items() if name != path}
    return replace(floor, serials=kept | ({path: Serial(number, keys)} if number else {}))


def keys_digest(delegator: Root | Targets, role: str) -> str:
    """Return the digest of threshold and public values of the keys by which ``delegator`` has ``role`` signed."""
    named = delegator.get_delegated_role(role)
    publics = sorted(_public(delegator, keyid) for keyid in named.keyids)
    return hashlib.sha256(f"{named.threshold}:{','.join(publics)}".encode()).hexdigest()


def admit_product_keys(floor: Floor, root: Root, targets: Targets) -> Floor:
    """Return the floor with the keys seen that ``targets`` names for products (rule 7).

    Raises:
        TrustError: METADATA_ROLLBACK: one of them was exchanged.
    """
    roles = (targets.delegations.roles if targets.delegations else None) or {}
    named = {str(role): {_public(targets, keyid) for keyid in each.keyids} for role, each in roles.items()}
    seen = admit_keys(floor.product_keys, named, keys_digest(root, "targets"))
    return replace(floor, product_keys=seen)


def _public(delegator: Root | Targets, keyid: str) -> str:
    """Return the public value of a key; its id where it is named and not held: nobody can sign with that."""
    try:
        return str(delegator.get_key(keyid).keyval.get("public"))
    except ValueError:
        return str(keyid)  # whatever was signed as one


def _at_least(floor: int, version: int, role: str) -> None:
    """Refuse a version below the floor."""
    if version < floor:
        raise TrustError(
            f"the repository shows version {version} of {role}, this host has seen {floor} (0 = gone)",
            code=Code.METADATA_ROLLBACK,
            remedy="find out why old metadata is served; what runs goes on running",
            role=role,
            seen=str(floor),
            offered=str(version),
        )


def _unusable() -> TrustError:
    return TrustError(
        "the repository shows values that no list may have",
        code=Code.METADATA_INVALID,
        remedy="find out who signed them; what runs goes on running",
    )


class FloorBook:
    """The floor on disk. One owner at a time: the folder has one process, and that process one lock."""

    def __init__(self, directory: Path, root: bytes) -> None:
        """Open the folder, or begin it when it is empty or not there.

        Raises:
            TrustError: the record is damaged or lost: STORE_FAILED; it belongs to another pinned root: UNSIGNED.
            OSError: the disk refused (the host's fault).
        """
        self.directory = directory
        anchor = hashlib.sha256(root).hexdigest()
        self.floor = self._read() or self._begin(anchor)
        if self.floor.anchor != anchor:
            raise TrustError(
                f"the folder {directory.name!r} was begun with another root of trust",
                code=Code.UNSIGNED,
                remedy="restore the enrolled root, or enrol this host anew",
                pinned=anchor,
                begun_with=self.floor.anchor,
            )

    def put(self, floor: Floor) -> None:
        """Make ``floor`` durable; nothing is written when it is the one that stands.

        What could not be read again would keep this host from every later list: it is never written.

        Raises:
            TrustError: METADATA_INVALID: what was seen can't be remembered.
            OSError: the disk refused (the host's fault).
        """
        if floor == self.floor:
            return
        data = dump_record(_to_record(floor))
        try:
            kept = _from_record(load_record(data))
        except DamagedRecord as error:
            raise _unusable() from error
        if kept != floor:
            raise _unusable()
        write_durably(self.directory / FLOOR_NAME, data)
        self.floor = floor

    def _read(self) -> Floor | None:
        """Return the record; None on first use (an answer, not a failure)."""
        try:
            return _from_record(load_record((self.directory / FLOOR_NAME).read_bytes()))
        except FileNotFoundError:
            strays = [entry.name for entry in self._entries() if not entry.name.startswith(".")]
            if strays:
                raise self._lost(f"is lost, beside {', '.join(sorted(strays)[:3])}") from None
            return None
        except DamagedRecord as error:
            raise self._lost("is damaged") from error

    def _entries(self) -> list[Path]:
        """Return what is in the folder; nothing where there is no folder."""
        return list(self.directory.iterdir()) if self.directory.exists() else []

    def _begin(self, anchor: str) -> Floor:
        """Make folder and record, in this order, each durable."""
        if not self.directory.exists():
            self.directory.mkdir(mode=0o700, parents=True)
            sync_dir(self.directory.parent)
        floor = Floor(anchor)
        write_durably(self.directory / FLOOR_NAME, dump_record(_to_record(floor)))
        return floor

    def _lost(self, what: str) -> TrustError:
        """Return the refusal of rule 3."""
        return TrustError(
            f"the record of how far this host has seen the repository go ({FLOOR_NAME}) {what}",
            code=Code.STORE_FAILED,
            remedy="check the disk, then remove the trust folder by hand: the next refresh begins at the pinned root",
            record=FLOOR_NAME,
        )


def _to_record(floor: Floor) -> dict[str, Any]:
    """Return plain JSON values."""
    serials = {path: {"serial": seen.number, "keys": seen.keys} for path, seen in floor.serials.items()}
    product_keys = {role: keys.to_record() for role, keys in floor.product_keys.items()}
    lists = {"roles": dict(floor.roles), "serials": serials, "product_keys": product_keys}
    return {name: getattr(floor, name) for name in _NUMBERS + _TEXTS} | lists


def _from_record(record: dict[str, Any]) -> Floor:
    """Read an intact record; fields of later programs are passed over.

    Raises:
        DamagedRecord: a field is missing or of another type, so no program of this kind wrote it.
    """
    roles = record.get("roles")
    numbers = [record.get(name) for name in _NUMBERS] + list(roles.values() if isinstance(roles, dict) else [None])
    texts = [record.get(name) for name in _TEXTS]
    if not all(type(number) is int and number >= 0 for number in numbers) or not all(
        type(text) is str for text in texts
    ):
        raise DamagedRecord("a floor with wrong fields", code=Code.STORE_FAILED)
    serials = _read_serials(record.get("serials", {}))
    keys = read_keys(record.get("product_keys", {}))
    plain = {name: record[name] for name in _NUMBERS + _TEXTS}
    return Floor(roles=roles or {}, serials=serials, product_keys=keys, **plain)


def _read_serials(record: object) -> dict[str, Serial]:
    """Read the serials; earlier programs wrote none."""
    try:
        serials = {path: Serial(seen["serial"], seen["keys"]) for path, seen in record.items()}  # type: ignore[attr-defined]
    except (AttributeError, KeyError, TypeError) as error:
        raise DamagedRecord("a floor with wrong serials", code=Code.STORE_FAILED) from error
    if not all(type(seen.number) is int and seen.number > 0 and type(seen.keys) is str for seen in serials.values()):
        raise DamagedRecord("a floor with wrong serials", code=Code.STORE_FAILED)
    return serials


_NUMBERS = ("root", "timestamp", "snapshot", "checked_at")
_TEXTS = ("anchor", "timestamp_keys", "snapshot_keys")
