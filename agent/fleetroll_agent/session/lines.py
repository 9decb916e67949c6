"""Live output of running jobs on its way to the server: best effort, bounded, never in the way of what counts."""

from __future__ import annotations

from collections import deque

from fleetroll.v1 import agent_stream_pb2 as stream_pb2

LINES_HELD = 500
"""Of all jobs together; the oldest are dropped, and counted."""
LINES_SENT = 100
"""The contract's bound of one message."""


class LiveLines:
    """A short queue of lines."""

    def __init__(self) -> None:
        """Begin empty."""
        self._lines: deque[tuple[str, int, str]] = deque()
        self._dropped = 0

    def add(self, product: str, generation: int, line: str) -> None:
        """Take a line of the attempt, at most 2000 characters; the oldest goes when there are too many."""
        self._lines.append((product, generation, line))
        if len(self._lines) > LINES_HELD:
            self._lines.popleft()
            self._dropped += 1

    def take(self) -> stream_pb2.ConnectRequest | None:
        """Return the next message, with lines of one attempt; None when nothing waits."""
        if not self._lines:
            return None
        product, generation, _ = self._lines[0]
        lines: list[str] = []
        while self._lines and len(lines) < LINES_SENT and self._lines[0][:2] == (product, generation):
            lines.append(self._lines.popleft()[2])
        dropped, self._dropped = self._dropped, 0
        message = stream_pb2.LogLines(product=product, generation=generation, lines=lines, dropped=dropped)
        return stream_pb2.ConnectRequest(log_lines=message)
