"""One target from a file of this host, read by one thread; blocking: a mounted share may hang."""

from __future__ import annotations

import os
import stat

from fleetroll_agent.fetch.values import Absent, SourceFailed

PIECE_BYTES = 64 * 1024


class FileReader:
    """Reads one file once. Links are followed: whoever keeps the mirror may arrange it as they like."""

    def __init__(self, path: str) -> None:
        """Prepare to read ``path``."""
        self._path = path
        self._handle = -1

    def begin(self, offset: int) -> int:
        """Go to ``offset``; return how many bytes have to be skipped: none.

        Raises:
            SourceFailed: there is no such file, or no such byte.
        """
        try:
            # Not blocking: a pipe in place of the file would wait for its other end.
            self._handle = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            facts = os.fstat(self._handle)
        except FileNotFoundError as error:
            raise Absent(f"{error.strerror}: {self._path}") from error
        except OSError as error:
            raise SourceFailed(f"{error.strerror or 'no file'}: {self._path}") from error
        if not stat.S_ISREG(facts.st_mode):
            raise SourceFailed(f"is no file: {self._path}")
        if offset > facts.st_size:
            raise SourceFailed(f"has no byte {offset} of it: {self._path}")
        os.lseek(self._handle, offset, os.SEEK_SET)
        return 0

    def read(self) -> bytes:
        """Return the next bytes, at most 64 KiB; empty at the end.

        Raises:
            SourceFailed: the disk or the share failed.
        """
        try:
            return os.read(self._handle, PIECE_BYTES)
        except OSError as error:
            raise SourceFailed(f"{error.strerror or 'no bytes'}: {self._path}") from error

    def leave(self) -> None:
        """Nothing to do: a read of a file can't be interrupted."""

    def close(self) -> None:
        """Close the file, in the thread that reads."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
