"""How fast bytes came lately: a sliding window in bounded memory, pure arithmetic."""

from __future__ import annotations

from collections import deque

WINDOW_SECONDS = 60
"""Over which a source's rate is judged: long enough for a line that pauses now and then."""


class SlidingRate:
    """Counts bytes by the second. Instants are seconds of any clock that never goes back."""

    def __init__(self, start: float) -> None:
        """Count from ``start`` on."""
        self._start = start
        self._counts: deque[tuple[int, int]] = deque()

    def add(self, now: float, nbytes: int) -> None:
        """Note that ``nbytes`` came at ``now``."""
        second = int(now - self._start)
        if self._counts and self._counts[-1][0] == second:
            nbytes += self._counts.pop()[1]
        self._counts.append((second, nbytes))
        while self._counts[0][0] < second - WINDOW_SECONDS:
            self._counts.popleft()

    def bytes_per_second(self, now: float) -> float | None:
        """Return the rate of the last 60 to 61 s (whole seconds are counted); None before the first 60 s are over."""
        gone = now - self._start
        if gone < WINDOW_SECONDS:
            return None
        first = int(gone) - WINDOW_SECONDS
        return sum(nbytes for second, nbytes in self._counts if second >= first) / (gone - first)
