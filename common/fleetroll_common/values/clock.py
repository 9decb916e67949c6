"""Time as a value: whoever needs it takes a :class:`Clock`, so that tests never sleep."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from typing import Protocol


class Clock(Protocol):
    """Three clocks of a host."""

    def now(self) -> datetime:
        """Return wall-clock time, aware, UTC. May jump."""

    def monotonic(self) -> float:
        """Return seconds that never go back; stands still while the host is suspended."""

    def boottime(self) -> float:
        """Return seconds that never go back and count suspend (a Go must not outlive a closed lid)."""


class SystemClock:
    """The clocks of this machine."""

    def now(self) -> datetime:
        """Return wall-clock time, aware, UTC."""
        return datetime.now(timezone.utc)

    def monotonic(self) -> float:
        """Return seconds of the monotonic clock."""
        return time.monotonic()

    def boottime(self) -> float:
        """Return seconds since boot, suspend included; monotonic seconds where the system has no such clock."""
        clock_id = getattr(time, "CLOCK_BOOTTIME", None)
        return time.monotonic() if clock_id is None else time.clock_gettime(clock_id)


class FakeClock:
    """A clock that moves only when told. The three readings advance together unless moved apart."""

    def __init__(self, start: datetime | None = None) -> None:
        """Start at ``start`` (aware) or at 2026-01-01T00:00Z, with both counters at 1000 s."""
        self._now = start or datetime(2026, 1, 1, tzinfo=timezone.utc)
        self._monotonic = 1000.0
        self._boottime = 1000.0

    def now(self) -> datetime:
        """Return the wall clock as it was set."""
        return self._now

    def monotonic(self) -> float:
        """Return the monotonic seconds."""
        return self._monotonic

    def boottime(self) -> float:
        """Return the boot-time seconds."""
        return self._boottime

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` (>= 0) pass on all three clocks."""
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds
        self._boottime += seconds

    def jump(self, seconds: float) -> None:
        """Move the wall clock alone, in either direction, as an operator or NTP does."""
        self._now += timedelta(seconds=seconds)

    def suspend(self, seconds: float) -> None:
        """Close the lid for ``seconds``: wall clock and boot time move, the monotonic clock stands still."""
        self._now += timedelta(seconds=seconds)
        self._boottime += seconds
