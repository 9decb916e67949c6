"""Followers of attempts: what is reported and printed while a person waits at the command line."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fleetroll_agent.jobs.state import State
    from fleetroll_agent.jobs.values import Outcome, Report

MAX_LINES = 1000
"""That wait for a terminal which does not take them; the oldest go."""


@dataclass(eq=False)
class Follower:
    """One person's wait for one attempt."""

    product: str
    local: int
    lines: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    ended: asyncio.Future[Outcome] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def say(self, line: str) -> None:
        """Take a line."""
        while self.lines.qsize() >= MAX_LINES:
            self.lines.get_nowait()
        self.lines.put_nowait(line)


class Followers:
    """Everybody who waits."""

    def __init__(self) -> None:
        """Nobody waits yet."""
        self._all: set[Follower] = set()
        self._seen: dict[str, int] = {}

    def begin(self, product: str, local: int) -> Follower:
        """Follow an attempt from here on."""
        follower = Follower(product, local)
        self._all.add(follower)
        return follower

    def end(self, follower: Follower) -> None:
        """Follow no more."""
        self._all.discard(follower)

    def happened(self, state: State) -> None:
        """Take what the newest write of a product reported."""
        record = state.record
        seen = self._seen.get(record.product, 0)
        fresh = [told for told in record.outbox if told.number > seen]
        if record.outbox:
            self._seen[record.product] = record.outbox[-1].number
        for follower in [one for one in self._all if one.product == record.product]:
            for told in fresh:
                if told.local == follower.local:
                    follower.say(words(told))
            outcome = outcome_of(state, follower.local)
            if outcome is not None and not follower.ended.done():
                follower.ended.set_result(outcome)

    def printed(self, product: str, local: int, line: str) -> None:
        """Take a line that a command of an attempt printed."""
        for follower in self._all:
            if (follower.product, follower.local) == (product, local):
                follower.say(f"  {line}")


def outcome_of(state: State, local: int) -> Outcome | None:
    """Return how a local attempt ended; None while it goes on, or when it is not known any more."""
    return next((known for known in reversed(state.record.outcomes) if known.local == local), None)


def words(told: Report) -> str:
    """Return a report as people read it."""
    step = f" {told.step}" if told.step else ""
    why = f": {told.message}" if told.message else ""
    return f"{told.said.value.lower().replace('_', ' ')}{step}{why}"
