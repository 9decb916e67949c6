"""Comparing a slot with what was signed: the one check behind attestation and before a slot is used again."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from fleetroll_agent.slots.disk import Disk, Kind
from fleetroll_agent.slots.values import COMPLETE_NAME, Drift, Mark, Slot
from fleetroll_common.values.errors import TrustError
from fleetroll_common.values.manifest import FileEntry, Manifest
from fleetroll_common.values.relpath import MANIFEST_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_OWN = frozenset({MANIFEST_NAME, COMPLETE_NAME, Mark.GOOD.value, Mark.BAD.value})
_WRITE_BITS = 0o222


def find_drift(disk: Disk, slot: Slot) -> Drift:
    """Return how ``slot`` differs from its manifest. A manifest without the signed hash makes everything doubtful."""
    manifest = _manifest(disk, slot)
    if manifest is None:
        return Drift(changed=(MANIFEST_NAME,))
    found = dict(_walk(disk, slot.path, ""))
    files = {entry.path: entry for entry in manifest.files}
    listed = files.keys() | set(manifest.directories)
    changed = [path for path, kind in found.items() if path in listed and _differs(disk, slot.path, path, kind, files)]
    return Drift(
        changed=tuple(sorted(changed)),
        missing=tuple(sorted(listed - found.keys())),
        extra=tuple(sorted(found.keys() - listed - _OWN)),
    )


def _manifest(disk: Disk, slot: Slot) -> Manifest | None:
    """Return the slot's manifest when it is the signed one."""
    path = slot.path / MANIFEST_NAME
    data = disk.read_file(path) if disk.kind(path) is Kind.FILE else b""
    if hashlib.sha256(data).hexdigest() != slot.manifest_sha256:
        return None
    try:
        return Manifest.parse(data)
    except TrustError:
        return None


def _walk(disk: Disk, folder: Path, prefix: str) -> Iterator[tuple[str, Kind]]:
    """Yield everything below ``folder`` with its kind, following no link."""
    for name in disk.list_dir(folder):
        kind = disk.kind(folder / name)
        yield f"{prefix}{name}", kind
        if kind is Kind.DIRECTORY:
            yield from _walk(disk, folder / name, f"{prefix}{name}/")


def _differs(disk: Disk, root: Path, path: str, kind: Kind, files: dict[str, FileEntry]) -> bool:
    """Tell whether a listed path is not what the manifest says: its kind, its mode without write bits, its bytes."""
    entry = files.get(path)
    if entry is None:
        return kind is not Kind.DIRECTORY
    place = root / path
    if kind is not Kind.FILE or disk.mode(place) & ~_WRITE_BITS != entry.mode & ~_WRITE_BITS:
        return True
    return hashlib.sha256(disk.read_file(place)).hexdigest() != entry.sha256
