"""The child's output: the last of it for the record, all of it, bounded, in a file."""

import os
from typing import Optional

LOG_BYTES = 1024 * 1024
"""Size at which ``agent.log`` becomes ``agent.log.1``: at most twice this is kept."""
RING_BYTES = 16 * 1024


class Output:
    """Keeps the end of what one child wrote. Never raises: output is not worth an agent."""

    def __init__(self, path: Optional[str], log_bytes: int = LOG_BYTES) -> None:
        """Write to the file ``path`` too, when one is given."""
        self._path = path
        self._log_bytes = log_bytes
        self._ring = b""
        self.lost_bytes = 0

    def start(self) -> None:
        """Forget the output of the child before."""
        self._ring = b""

    def add(self, data: bytes) -> None:
        """Keep ``data``; what the disk refuses is counted in ``lost_bytes``."""
        self._ring = (self._ring + data)[-RING_BYTES:]
        if self._path is None:
            return
        try:
            self._append(self._path, data)
        except OSError:
            self.lost_bytes += len(data)

    def tail(self) -> str:
        """Return the last output as text; what is no UTF-8 is shown as replacement characters."""
        return self._ring.decode("utf-8", "replace")

    def _append(self, path: str, data: bytes) -> None:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0), 0o600)
        try:
            os.write(handle, data)
            size = os.fstat(handle).st_size
        finally:
            os.close(handle)
        if size > self._log_bytes:
            os.replace(path, path + ".1")
