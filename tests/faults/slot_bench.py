"""A store of slots on a disk that is watched and whose process can be ended before any change."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fleetroll_agent.slots import RealDisk, Slot, SlotStore
from fleetroll_agent.unpack import unpack
from fleetroll_common.values.version import Version
from tests.faults.archives import HERE, Archive, honest

if TYPE_CHECKING:
    from pathlib import Path


class Crash(BaseException):
    """The process ends here: no clean-up of the code under test can be relied on."""


class WatchedDisk(RealDisk):
    """A real disk that writes down every change, and ends the process before the n-th one when told."""

    CHANGES = ("write_file", "make_dir", "rename", "unlink", "remove_dir", "chmod", "fsync_file", "fsync_dir")

    def __init__(self, root: Path, crash_before: int | None = None) -> None:
        self.root = root
        self.calls: list[tuple[str, str]] = []
        self.crash_before = crash_before

    def __getattribute__(self, name: str) -> Any:
        method = super().__getattribute__(name)
        if name not in WatchedDisk.CHANGES:
            return method

        def watched(path: Path, *arguments: Any) -> Any:
            if len(self.calls) == self.crash_before:
                raise Crash
            self.calls.append((name, str((arguments[0] if name == "rename" else path).relative_to(self.root))))
            return method(path, *arguments)

        return watched


@dataclass
class Bench:
    """A store and what it stands on."""

    state: Path
    disk: WatchedDisk
    store: SlotStore
    archive: Archive = field(default_factory=honest)

    def sha256(self, version: str) -> str:
        """Return a digest that differs from version to version."""
        return hashlib.sha256(version.encode()).hexdigest()

    def crashing(self, before: int) -> SlotStore:
        """Return a store on the same folder whose process ends before change number ``before``."""
        return SlotStore(self.state, WatchedDisk(self.state, before))

    def install(self, version: str = "1.1.0", store: SlotStore | None = None, sha256: str | None = None) -> Slot:
        """Unpack and complete a slot."""
        store = store or self.store
        self.archive.signed = {"version": Version.parse(version)}
        custom, digest = self.archive.custom(), sha256 or self.sha256(version)
        draft = store.begin(custom.version, digest)
        archive = self.archive.write(self.state / "artefact")
        unpack(archive, draft, expected=custom, platform=HERE)
        archive.unlink()
        return store.complete(draft, custom, digest)
