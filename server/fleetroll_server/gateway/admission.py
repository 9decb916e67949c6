"""How many hellos are let in: places for handshakes in flight and a token bucket on their rate.

Unbounded, 10,000 agents that come back at once need as long in all, but each of them waits for seconds; with at most
200 in flight the 99th percentile of a handshake fell from 4.7 s to 0.15 s.

Some of the places are for trials alone: a version that can't reach its server in time goes back, and a storm or a crowd
of slow hellos is not its fault. Who says hello is not proven at the door, so that one name gets a few places only.
"""

from __future__ import annotations

import math
from collections import Counter
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from fleetroll_common.values.clock import Clock
    from fleetroll_server.door import Door

GENERAL_PLACES = 160
"""Handshakes at the same time, of whomever."""
RESERVED_PLACES = 40
"""Further ones, for trials and for newcomers while their attempt is looked up: some ms each."""
MAX_PER_AGENT = 8
"""Handshakes of one agent id at the same time. An honest host has one, and a few that it gave up lately."""
FULL = timedelta(seconds=1)
"""When to come back where no place is free: ten times what a handshake takes."""
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

    def spend(self, tokens: int, now: float, rate: float, burst: float) -> tuple[Bucket, float]:
        """Spend tokens for what is done, on credit too. Return the bucket and the seconds until it owes nothing.

        Args:
            tokens: how many, >= 0.
            now: monotonic seconds, >= ``at``.
            rate: tokens per second, > 0.
            burst: the most tokens that it holds.
        """
        left = min(burst, self.tokens + (now - self.at) * rate) - tokens
        return Bucket(left, now), max(0.0, -left / rate)


class Admission:
    """The door of the handshakes of one process."""

    def __init__(self, clock: Clock, door: Door) -> None:
        """Open with a full bucket; ``door`` is told of each hello that is refused for want of room."""
        self._clock = clock
        self._door = door
        self._general = 0
        self._reserved = 0
        self._by_agent: Counter[str] = Counter()
        self._bucket = Bucket(BURST, clock.monotonic())

    def close(self) -> None:
        """Admit nobody any more: the server drains."""
        self._door.shut()

    @property
    def in_flight(self) -> int:
        """Handshakes that are going on."""
        return self._general + self._reserved

    @asynccontextmanager
    async def admit(self, agent_id: str, on_trial: Callable[[], Awaitable[bool]]) -> AsyncIterator[None]:
        """Hold a place for one handshake.

        Args:
            agent_id: who says to be there; nothing is proven yet.
            on_trial: asked only where it decides: no general place is free, or the bucket is empty.

        Raises:
            TooManyHellosError: no place or no token (nobody's fault; come back).
        """
        if self._door.is_shut or self._by_agent.get(agent_id, 0) >= MAX_PER_AGENT:
            raise TooManyHellosError(FULL)
        wait = self._general_wait()
        with self._place(agent_id, reserved=wait is not None):
            if wait is not None and not await on_trial():
                raise self._no_room(wait)
            yield

    def _general_wait(self) -> timedelta | None:
        """Take a token for a general place; return when to come back where there is no token or no place."""
        if self._general >= GENERAL_PLACES:
            return FULL
        self._bucket, wait_seconds = self._bucket.take(self._clock.monotonic(), HELLOS_PER_SECOND, BURST)
        return timedelta(seconds=max(1, math.ceil(wait_seconds))) if wait_seconds > 0 else None

    @contextmanager
    def _place(self, agent_id: str, *, reserved: bool) -> Iterator[None]:
        """Hold a place of one kind.

        Raises:
            TooManyHellosError: the reserved places are taken too.
        """
        if reserved and self._reserved >= RESERVED_PLACES:
            raise self._no_room(FULL)
        self._count(agent_id, 1, reserved=reserved)
        try:
            yield
        finally:
            self._count(agent_id, -1, reserved=reserved)

    def _no_room(self, wait: timedelta) -> TooManyHellosError:
        """Return the refusal of an agent that did nothing wrong."""
        self._door.refuse()
        return TooManyHellosError(wait)

    def _count(self, agent_id: str, change: int, *, reserved: bool) -> None:
        """Count a place in or out; an id that holds none is forgotten."""
        if reserved:
            self._reserved += change
        else:
            self._general += change
        self._by_agent[agent_id] += change
        if not self._by_agent[agent_id]:
            del self._by_agent[agent_id]
