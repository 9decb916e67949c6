"""Rollouts with more to do than one transaction may hold, worked off one transaction at a time."""

from __future__ import annotations

import asyncio


class LookAgain:
    """A queue without doubles. It is memory alone: what is lost with the process, the sweep finds in the rows."""

    def __init__(self) -> None:
        """Begin empty."""
        self._due: dict[tuple[str, str], None] = {}
        self._some = asyncio.Event()

    def add(self, rollout_id: str, fleet_id: str) -> None:
        """Name a rollout; from the event loop."""
        self._due[rollout_id, fleet_id] = None
        self._some.set()

    async def next(self) -> tuple[str, str]:
        """Wait for a rollout, the longest waiting first; return its id and fleet."""
        await self._some.wait()
        first = next(iter(self._due))
        del self._due[first]
        if not self._due:
            self._some.clear()
        return first
