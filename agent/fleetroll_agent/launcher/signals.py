"""Signals as bytes in a pipe, so that one ``select`` waits for everything."""

import os
import signal
from types import FrameType, TracebackType
from typing import Any, Dict, Optional, Set, Type

_STOPPING = (signal.SIGTERM, signal.SIGINT)


class Signals:
    """Catches SIGTERM, SIGINT and SIGCHLD while the block runs; the handlers of before come back afterwards."""

    def __init__(self) -> None:
        """Prepare; nothing is caught yet."""
        self.handle = -1
        self._writing = -1
        self._before: Dict[int, Any] = {}
        self._wakeup_before = -1

    def __enter__(self) -> "Signals":  # noqa: PYI034 (typing.Self is newer)
        """Begin to catch. MUST be called in the main thread."""
        self.handle, self._writing = os.pipe()
        for end in (self.handle, self._writing):
            os.set_blocking(end, False)
        self._wakeup_before = signal.set_wakeup_fd(self._writing)
        for number in (*_STOPPING, signal.SIGCHLD):
            self._before[number] = signal.signal(number, _ignore)
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        """Stop catching."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup_before)
        os.close(self.handle)
        os.close(self._writing)

    def stop_asked(self) -> bool:
        """Empty the pipe; return whether a signal that ends the launcher was in it."""
        seen: Set[int] = set()
        while True:
            try:
                data = os.read(self.handle, 512)
            except BlockingIOError:
                break
            seen.update(data)
        return any(int(number) in seen for number in _STOPPING)


def _ignore(_number: int, _frame: Optional[FrameType]) -> None:
    """Let the byte in the pipe do the work."""
