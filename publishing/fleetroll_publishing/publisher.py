"""What a publisher signs on: the repository as it was verified, and never an older one than it has seen.

A server may lie to whoever signs for it: it may show a list from before a yank, and have it signed as the newest. So a
publisher keeps a small record beside the keys: the first root, the highest version of every role that it has seen, and
of each product the digest of the role that it signed last. What is older, or another file under a version that was
signed here, is refused before anything is signed.

1. The metadata is fetched and verified from the first root on, as a host does it
   (:mod:`~fleetroll_publishing.carrying.chain`). The first time that root is believed, unless it lies beside the keys.
2. It is compared with the record; then the record takes it in.
3. What was signed is remembered once the server has said that it took it. What it never said so of was not published as
   far as the publisher knows, and is signed anew on what is shown.

Not done here: keys, and what is signed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from fleetroll_common.durable import DamagedRecord, dump_record, load_record, write_durably
from fleetroll_common.trust.listing import role_name
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError, TrustError
from fleetroll_publishing.carrying.chain import FIRST_ROOT, read_chain
from fleetroll_publishing.roles import file_name, read_repository, standings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from fleetroll_common.values.clock import Clock
    from fleetroll_publishing.carrying.chain import Remote
    from fleetroll_publishing.roles import Repository

RECORD_NAME = "publisher.json"
_KIND = "fleetroll-publisher-1"


@dataclass(frozen=True, slots=True)
class Record:
    """What a publisher remembers.

    Attributes:
        root_sha256: of the first root, in hex; empty before the first time.
        versions: the highest that was seen, by role.
        signed: of the last role that was signed here and taken, by product: its version and its file's SHA-256 in hex.
    """

    root_sha256: str = ""
    versions: Mapping[str, int] = field(default_factory=dict)
    signed: Mapping[str, tuple[int, str]] = field(default_factory=dict)


class Publisher:
    """One folder of keys, and what its holder has seen of one repository."""

    def __init__(self, folder: Path) -> None:
        """Remember in ``folder``, which exists."""
        self._folder = folder

    def read(self, remote: Remote, clock: Clock) -> Repository:
        """Return the repository as it is now, verified, and not older than what was seen. Blocks.

        Raises:
            TrustError: it can't be trusted; UNSIGNED: it begins with another root; METADATA_ROLLBACK: it is older than
                what was seen or signed here.
            RequestError: the record is damaged (caller's fault).
            FleetrollError: a file can't be had.
            OSError: the record can't be written.
        """
        known = self._load()
        files = read_chain(remote, clock, self._pinned()).files
        root_sha256 = hashlib.sha256(files[FIRST_ROOT]).hexdigest()
        if known.root_sha256 not in {"", root_sha256}:
            message = "the server's repository begins with another root than the one that was signed for from here"
            raise TrustError(message, code=Code.UNSIGNED, remedy="name the right server, or another folder of keys")
        versions = {standing.role: standing.version for standing in standings(files)}
        for role, version in known.versions.items():
            if versions.get(role, 0) < version:
                raise _older(role, f"version {version} was seen, {versions.get(role, 0)} is shown")
        for product, (version, sha256) in known.signed.items():
            name = file_name(role_name(product), version)
            if name in files and hashlib.sha256(files[name]).hexdigest() != sha256:
                raise _older(role_name(product), f"version {version} was signed here, and another one is shown")
        self._save(replace(known, root_sha256=root_sha256, versions={**known.versions, **versions}))
        return read_repository(files)

    def committed(self, product: str, version: int, data: bytes) -> None:
        """Remember that a server has taken ``data``, which was signed here: it can't show less from now on.

        Raises:
            OSError: the record can't be written.
        """
        known, role = self._load(), role_name(product)
        signed = {**known.signed, product: (version, hashlib.sha256(data).hexdigest())}
        self._save(replace(known, versions={**known.versions, role: version}, signed=signed))

    def _pinned(self) -> dict[str, bytes]:
        """Return the first root where it lies beside the keys."""
        path = self._folder / FIRST_ROOT
        return {FIRST_ROOT: path.read_bytes()} if path.is_file() else {}

    def _load(self) -> Record:
        """Return what is remembered."""
        path = self._folder / RECORD_NAME
        try:
            return _read(load_record(path.read_bytes()))
        except FileNotFoundError:
            return Record()
        except (DamagedRecord, KeyError, TypeError, ValueError, AttributeError) as error:
            message = f"{path.name}: what this publisher has seen can't be read"
            remedy = "bring the file back from a backup; without it an old list would be believed"
            raise RequestError(message, code=Code.STORE_FAILED, remedy=remedy, path=str(path)) from error

    def _save(self, record: Record) -> None:
        """Write it, durably."""
        document = {
            "kind": _KIND,
            "root_sha256": record.root_sha256,
            "versions": dict(record.versions),
            "signed": {product: list(one) for product, one in record.signed.items()},
        }
        write_durably(self._folder / RECORD_NAME, dump_record(document))


def _read(record: dict[str, Any]) -> Record:
    """Return what a record says; raises what a damaged one brings about."""
    if record["kind"] != _KIND:
        raise ValueError(record["kind"])
    signed = {product: (int(version), str(sha256)) for product, (version, sha256) in record["signed"].items()}
    versions = {role: int(version) for role, version in record["versions"].items()}
    return Record(str(record["root_sha256"]), versions, signed)


def _older(role: str, what: str) -> TrustError:
    """Return the refusal of what was shown."""
    return TrustError(
        f"{role}: {what}; nothing was signed",
        code=Code.METADATA_ROLLBACK,
        remedy="find out why the server shows an older list before you sign anything",
        role=role,
    )
