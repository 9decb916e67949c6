"""The log of one attempt's commands: a bounded file, written live, best effort. Output is not worth an update."""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING

from fleetroll_common.values.plain import plain

if TYPE_CHECKING:
    from pathlib import Path

    from fleetroll_common.values.clock import Clock

FILE_BYTES = 256 * 1024
HEAD_BYTES = 64 * 1024
"""Kept for good: how a command began says what it was asked to do."""
NEWEST_BYTES = 96 * 1024
"""Kept of the rest when the file is full: half of it, so that shortening stays rare."""
MAX_FILES = 20
"""Of one product; the oldest go."""

_GAP = b"\n[lines left out]\n"
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")
SUFFIX = ".log"


class AttemptLog:
    """Appends to ``<state>/log/<product>/<attempt>.log``. Never raises for a disk's fault.

    Attributes:
        path: the file, mode 0600.
        lost_bytes: what the disk refused.
    """

    def __init__(self, state: Path, product: str, attempt: str, clock: Clock) -> None:
        """Go on with the attempt's file, or begin one and remove the product's oldest.

        Args:
            state: the agent's state folder.
            product: its name.
            attempt: what tells this attempt from others of the product, such as its generation.
            clock: its wall clock dates the lines.
        """
        self.path = log_folder(state, product) / f"{_file_name(attempt)}{SUFFIX}"
        self.lost_bytes = 0
        self._clock = clock
        with contextlib.suppress(OSError):
            for folder in (state / "log", self.path.parent):
                folder.mkdir(0o700, exist_ok=True)
            remove_oldest(self.path)

    def add(self, step: str, line: str) -> None:
        """Append a line of the step's output, which MUST be redacted already."""
        when = self._clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        data = f"{when} {step}: {line}\n".encode("utf-8", "replace")
        written = 0
        with contextlib.suppress(OSError):
            written = self._append(data)
        self.lost_bytes += len(data) - written

    def _append(self, data: bytes) -> int:
        """Append ``data``; return how much of it the disk took."""
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        handle = os.open(self.path, flags, 0o600)
        try:
            if os.fstat(handle).st_size + len(data) > FILE_BYTES:
                _shorten(handle)
            return _write(handle, data)
        finally:
            os.close(handle)


def log_folder(state: Path, product: str) -> Path:
    """Return where the logs of a product's attempts are kept; each is named after its attempt, with ``SUFFIX``."""
    return state / "log" / _file_name(product)


def remove_oldest(path: Path) -> None:
    """Make room for ``path`` among its product's logs.

    Raises:
        OSError: the folder can't be read.
    """
    others = [one for one in path.parent.iterdir() if one.suffix == SUFFIX and one != path]
    others.sort(key=lambda one: (one.lstat().st_mtime, one.name))
    for old in others[: max(0, len(others) + 1 - MAX_FILES)]:
        with contextlib.suppress(OSError):
            old.unlink()


def _shorten(handle: int) -> None:
    """Leave the head and the newest lines. In place: a full disk has no room for a second file."""
    size = os.fstat(handle).st_size
    newest = os.pread(handle, NEWEST_BYTES, max(HEAD_BYTES, size - NEWEST_BYTES))
    os.ftruncate(handle, HEAD_BYTES)
    _write(handle, _GAP + newest.partition(b"\n")[2])


def _write(handle: int, data: bytes) -> int:
    """Write what the disk takes; it may take less than all when it becomes full."""
    return os.write(handle, data)


def _file_name(text: str) -> str:
    """Return ``text`` as one safe name of a file, no hidden one."""
    return _UNSAFE.sub("_", plain(text, 100)).lstrip(".") or "_"
