"""The repository as whoever signs its next roles needs it: fetched, and verified from the pinned root.

What has expired is taken: signing it again is what the copy is for. That it is not an older one than was seen before is
for the record beside the keys to say (:mod:`~fleetroll_publishing.publisher`).

So are lists that nobody has signed. A server shows such while its newest root names keys of snapshot or timestamp that
it does not have, and the next root is what helps. Who has these keys could sign any list as well: of an older one it is
the record that keeps whoever signs, with or without a signature.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleetroll_common.trust import MetadataAbsent
from fleetroll_common.trust.library import Snapshot, Timestamp
from fleetroll_common.trust.limits import ROOT_ROTATIONS_MAX, bytes_max
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError, TrustError
from fleetroll_publishing.gate import check_repository
from fleetroll_publishing.roles import TIMESTAMP_FILE, file_name, read_role
from fleetroll_publishing.sealing import is_signed

if TYPE_CHECKING:
    from pathlib import Path

    from fleetroll_common.trust import MetadataSource

FIRST_ROOT = "1.root.json"


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
    check_repository(files, unsigned_lists=not is_signed(files[TIMESTAMP_FILE]))
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
