"""How long a download may go on waiting: pure arithmetic on a clock."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from fleetroll_agent.fetch.rate import WINDOW_SECONDS, SlidingRate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fleetroll_agent.fetch.values import DownloadLimits
    from fleetroll_common.values.clock import Clock


class Patience:
    """Three bounds on the monotonic clock.

    - overall: of the call; nothing moves it;
    - stall: of the connection; every byte moves it;
    - rate: of the connection; below the least rate over a sliding minute it is too slow.

    The host's own waiting for its bandwidth cap counts for the first alone: it is no fault of the source.
    """

    def __init__(self, clock: Clock, limits: DownloadLimits, length: int, cap: int | None = None) -> None:
        """Start now, for a target of ``length`` bytes and a cap in bytes per second; None = no cap."""
        self._clock = clock
        self._stall_seconds = limits.stall_seconds
        self._least = limits.least_bytes_per_second(cap)
        self._overall_seconds = limits.overall_seconds(length, cap)
        self._started = clock.monotonic()
        self._paused_seconds = 0.0
        self.connected()

    def connected(self) -> None:
        """Begin anew with a source: another one's silence is not held against it."""
        self._last_byte = self._source_seconds()
        self._rate = SlidingRate(self._last_byte)

    def progressed(self, nbytes: int) -> None:
        """Note that ``nbytes`` came."""
        self._last_byte = self._source_seconds()
        self._rate.add(self._last_byte, nbytes)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Count the time in the block as the host's own, not the source's."""
        began = self._clock.monotonic()
        try:
            yield
        finally:
            self._paused_seconds += self._clock.monotonic() - began

    def left_seconds(self) -> float:
        """Return how long the next wait may last; 0 when there is no time left."""
        stall = self._last_byte + self._stall_seconds - self._source_seconds()
        return max(0.0, min(stall, self._started + self._overall_seconds - self._clock.monotonic()))

    def is_over(self) -> bool:
        """Tell whether the whole call has used up its time."""
        return self._clock.monotonic() >= self._started + self._overall_seconds

    def verdict(self) -> str:
        """Say which deadline has passed; empty when none has."""
        if self.is_over():
            return f"it took longer than {self._overall_seconds:.0f} s"
        if self._source_seconds() >= self._last_byte + self._stall_seconds:
            return f"no byte came for {self._stall_seconds:.0f} s"
        return ""

    def too_slow(self) -> str:
        """Say that the source is too slow, and how slow; empty when it is not. Fair only just after bytes came."""
        rate = self._rate.bytes_per_second(self._source_seconds())
        if rate is None or rate >= self._least:
            return ""
        return f"{int(rate)} bytes/s over {WINDOW_SECONDS} s are fewer than {self._least:.0f}"

    def _source_seconds(self) -> float:
        """Return the clock that stands still while the host itself waits."""
        return self._clock.monotonic() - self._paused_seconds
