"""Checks of the disk below the state folder: can it be written to, and is there room."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from fleetroll_agent.doctor.values import Finding, Sign
from fleetroll_agent.doctor.writing import why_not_writable, why_protected
from fleetroll_agent.identity.store import AGENT, KEY, RATCHET
from fleetroll_agent.jobs.space import RESERVE_BYTES, RESERVE_INODES
from fleetroll_agent.launcher.files import RECORD_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fleetroll_agent.doctor.host import Host

FOLDERS = ("", "identity", "products", "journal", "trust", "cache", "log", "slots", "slots/agent", "launcher")
REPLACED = (RECORD_NAME, f"identity/{KEY}", f"identity/{RATCHET}", f"identity/{AGENT}")
_MIB = 1024 * 1024


def writable(host: Host) -> Iterator[Finding]:
    """Tell which folders of the agent it could not write to; what it has not made yet is no fault."""
    if os.statvfs(host.folder).f_flag & os.ST_RDONLY:
        yield from _of(host.folder, why_not_writable(host.folder))
        return
    for name in FOLDERS:
        folder = host.folder / name
        if os.path.lexists(folder):
            yield from _of(folder, why_not_writable(folder))
    for kept in host.managed:
        folder = host.folder / "slots" / kept.name
        if os.path.lexists(folder):
            yield from _of(folder, why_not_writable(folder))
    for name in (*REPLACED, *(f"products/{kept.name}.json" for kept in host.products)):
        yield from _of(host.folder / name, why_protected(host.folder / name))


def _of(path: Path, why: str) -> Iterator[Finding]:
    if why:
        text = f"the agent can't write to {path}: {why}; no update begins, and none is reported"
        remedy = f"let it write there again (findmnt -T {path}, ls -ld, lsattr -d show what is in the way)"
        yield Finding(Sign.STATE_UNWRITABLE, str(path), text, remedy)


def room(host: Host) -> Iterator[Finding]:
    """Tell when there is no room left for what has to be written whatever becomes of an update."""
    facts = os.statvfs(host.folder)
    free = facts.f_bavail * facts.f_frsize
    if free < RESERVE_BYTES:
        text = f"{free // _MIB} MiB are free below {host.folder}, {RESERVE_BYTES // _MIB} MiB are the least"
        yield Finding(Sign.DISK_FULL, str(host.folder), text, f"free space there: df {host.folder}; du -xsh /var/*")
    yield from _room_beside(host)
    if facts.f_files and facts.f_favail < RESERVE_INODES:
        text = f"{facts.f_favail} inodes are free below {host.folder}, {RESERVE_INODES} are the least"
        remedy = f"remove files there: df -i {host.folder}; du -x --inodes -d 3 / | sort -n | tail"
        yield Finding(Sign.INODES_FULL, str(host.folder), text, remedy)


def _room_beside(host: Host) -> Iterator[Finding]:
    """Tell where the next version of a file could not be staged beside it: it may be on another disk."""
    for kept in host.managed:
        path = None if kept.product.path is None else Path(kept.product.path)
        if path is None or not path.is_file():
            continue
        facts, size = os.statvfs(path.parent), path.stat().st_size
        if facts.f_bavail * facts.f_frsize < size:
            text = f"there is no room in {path.parent} for a second {path.name} of {size} bytes"
            yield Finding(Sign.DISK_FULL, kept.name, text, f"free space there: df {path.parent}")
