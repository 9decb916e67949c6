"""The slots of one product: ``<state>/slots/<product>/<version>-<first 8 of sha256>/``.

A folder is a slot when it holds a readable COMPLETE, and nothing else counts. The order that makes this true after a
power cut, each step durable before the next begins:

1. every file and directory of the draft;
2. the folders above it;
3. the draft's new name;
4. COMPLETE, written beside and renamed into place.

Removal runs backwards: COMPLETE goes first. Nothing here decides which slot runs: that is the record's business.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fleetroll_agent.slots.disk import Disk, Kind, RealDisk, remove_tree, sync_tree, typed_disk_errors
from fleetroll_agent.slots.drift import find_drift
from fleetroll_agent.slots.live import Lookout, slot_users
from fleetroll_agent.slots.values import COMPLETE_NAME, Drift, InUse, Mark, Slot, dump_complete, parse_complete
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError

if TYPE_CHECKING:
    from pathlib import Path

    from fleetroll_common.values.release import ReleaseCustom
    from fleetroll_common.values.version import Version

_DRAFT = ".draft-"
_SHA_CHARS = 8


class SlotStore:
    """The folders of one product. Every method blocks: call it in a thread; one caller at a time (the job's lock)."""

    def __init__(
        self,
        state: Path,
        disk: Disk | None = None,
        product: str = "agent",
        user: str = "",
        lookout: Lookout | None = None,
    ) -> None:
        """Work below ``state``, which exists; ``user`` is whom the product's processes run as, where that is known."""
        self._state = state
        self._disk = disk or RealDisk()
        self._folder = state / "slots" / product
        self._user = user
        self._lookout = lookout or Lookout()

    def path(self, version: Version, sha256: str) -> Path:
        """Return where the slot of this artefact stands, or would."""
        return self._folder / f"{version}-{sha256[:_SHA_CHARS]}"

    def find(self, version: Version, sha256: str) -> Slot | None:
        """Return the complete slot of exactly this artefact, if there is one."""
        slot = self._read(self.path(version, sha256))
        return slot if slot is not None and slot.sha256 == sha256 else None

    def get(self, path: Path) -> Slot:
        """Return the complete slot in ``path``.

        Raises:
            AgentError: there is none (NOT_FOUND).
        """
        slot = self._read(path)
        if slot is None:
            message = f"slot: {path.name} is not complete"
            raise AgentError(message, code=Code.NOT_FOUND, remedy="update to this version again", slot=path.name)
        return slot

    def is_complete(self, path: Path) -> bool:
        """Tell whether ``path`` holds a complete slot."""
        return self._read(path) is not None

    def list(self) -> tuple[Slot, ...]:
        """Return all complete slots, oldest version first."""
        found = [self._read(self._folder / name) for name in self._names()]
        return tuple(sorted((slot for slot in found if slot), key=lambda slot: (slot.version, slot.path.name)))

    def begin(self, version: Version, sha256: str) -> Path:
        """Make a fresh empty folder for this artefact's files; a draft of an earlier try is removed.

        Raises:
            AgentError: the place is taken by a complete slot (ALREADY_EXISTS); DISK_FULL or another fault of the disk.
        """
        final = self._vacant(version, sha256)
        draft = self._folder / f"{_DRAFT}{final.name}"
        with typed_disk_errors(f"making a slot for {version}"):
            for folder in (self._folder.parent, self._folder):
                if self._disk.kind(folder) is Kind.ABSENT:
                    self._disk.make_dir(folder)
            remove_tree(self._disk, draft)
            self._disk.make_dir(draft, 0o755)
        return draft

    def complete(self, draft: Path, custom: ReleaseCustom, sha256: str) -> Slot:
        """Make the filled ``draft`` a slot, in the order that the module states, then close its folders to writing.

        Args:
            draft: what :meth:`begin` returned for the same version and sha256, holding the artefact's files.
            custom: the signed description of the artefact.
            sha256: of the compressed artefact.

        Raises:
            AgentError: a complete slot stands there already (ALREADY_EXISTS); DISK_FULL or a fault of the disk: the
                folder is then no slot, and the next try replaces it.
        """
        final = self._vacant(custom.version, sha256)
        disk = self._disk
        with typed_disk_errors(f"completing the slot of {custom.version}"):
            sync_tree(disk, draft)
            for folder in (self._state, self._folder.parent):
                disk.fsync_dir(folder)
            self._remove_slot(final)
            disk.rename(draft, final)
            disk.fsync_dir(self._folder)
            self._write_complete(final, dump_complete(custom, sha256))
            self._seal(final)
        return self.get(final)

    def settle(self, slot: Slot) -> None:
        """Make a slot durable that was found complete: a process that was killed may have left out the last sync.

        Raises:
            AgentError: a fault of the disk.
        """
        with typed_disk_errors(f"syncing {slot.path.name}"):
            self._disk.fsync_dir(slot.path)

    def discard(self, draft: Path) -> None:
        """Remove a draft. What can't be removed now goes with the next :meth:`prune`.

        Raises:
            AgentError: a fault of the disk.
        """
        with typed_disk_errors(f"removing the draft {draft.name}"):
            remove_tree(self._disk, draft)

    def mark_good(self, path: Path) -> None:
        """Leave the hint that this version was kept; only after the commit is durable."""
        self._mark(path, Mark.GOOD)

    def mark_bad(self, path: Path) -> None:
        """Leave the hint that this version was put back."""
        self._mark(path, Mark.BAD)

    def unmark(self, path: Path, mark: Mark) -> None:
        """Take a hint away, durably."""
        with typed_disk_errors(f"unmarking {path.name}"):
            if self._disk.kind(path / mark.value) is not Kind.ABSENT:
                self._disk.unlink(path / mark.value)
            self._disk.fsync_dir(path)

    def check(self, path: Path) -> Drift:
        """Compare the slot with its manifest, byte for byte, and the manifest with its signed hash.

        Raises:
            AgentError: the slot is not complete (NOT_FOUND), or a fault of the disk.
        """
        with typed_disk_errors(f"checking {path.name}"):
            return find_drift(self._disk, self.get(path))

    def prune(self, in_use: InUse) -> tuple[Path, ...]:
        """Remove every slot, remnant and draft that is not ``in_use``; return what was removed.

        What a living process uses stays as well, until a later call finds it free; everything, where that can't be
        told in time.

        Raises:
            AgentError: a fault of the disk; what was removed until then stays removed.
        """
        doomed = self._unwanted(in_use.names())
        if doomed:
            live = self._lookout.live(self._folder, self._user)
            doomed = () if live is None else self._unwanted(in_use.names() | live)
        with typed_disk_errors("removing old slots"):
            for path in doomed:
                self._remove_slot(path)
            if doomed:
                self._disk.fsync_dir(self._folder)
        return doomed

    def users_beyond(self, in_use: InUse) -> dict[str, int]:
        """Return what is not ``in_use`` and stays because a living process uses it: each name with one pid. Blocks."""
        unwanted = {path.name for path in self._unwanted(in_use.names())}
        found = slot_users(self._folder, self._user) if unwanted else {}
        return {name: pid for name, pid in sorted(found.items()) if name in unwanted}

    def _unwanted(self, kept: frozenset[str]) -> tuple[Path, ...]:
        return tuple(self._folder / name for name in self._names() if name not in kept)

    def _vacant(self, version: Version, sha256: str) -> Path:
        """Return the place of a slot that does not exist yet: a complete one, maybe in use, is never written over."""
        final = self.path(version, sha256)
        if self._read(final) is not None:
            message = f"slot: {final.name} is complete already"
            raise AgentError(message, code=Code.ALREADY_EXISTS, remedy="use it, or remove it first", slot=final.name)
        return final

    def _names(self) -> tuple[str, ...]:
        """Return the names in the product's folder."""
        return self._disk.list_dir(self._folder) if self._disk.kind(self._folder) is Kind.DIRECTORY else ()

    def _read(self, path: Path) -> Slot | None:
        """Return the slot in ``path``, None when it is not complete."""
        complete = path / COMPLETE_NAME
        with typed_disk_errors(f"reading {path.name}"):
            if path.name.startswith(_DRAFT) or self._disk.kind(complete) is not Kind.FILE:
                return None
            slot = parse_complete(path, self._disk.read_file(complete))
            good, bad = (self._disk.kind(path / mark.value) is Kind.FILE for mark in (Mark.GOOD, Mark.BAD))
        return None if slot is None else replace(slot, good=good, bad=bad)

    def _write_complete(self, slot: Path, data: bytes) -> None:
        """Write COMPLETE durably: its name never stands for half of it."""
        fresh = slot / f"{COMPLETE_NAME}.new"
        self._disk.write_file(fresh, data, 0o444)
        self._disk.fsync_file(fresh)
        self._disk.rename(fresh, slot / COMPLETE_NAME)
        self._disk.fsync_dir(slot)

    def _seal(self, slot: Path) -> None:
        """Close the folders below the slot to writing. The slot's own stays open: the hints are written into it."""
        for name in self._disk.list_dir(slot):
            child = slot / name
            if self._disk.kind(child) is Kind.DIRECTORY:
                self._seal(child)
                self._disk.chmod(child, 0o555)

    def _remove_slot(self, path: Path) -> None:
        """Remove a slot or what is left of one, COMPLETE durably first: half a slot is never taken for a whole one."""
        complete = path / COMPLETE_NAME
        if self._disk.kind(complete) is not Kind.ABSENT:
            self._disk.unlink(complete)
            self._disk.fsync_dir(path)
        remove_tree(self._disk, path)

    def _mark(self, path: Path, mark: Mark) -> None:
        """Write a hint durably; one that is there already may be one that a crash left not durable."""
        with typed_disk_errors(f"marking {path.name}"):
            if self._disk.kind(path / mark.value) is Kind.ABSENT:
                self._disk.write_file(path / mark.value, b"", 0o444)
            self._disk.fsync_file(path / mark.value)
            self._disk.fsync_dir(path)
