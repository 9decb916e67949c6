"""What is added to a log while somebody looks on: also when its file is shortened in place, or begun anew."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from fleetroll_agent.hooks.output import FILE_BYTES
from fleetroll_agent.launcher import files
from fleetroll_agent.reading.logs import kept_logs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOOK_SECONDS = 0.3
MARK_BYTES = 256
"""By so many bytes before a place it is seen whether the file is still the one that was read."""
MOST_BYTES = 4 * FILE_BYTES
"""Of one look; what a flood writes beyond it comes with the next."""


class Growth:
    """One log, from where it was read on. Nothing here raises for a file that is not there, or can't be read."""

    def __init__(self, path: Path, *, whole: bool = False) -> None:
        """Begin at the end of ``path`` as it stands; ``whole`` = at its beginning."""
        self._path = path
        self._at = 0
        self._mark = b""
        self._inode = 0
        self._begun = b""
        if not whole:
            self._skip()

    def lines(self) -> list[str]:
        """Return the lines that were ended since the last call."""
        data = b"".join(self._pieces())
        *ended, self._begun = (self._begun + data).split(b"\n")
        return [line.decode("utf-8", "replace") for line in ended]

    def _pieces(self) -> Iterator[bytes]:
        """Yield what is new: the rest of a file that was put aside, then its successor's beginning."""
        handle = _open(self._path)
        if handle is None:
            return
        try:
            if self._inode not in (0, os.fstat(handle).st_ino):
                yield self._rest_of_the_one_before()
                self._at, self._mark = 0, b""
            yield self._read(handle)
        finally:
            os.close(handle)

    def _rest_of_the_one_before(self) -> bytes:
        handle = _open(self._path.with_name(f"{self._path.name}.1"))
        if handle is None:
            return b""
        try:
            return self._read(handle) if os.fstat(handle).st_ino == self._inode else b""
        finally:
            os.close(handle)

    def _read(self, handle: int) -> bytes:
        """Read on; where the file was shortened, behind the last bytes that were read, if they are still there."""
        self._inode = os.fstat(handle).st_ino
        if os.pread(handle, len(self._mark), max(0, self._at - len(self._mark))) != self._mark:
            whole = os.pread(handle, 2 * FILE_BYTES, 0)
            found = whole.rfind(self._mark)
            self._at = found + len(self._mark) if found >= 0 else 0
        data = os.pread(handle, MOST_BYTES, self._at)
        self._at += len(data)
        self._mark = (self._mark + data)[-MARK_BYTES:]
        return data

    def _skip(self) -> None:
        handle = _open(self._path)
        if handle is None:
            return
        try:
            known = os.fstat(handle)
            self._inode, self._at = known.st_ino, known.st_size
            self._mark = os.pread(handle, MARK_BYTES, max(0, self._at - MARK_BYTES))
        finally:
            os.close(handle)


class Follower:
    """The agent's own log, or what a product's commands print: of one attempt, or of whichever prints."""

    def __init__(self, state: Path, product: str = "", attempt: str = "") -> None:
        """Begin with what is there now, which is not told again."""
        self._state, self._product, self._attempt = state, product, attempt
        self._growths = {path: Growth(path) for path in self._paths()}

    def lines(self) -> list[str]:
        """Return what is new; a log that was begun meanwhile is told from its first line on."""
        found: list[str] = []
        for path in self._paths():
            growth = self._growths.get(path)
            if growth is None:
                growth = self._growths[path] = Growth(path, whole=True)
                found.append(f"{self._product} {path.stem.replace('local-', 'local:')}:")
            found += growth.lines()
        return found

    def _paths(self) -> list[Path]:
        """Return the logs that are looked at, the one that was written first first."""
        if not self._product:
            return [self._state / files.LOG_NAME]
        wanted = self._attempt.replace("local:", "local-")
        kept = [path for path in kept_logs(self._state, self._product) if not wanted or path.stem == wanted]
        return list(reversed(kept))


def _open(path: Path) -> int | None:
    """Open a plain file; None for anything else."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    if stat.S_ISREG(os.fstat(handle).st_mode):
        return handle
    os.close(handle)
    return None
