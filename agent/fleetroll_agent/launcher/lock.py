"""The lock of a state folder: one launcher at a time, and none while a child of an earlier one still lives.

The folder itself is locked, not a file in it: what is removed and made again would be two locks. The child inherits the
lock's descriptor: the lock is free only when launcher *and* child are gone. So even where a
child outlives its launcher for a moment, a second agent is never started beside it.
"""

import fcntl
import os
import time
from types import TracebackType
from typing import Optional, Type

from fleetroll_agent.launcher.errors import LauncherError

_ASK_AGAIN_SECONDS = 0.05


class StateLock:
    """Holds the lock of ``state`` while the block runs."""

    def __init__(self, state: str, wait_seconds: float = 0.0) -> None:
        """Prepare; ``wait_seconds`` >= 0 bounds how long a dying child of an earlier launcher is waited for."""
        self._path = state
        self._wait_seconds = wait_seconds
        self.handle = -1

    def __enter__(self) -> "StateLock":  # noqa: PYI034 (typing.Self is newer)
        """Take the lock.

        Raises:
            LauncherError: somebody else holds it (LOCKED), the folder can't be used, or its file system has no locks.
        """
        try:
            self.handle = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | getattr(os, "O_CLOEXEC", 0))
        except OSError as error:
            message = "the state folder {} can't be used: {}".format(self._path, error.strerror)
            raise LauncherError(message, "NOT_FOUND", "name the folder that enrolment made") from error
        try:
            self._wait()
        except LauncherError:
            os.close(self.handle)
            raise
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        """Let go; a child that lives keeps the lock."""
        os.close(self.handle)

    def _wait(self) -> None:
        until = time.monotonic() + self._wait_seconds
        while not self._take():
            if time.monotonic() >= until:
                message = "another launcher, or an agent that it left behind, is using {}".format(self._path)
                raise LauncherError(message, "LOCKED", "stop that one first")
            time.sleep(_ASK_AGAIN_SECONDS)

    def _take(self) -> bool:
        try:
            fcntl.flock(self.handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            message = "the state folder {} can't be locked: {}".format(self._path, error.strerror)
            remedy = "put it on a disk of this host: some network file systems have no locks"
            raise LauncherError(message, "INTERNAL", remedy) from error
        return True
