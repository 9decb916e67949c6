"""The repository as whoever signs the next roles sees it: fetched, verified from the pinned root, and never older.

What has expired is taken: signing it again is what the copy is for. So that a server in wrong hands gets no signature
over what was taken back, a folder remembers how far root, targets and products had come; an older one is refused, and
one of the same version that is another.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleetroll_common.durable import DamagedRecord, dump_record, load_record, write_durably
from fleetroll_common.trust import MetadataAbsent
from fleetroll_common.trust.library import Snapshot, Timestamp
from fleetroll_common.trust.limits import ROOT_ROTATIONS_MAX, bytes_max
from fleetroll_common.trust.listing import role_name
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError, TrustError
from fleetroll_publishing.gate import check_repository
from fleetroll_publishing.roles import TIMESTAMP_FILE, file_name, read_repository, read_role

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from fleetroll_common.trust import MetadataSource

FIRST_ROOT = "1.root.json"
SEEN_NAME = "seen.json"


def read_for_signing(source: MetadataSource, root: bytes) -> dict[str, bytes]:
    """Return all roots and the newest file of each other role, verified. Blocks.

    Raises:
        RequestError: NOT_FOUND: there is no repository (caller's fault).
        TrustError: it can't be trusted, or is another one than that of ``root``.
        FleetrollError: a file can't be had.
    """
    try:
        files = _roots(source, root)
        files[TIMESTAMP_FILE] = source.fetch(TIMESTAMP_FILE, bytes_max("timestamp"))
        timestamp: Timestamp = read_role(files, Timestamp, TIMESTAMP_FILE)
        name = file_name("snapshot", timestamp.snapshot_meta.version)
        files[name] = source.fetch(name, bytes_max("snapshot"))
        snapshot: Snapshot = read_role(files, Snapshot, name)
        for meta, listed in snapshot.meta.items():
            role = meta.removesuffix(".json")
            files[file_name(role, listed.version)] = source.fetch(file_name(role, listed.version), bytes_max(role))
    except MetadataAbsent as error:
        message = f"the repository lacks {error}"
        raise RequestError(message, code=Code.NOT_FOUND, remedy="name the right server or folder") from error
    check_repository(files)
    return files


def _roots(source: MetadataSource, root: bytes) -> dict[str, bytes]:
    """Return every root, the first being the pinned one."""
    files = {FIRST_ROOT: source.fetch(FIRST_ROOT, bytes_max("root"))}
    if files[FIRST_ROOT] != root:
        raise TrustError(
            f"{FIRST_ROOT} there is another one than is pinned here: this is another repository",
            code=Code.UNSIGNED,
            remedy="name the right server, or the right root",
            file=FIRST_ROOT,
        )
    with suppress(MetadataAbsent):  # the first one that there is not ends the chain
        for version in range(2, ROOT_ROTATIONS_MAX + 2):
            files[file_name("root", version)] = source.fetch(file_name("root", version), bytes_max("root"))
    return files


@dataclass(frozen=True, slots=True)
class Folder:
    """Metadata as plain files in a folder, as a mirror or a backup has them."""

    path: Path

    def fetch(self, name: str, max_bytes: int) -> bytes:
        """Return the file ``name``, or one byte more than ``max_bytes`` of it.

        Raises:
            MetadataAbsent: there is none.
            OSError: it can't be read.
        """
        try:
            with (self.path / name).open("rb") as stream:
                return stream.read(max_bytes + 1)
        except FileNotFoundError as error:
            raise MetadataAbsent(name) from error


def remember(folder: Path, files: Mapping[str, bytes]) -> None:
    """Hold ``files`` against what ``folder`` has seen, and remember them there.

    Raises:
        TrustError: METADATA_ROLLBACK: a role is older than it was, or another one of the same version.
        RequestError: the memory is damaged (caller's fault).
        OSError: the disk refused.
    """
    now = _positions(files)
    before = _read(folder / SEEN_NAME)
    for role, (version, digest) in before.items():
        offered, other = now.get(role, (0, ""))
        if offered < version or (offered == version and other != digest):
            raise TrustError(
                f"the repository shows version {offered} of {role}, this folder has seen {version}"
                + (" with other bytes" if offered == version else ""),
                code=Code.METADATA_ROLLBACK,
                remedy="find out why the server shows something older; sign nothing for it",
                role=role,
            )
    if now != before:
        record = {role: [version, digest] for role, (version, digest) in now.items()}
        write_durably(folder / SEEN_NAME, dump_record({"roles": record}))


def _positions(files: Mapping[str, bytes]) -> dict[str, tuple[int, str]]:
    """Return version and hash of each role that is signed offline."""
    read = read_repository(files)
    versions = {"root": read.root.version, "targets": read.targets.version}
    versions |= {role_name(name): role.version for name, role in read.products.items()}
    return {
        role: (version, hashlib.sha256(files[file_name(role, version)]).hexdigest())
        for role, version in versions.items()
    }


def _read(path: Path) -> dict[str, tuple[int, str]]:
    """Return what was seen; nothing where nothing was."""
    try:
        roles = load_record(path.read_bytes())["roles"]
        return {str(role): (int(seen[0]), str(seen[1])) for role, seen in roles.items()}
    except FileNotFoundError:
        return {}
    except (DamagedRecord, KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise RequestError(
            f"{path} is damaged: what this folder has seen of the repository is not known",
            code=Code.INVALID_ARGUMENT,
            remedy="compare the versions with what another publisher has seen, then remove the file",
        ) from error
