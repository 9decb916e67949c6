"""How long a download may go on waiting: pure arithmetic on a clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fleetroll_agent.fetch.values import DownloadLimits
    from fleetroll_common.values.clock import Clock


class Patience:
    """Two deadlines on the monotonic clock: one that every byte moves, one that nothing moves."""

    def __init__(self, clock: Clock, limits: DownloadLimits, length: int) -> None:
        """Start now, for a target of ``length`` bytes."""
        self._clock = clock
        self._stall_seconds = limits.stall_seconds
        self._started = self._last_byte = clock.monotonic()
        self._overall_seconds = limits.overall_seconds(length)

    def progressed(self) -> None:
        """Note that bytes came."""
        self._last_byte = self._clock.monotonic()

    def left_seconds(self) -> float:
        """Return how long the next wait may last; 0 when there is no time left."""
        now = self._clock.monotonic()
        stall = self._last_byte + self._stall_seconds - now
        return max(0.0, min(stall, self._started + self._overall_seconds - now))

    def verdict(self) -> str:
        """Say which deadline has passed; empty when none has."""
        now = self._clock.monotonic()
        if now >= self._started + self._overall_seconds:
            return f"it took longer than {self._overall_seconds:.0f} s"
        if now >= self._last_byte + self._stall_seconds:
            return f"no byte came for {self._stall_seconds:.0f} s"
        return ""
