"""Room for an update, asked before a byte is fetched: a disk that becomes full in the middle costs more than a wait."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fleetroll_agent.slots.disk import typed_disk_errors
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError

if TYPE_CHECKING:
    from pathlib import Path

    from fleetroll_agent.jobs.artefacts import Found

RESERVE_BYTES = 16 * 1024 * 1024
"""Left free for records, journal and logs, which have to be written whatever becomes of the update."""
RESERVE_INODES = 256
_BLOCK_BYTES = 4096
_MIB = 1024 * 1024


def needed_bytes(found: Found) -> int:
    """Return what staging takes on the disk at its fullest: the archive, and all its files in whole blocks."""
    custom = found.custom
    return found.target.length + custom.tar_bytes + custom.file_count * _BLOCK_BYTES


def check_space(state: Path, found: Found, bytes_there: int = 0) -> None:
    """Refuse to begin without room. Blocks.

    Args:
        state: folder on the file system that the update is staged on.
        found: what is to be staged.
        bytes_there: of the archive, fetched earlier: they take their room already.

    Raises:
        AgentError: DISK_FULL: bytes or inodes are short; the message says how many.
    """
    still = needed_bytes(found) - min(bytes_there, found.target.length)
    require_room(state, still + RESERVE_BYTES, found.custom.file_count + RESERVE_INODES)


def require_room(folder: Path, wanted: int, inodes: int = 0, what: str = "") -> None:
    """Refuse where ``wanted`` bytes and so many ``inodes`` are not free for this process. Blocks.

    Args:
        folder: on the file system that is meant.
        wanted: bytes.
        inodes: how many; 0 = none.
        what: the room is for, in the message; empty = the update.

    Raises:
        AgentError: DISK_FULL: they are not; the message says how many are needed, and how many are free.
    """
    with typed_disk_errors("looking at the free space"):
        facts = os.statvfs(folder)
    free = facts.f_bavail * facts.f_frsize
    if free < wanted:
        _refuse(folder, what, f"{-(-wanted // _MIB)} MiB are needed, {free // _MIB} MiB are free")
    if facts.f_files and facts.f_favail < inodes:  # a file system that makes inodes as they are needed says 0
        _refuse(folder, what, f"{inodes} inodes are needed, {facts.f_favail} are free")


def _refuse(folder: Path, what: str, short: str) -> None:
    text = f"no room {f'for the {what} ' if what else ''}below {folder}: {short}"
    remedy = "free space there; the update tries again by itself"
    raise AgentError(text, code=Code.DISK_FULL, remedy=remedy, reason=short)
