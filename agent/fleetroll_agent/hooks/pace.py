"""Waiting for what the kernel does not tell by itself: looked at often at first, then less so."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fleetroll_common.values.clock import Clock, SystemClock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

FIRST_SECONDS = 0.005
SLOWEST_SECONDS = 0.1
"""What a step may seem to last longer than it did; looking costs a few system calls."""


@dataclass(frozen=True, slots=True)
class Pace:
    """A clock and a way to wait on it; tests bring their own.

    Attributes:
        clock: its monotonic reading counts.
        sleep: waits for so many seconds of that clock.
    """

    clock: Clock = field(default_factory=SystemClock)
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def until(self, holds: Callable[[], bool], seconds: float) -> bool:
        """Wait until ``holds()``, at most ``seconds``; return whether it did, looked at a last time at the end."""
        end = self.clock.monotonic() + seconds
        pause = FIRST_SECONDS
        while not holds():
            left = end - self.clock.monotonic()
            if left <= 0:
                return False
            await self.sleep(min(pause, left))
            pause = min(pause * 2, SLOWEST_SECONDS)
        return True
