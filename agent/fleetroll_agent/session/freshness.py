"""Keeps signed metadata up to date while a session is open: one refresh for all who go by it.

Rules:

1. The server says which timestamp is the newest; when that is not the one of the last refresh, a refresh follows, after
   a wait that spreads the fleet. Nothing that the server says is believed: the refresh verifies, and what it brought
   answers the notice, also where the server had named another. However many notices come, they lead to one refresh.
2. Once a day a refresh comes without a notice, give or take a fifth: a server that names none hides nothing for long.
3. After each refresh that brought something, whoever asked for it, those who go by the metadata are told, in their
   order. What goes wrong with one of them is logged, and keeps the others from nothing; that one is told again later.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import TYPE_CHECKING

import structlog

from fleetroll_agent.jobs.threads import in_thread
from fleetroll_agent.session.polling import polled_seconds
from fleetroll_agent.waiting import within
from fleetroll_common.values.errors import FleetrollError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fleetroll_agent.session.link import Link
    from fleetroll_agent.settings import Settings
    from fleetroll_common.trust import TrustClient
    from fleetroll_common.values.clock import Clock

log = structlog.get_logger(__name__)

LOOK_SECONDS = 30.0
"""How soon a refresh that something else asked for is found; sooner where the fleet is spread over less."""
LOOK_SECONDS_MIN = 0.1
AGAIN_SECONDS = 600.0
"""After a refresh that failed, give or take half of it; a new session tries at once. Also for who could not be told."""
DAY_SECONDS = 86400.0


class Freshness:
    """One per process; :meth:`run` does everything."""

    def __init__(self, trust: TrustClient, link: Link, clock: Clock, settings: Settings) -> None:
        """Keep the parts.

        The fleet is spread as its reconnects are: at the default of 60 s, 10,000 hosts are some 170 refreshes a second,
        of two small files each. A host that visits comes at its own time and waits for nothing.
        """
        self.told: list[Callable[[], Awaitable[None]]] = []
        """Who is told, in this order; set before :meth:`run`."""
        self.each_turn: list[Callable[[], Awaitable[None]]] = []
        """What is done at each turn, a new session's Welcome included; it looks by itself at what is new."""
        self._trust = trust
        self._link = link
        self._clock = clock
        self._spread = settings.reconnect_cap_seconds if polled_seconds(settings.host) is None else 0.0
        self._look = min(LOOK_SECONDS, max(LOOK_SECONDS_MIN, settings.reconnect_cap_seconds))
        self._named = 0
        self._seen = 0
        self._untold: list[Callable[[], Awaitable[None]]] = []
        self._tell_at = 0.0
        self._not_before = 0.0
        self._day_ends = self._in_a_day()
        self._wake = asyncio.Event()

    def noticed(self, timestamp_version: int, *, opened: bool) -> None:
        """Take note of the newest timestamp that the server names; ``opened``: in a Welcome."""
        self._named = timestamp_version
        if opened:
            self._not_before = 0.0
        self._wake.set()

    async def run(self) -> None:
        """Look when something is named, and from time to time; until cancelled."""
        while True:
            with contextlib.suppress(asyncio.TimeoutError):
                await within(self._look, self._wake.wait())
            self._wake.clear()
            await self.look()

    async def look(self) -> None:
        """Do what is due now."""
        await self._refresh()
        await self._tell()
        for turn in self.each_turn:
            await _was_told(turn)

    async def _refresh(self) -> None:
        """Refresh where that is due; a failure is logged and tried again later."""
        if not self._is_due():
            return
        await asyncio.sleep(random.uniform(0, self._spread))  # noqa: S311 (spreads the fleet)
        if not self._is_due():
            return
        named = self._named
        try:
            await in_thread(self._trust.refresh)
        except FleetrollError as error:
            self._not_before = self._later()
            log.info("metadata_not_refreshed", code=error.code, reason=error.message)
            return
        self._day_ends = self._in_a_day()
        if self._named == named:  # what was named meanwhile is another notice
            self._named = self._trust.timestamp_version

    def _is_due(self) -> bool:
        """Tell whether a refresh is due, and a session open to ask in."""
        now = self._clock.monotonic()
        due = self._named not in {0, self._trust.timestamp_version} or now >= self._day_ends
        return due and bool(self._link.address) and now >= self._not_before

    async def _tell(self) -> None:
        """Tell everybody of a refresh that nobody was told of, and again, later, those with whom that went wrong."""
        version, now = self._trust.timestamp_version, self._clock.monotonic()
        if version == 0:
            return
        if version != self._seen:
            self._seen, self._untold, self._tell_at = version, list(self.told), now
        if not self._untold or now < self._tell_at:
            return
        self._untold = [tell for tell in self._untold if not await _was_told(tell)]
        self._tell_at = self._later()

    def _later(self) -> float:
        return self._clock.monotonic() + AGAIN_SECONDS * random.uniform(0.5, 1.5)  # noqa: S311 (spreads the fleet)

    def _in_a_day(self) -> float:
        return self._clock.monotonic() + DAY_SECONDS * random.uniform(0.8, 1.2)  # noqa: S311 (spreads the fleet)


async def _was_told(tell: Callable[[], Awaitable[None]]) -> bool:
    """Tell one of them; False when a defect there was logged."""
    try:
        await tell()
    except Exception:
        log.exception("metadata_not_looked_at")
        return False
    return True
