"""The host's one job lock: from the request for Go to the end of the attempt, whichever product it is."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from fleetroll_agent.jobs.values import PRODUCT

if TYPE_CHECKING:
    from pathlib import Path

LOCK_NAME = "job.lock"


class JobLock:
    """A lock that dies with its process. A lock that can't be looked at counts as taken."""

    def __init__(self, state: Path) -> None:
        """Use the lock file in the state folder."""
        self._path = state / LOCK_NAME
        self._handle = -1
        self._owner = ""

    def take(self, product: str = PRODUCT) -> bool:
        """Take the lock for ``product`` at once, or say that it is taken; True also when that product holds it."""
        if self._handle >= 0:
            return self._owner == product
        try:
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            return False
        self._handle, self._owner = handle, product
        return True

    def release(self, product: str = PRODUCT) -> None:
        """Give the lock back, if ``product`` holds it."""
        if self._handle >= 0 and self._owner == product:
            os.close(self._handle)
            self._handle = -1
