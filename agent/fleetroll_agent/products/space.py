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


def needed_bytes(found: Found) -> int:
    """Return what staging takes on the disk at its fullest: the archive, and all its files in whole blocks."""
    custom = found.custom
    return found.target.length + custom.tar_bytes + custom.file_count * _BLOCK_BYTES


def check_space(state: Path, found: Found) -> None:
    """Refuse to begin without room. Blocks.

    Raises:
        AgentError: DISK_FULL: bytes or inodes are short; the message says how many.
    """
    with typed_disk_errors("looking at the free space"):
        facts = os.statvfs(state)
    free, wanted = facts.f_bavail * facts.f_frsize, needed_bytes(found) + RESERVE_BYTES
    if free < wanted:
        _refuse(state, f"{_mib(wanted)} MiB are needed, {_mib(free)} MiB are free")
    inodes = found.custom.file_count + RESERVE_INODES
    if facts.f_files and facts.f_favail < inodes:  # a file system that makes inodes as they are needed says 0
        _refuse(state, f"{inodes} inodes are needed, {facts.f_favail} are free")


def _mib(count: int) -> int:
    return -(-count // (1024 * 1024))


def _refuse(state: Path, what: str) -> None:
    text = f"no room below {state}: {what}"
    remedy = "free space there; the update tries again by itself"
    raise AgentError(text, code=Code.DISK_FULL, remedy=remedy, reason=what)
