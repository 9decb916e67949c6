"""The metadata library's client workflow with memory that survives a power cut and damage.

The library's own rules stay: signatures, thresholds, versions against the local files, hashes, expiry. Added are:

- every file is written durably, and only when it differs from what is there;
- the floor is raised before the file is written, and every role is held against it (see :mod:`.floor`);
- the reference time is given by the caller instead of read from the host's clock;
- a downloaded file must say exactly what its signature covers (:func:`require_plain`);
- no link ``root.json`` is kept: the pinned root is passed each time and the chain is walked from there.

Several of the overridden methods are internal to the library: its version is bounded, and the tests of attacks run
against every version that is locked.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from fleetroll_common.durable import sync_dir, write_durably
from fleetroll_common.trust import limits
from fleetroll_common.trust.floor import (
    admit_product_keys,
    admit_root,
    admit_serial,
    admit_snapshot,
    admit_timestamp,
    forget_replaced_keys,
    keys_digest,
)
from fleetroll_common.trust.library import (
    DeserializationError,
    Metadata,
    Root,
    Snapshot,
    Targets,
    Timestamp,
    Updater,
    UpdaterConfig,
    encode_canonical,
)
from fleetroll_common.trust.source import BASE_URL, SourceFetcher

if TYPE_CHECKING:
    from datetime import datetime

    from fleetroll_common.trust.floor import Floor, FloorBook
    from fleetroll_common.trust.source import MetadataSource

_CONFIG = UpdaterConfig(
    max_root_rotations=limits.ROOT_ROTATIONS_MAX,
    root_max_length=limits.ROOT_BYTES_MAX,
    timestamp_max_length=limits.TIMESTAMP_BYTES_MAX,
    snapshot_max_length=limits.SNAPSHOT_BYTES_MAX,
    targets_max_length=limits.TARGETS_BYTES_MAX,
)
_MODE = 0o600
_LISTS = (Timestamp.type, Snapshot.type)


@dataclass(slots=True)
class Sight:
    """What is being verified right now, kept so that a refusal can say what is wrong with it.

    Attributes:
        role: the role.
        version: the version that was asked for; None = any.
        delegator: who names the keys of the role; None for the pinned root.
        data: the bytes under verification; None = none came.
    """

    role: str
    version: int | None = None
    delegator: Root | Targets | None = None
    data: bytes | None = None


def require_plain(data: bytes) -> None:
    """Return when the signed part of ``data`` is, value by value, what the library reads and verifies.

    The library verifies a normal form that it makes from what it has read; where its reader is lenient (a date's
    letters in the other case), a changed file would pass as the signed one.

    Versions have to be whole numbers: ``true`` passes for 1 in comparisons and would be another thing in the floor's
    record. They have a bound: what a host has seen is said to servers, in messages that hold 63 bits.

    Raises:
        DeserializationError: it is not, or is no metadata at all.
    """
    signed_bytes = Metadata.from_bytes(data).signed_bytes
    signed = json.loads(data)["signed"]
    if str(encode_canonical(signed)).encode() != signed_bytes:
        raise DeserializationError("the file says something else than what was signed")
    meta = signed["meta"] if signed["_type"] in _LISTS else {}
    versions = [signed["version"], *(listed["version"] for listed in meta.values())]
    if not all(type(version) is int for version in versions):
        raise DeserializationError("a version is no whole number")
    if max(versions) > limits.VERSION_MAX:
        raise DeserializationError(f"a version is higher than {limits.VERSION_MAX}")


class DurableUpdater(Updater):
    """One refresh: made for it, thrown away when it fails."""

    def __init__(
        self, book: FloorBook, root: bytes, source: MetadataSource, reference_time: datetime, sight: Sight
    ) -> None:
        """Verify the pinned root and keep it with the files.

        Raises:
            RepositoryError: ``root`` is not signed by its own keys.
            OSError: the disk refused.
        """
        self._book = book
        self.sight = sight
        config = replace(_CONFIG)
        super().__init__(str(book.directory), BASE_URL, fetcher=SourceFetcher(source), config=config, bootstrap=root)
        self._trusted_set.reference_time = reference_time
        # The bound is on new roots: those that this host holds already must not use it up.
        config.max_root_rotations += max(0, book.floor.root - self.root.version)

    @property
    def waived(self) -> tuple[str, ...]:
        """Return the roles that have expired and were taken all the same: none, where the source is a live one."""
        return ()

    @property
    def floor(self) -> Floor:
        """Return the floor as this refresh left it."""
        return self._book.floor

    @property
    def root(self) -> Root:
        """Return the newest root."""
        return self._trusted_set.root

    @property
    def timestamp(self) -> Timestamp:
        """Return the verified timestamp."""
        return self._trusted_set.timestamp

    @property
    def snapshot(self) -> Snapshot:
        """Return the verified snapshot."""
        return self._trusted_set.snapshot

    @property
    def top_targets(self) -> Targets:
        """Return the verified top-level targets role."""
        return self._trusted_set.targets

    def product_role(self, role: str) -> Targets:
        """Return the verified role ``role``, delegated by the top-level targets role; fetched when needed."""
        return self._load_targets(role, Targets.type)

    def admit_serial(self, path: str, number: int, role: str) -> str:
        """Hold the serial of a document against the highest seen, and raise it, durably.

        Args:
            path: of the document.
            number: its serial; 0 = ``role`` lists no such document.
            role: that lists it: ``targets`` or a product's.

        Returns:
            The digest of the keys that ``role`` is signed by, under which alone serials are compared.

        Raises:
            TrustError: METADATA_ROLLBACK.
            OSError: the disk refused.
        """
        delegator = self.root if role in self.root.roles else self.top_targets
        keys = keys_digest(delegator, role)
        self._book.put(admit_serial(self._book.floor, path, number, keys))
        return keys

    def admit_product_keys(self) -> None:
        """Hold the keys that the verified targets name for products against those that were exchanged, durably.

        Raises:
            TrustError: METADATA_ROLLBACK.
            OSError: the disk refused.
        """
        self._book.put(admit_product_keys(self._book.floor, self.root, self.top_targets))

    def _load_root(self) -> None:
        super()._load_root()
        floor = admit_root(self._book.floor, self.root.version)
        self._book.put(forget_replaced_keys(floor, self.root))

    def _load_timestamp(self) -> None:
        super()._load_timestamp()
        self._admit(Timestamp.type)

    def _load_snapshot(self) -> None:
        super()._load_snapshot()
        self._admit(Snapshot.type)

    def _load_targets(self, role: str, parent_role: str) -> Targets:
        self._look_at(role, None)
        return super()._load_targets(role, parent_role)

    def _download_metadata(self, rolename: str, length: int, version: int | None = None) -> bytes:
        self._look_at(rolename, version)
        self.sight.data = super()._download_metadata(rolename, min(length, limits.bytes_max(rolename)), version)
        require_plain(self.sight.data)
        return self.sight.data

    def _look_at(self, role: str, version: int | None) -> None:
        """Note what comes next."""
        delegator = self.top_targets if role not in self.root.roles else self.root
        self.sight.role, self.sight.version, self.sight.delegator = role, version, delegator
        self.sight.data = None

    def _admit(self, role: str) -> None:
        """Hold what was just verified against the floor, and raise it."""
        floor = self._book.floor
        if role == Timestamp.type:
            floor = admit_timestamp(floor, self.timestamp)
        elif role == Snapshot.type:
            floor = admit_snapshot(floor, self.snapshot)
        self._book.put(floor)

    def _persist_metadata(self, rolename: str, data: bytes) -> None:
        self._admit(rolename)
        super()._persist_metadata(rolename, data)

    def _persist_root(self, version: int, data: bytes) -> None:
        floor = self._book.floor
        self._book.put(replace(floor, root=max(floor.root, version)))
        super()._persist_root(version, data)

    def _persist_file(self, filename: str, data: bytes) -> None:
        path = Path(filename)
        if path.is_file() and path.read_bytes() == data:
            return
        if path.parent != self._book.directory:
            sync_dir(self._book.directory)
        write_durably(path, data, _MODE)

    def _update_root_symlink(self) -> None:
        """Keep none."""
