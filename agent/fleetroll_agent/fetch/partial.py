"""The part of a download that is on the disk: what it belongs to, and its way to a name that means *verified*.

Beside the final name stand ``<name>.part`` with the bytes and ``<name>.note``, a small durable record of the target
that they belong to. Bytes of another target are thrown away. The bytes themselves are not synced on the way: after a
power cut some of them may be wrong, which the final hash finds, and then the download starts once more from nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from typing import TYPE_CHECKING

from fleetroll_common.durable import DamagedRecord, dump_record, load_record, sync_dir, write_durably

if TYPE_CHECKING:
    from pathlib import Path

    from fleetroll_agent.fetch.values import Wanted

_READ_BYTES = 1024 * 1024


class Partial:
    """One download's files. ``OSError`` means what the system says; the caller types it."""

    def __init__(self, dest: Path, target: Wanted) -> None:
        """Look after ``dest``, which shall become ``target``."""
        self._dest = dest
        self._part = part_of(dest)
        self._note = dest.with_name(f"{dest.name}.note")
        self._target = target
        self._facts = {"path": target.path, "sha256": target.sha256, "length": target.length}
        self._digest = hashlib.sha256()
        self._handle = -1
        self.size = 0

    def is_done(self) -> bool:
        """Tell whether the final file is there, whole and right; one that is not is removed."""
        try:
            digest, size = _hash_file(self._dest)
        except FileNotFoundError:
            return False
        if size == self._target.length and digest.hexdigest() == self._target.sha256:
            return True
        self._dest.unlink()
        return False

    def resume(self) -> None:
        """Go on with what is there, hashed first; or start anew. ``size`` says how many bytes there are."""
        if self._belongs():
            with contextlib.suppress(FileNotFoundError):
                self._digest, self.size = _hash_file(self._part)
        if not 0 < self.size <= self._target.length:
            self.restart()
            return
        self._handle = os.open(self._part, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)

    def restart(self) -> None:
        """Throw away what is there and start from nothing; the note is durable before the first byte."""
        self.remove()
        write_durably(self._note, dump_record(self._facts))
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        self._handle = os.open(self._part, flags, 0o600)
        self._digest, self.size = hashlib.sha256(), 0

    def append(self, data: bytes) -> None:
        """Write ``data`` behind what is there: into the page cache, at most 1 MiB, so no thread is needed."""
        view = memoryview(data)
        while view:
            written = os.write(self._handle, view)
            self._digest.update(view[:written])
            self.size += written
            view = view[written:]

    def is_right(self) -> bool:
        """Tell whether length and hash are the signed ones."""
        return self.size == self._target.length and self._digest.hexdigest() == self._target.sha256

    def finish(self) -> None:
        """Give the verified bytes their final name, durably."""
        os.fsync(self._handle)
        self.close()
        self._part.replace(self._dest)
        sync_dir(self._dest.parent)
        self._note.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove bytes and note."""
        self.close()
        self._part.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)
        self.size = 0

    def close(self) -> None:
        """Close the file, keeping what is in it."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _belongs(self) -> bool:
        """Tell whether the note says that the bytes are of this target."""
        try:
            return load_record(self._note.read_bytes()) == self._facts
        except (FileNotFoundError, DamagedRecord):
            return False


def part_of(dest: Path) -> Path:
    """Return where the bytes are until they are verified."""
    return dest.with_name(f"{dest.name}.part")


def size_of(path: Path) -> int:
    """Return the length of a file; 0 where there is none, or none that can be looked at."""
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def _hash_file(path: Path) -> tuple[hashlib._Hash, int]:
    """Return the running hash and the length of a file that is no link."""
    digest, size = hashlib.sha256(), 0
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb", buffering=0) as stream:
        while piece := stream.read(_READ_BYTES):
            digest.update(piece)
            size += len(piece)
    return digest, size
