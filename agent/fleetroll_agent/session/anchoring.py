"""Keeps signed metadata, and the anchors in it, up to date while a session is open.

Rules:

1. The server says which timestamp is the newest; when that is not the one of the last refresh, a refresh follows, after
   a wait that spreads the fleet. Nothing that the server says is believed: the refresh verifies.
2. After each refresh that succeeded, whoever asked for it, anchors with a higher serial are taken: on disk first, then
   for the next connection.
3. An open stream stays where it is. Only when its address is no longer among the anchors' does it move, after a wait
   that spreads the fleet, and only while nothing is going on here. Where the new addresses can't be reached, the former
   one is a last resort, and the next try comes an hour later.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from functools import partial
from typing import TYPE_CHECKING

import structlog

from fleetroll_agent.jobs.threads import in_thread
from fleetroll_agent.waiting import within
from fleetroll_common.values.errors import FleetrollError

if TYPE_CHECKING:
    from fleetroll_agent.identity.whereabouts import Whereabouts
    from fleetroll_agent.session.link import Link
    from fleetroll_agent.session.ports import SessionHost
    from fleetroll_common.trust import TrustClient
    from fleetroll_common.values.clock import Clock

log = structlog.get_logger(__name__)

SPREAD_SECONDS = 60.0
"""10,000 hosts are some 170 refreshes a second then, of two small files each. A host that visits comes at its own time
and waits for nothing."""
LOOK_SECONDS = 30.0
"""How soon a refresh that something else asked for is looked at, and a stream that should move."""
AGAIN_SECONDS = 600.0
"""After a refresh that failed, give or take half of it; a new session tries at once."""
MOVE_SPREAD_SECONDS = 300.0
MOVE_AGAIN_SECONDS = 3600.0


class AnchorsKeeper:
    """One per process; :meth:`run` does everything."""

    def __init__(
        self, whereabouts: Whereabouts, trust: TrustClient, link: Link, host: SessionHost, clock: Clock, *, visits: bool
    ) -> None:
        """Keep the parts. ``visits``: this host does not hold its stream."""
        self._whereabouts = whereabouts
        self._trust = trust
        self._link = link
        self._host = host
        self._clock = clock
        self._spread = 0.0 if visits else SPREAD_SECONDS
        self._named = 0
        self._looked = 0
        self._not_before = 0.0
        self._move_at: float | None = None
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
                await within(LOOK_SECONDS, self._wake.wait())
            self._wake.clear()
            await self._refresh()
            await self._take()
            self._move()

    async def _refresh(self) -> None:
        """Refresh where the server names another timestamp; a failure is logged and tried again later."""
        if not self._is_due():
            return
        await asyncio.sleep(random.uniform(0, self._spread))  # noqa: S311 (spreads the fleet)
        if not self._is_due():
            return
        try:
            await in_thread(self._trust.refresh)
        except FleetrollError as error:
            self._not_before = self._clock.monotonic() + AGAIN_SECONDS * random.uniform(0.5, 1.5)  # noqa: S311 (as above)
            log.info("metadata_not_refreshed", code=error.code, reason=error.message)

    def _is_due(self) -> bool:
        """Tell whether a refresh is due, and a session open to ask in."""
        differs = self._named not in {0, self._trust.timestamp_version}
        return differs and bool(self._link.address) and self._clock.monotonic() >= self._not_before

    async def _take(self) -> None:
        """Take the anchors of a refresh that was not looked at yet."""
        version = self._trust.timestamp_version
        if version in {0, self._looked}:
            return
        try:
            anchors = await in_thread(self._trust.anchors)
            if anchors is not None and await in_thread(partial(self._whereabouts.take, anchors)):
                log.info("anchors_taken", serial=anchors.serial, addresses=list(anchors.addresses))
        except FleetrollError as error:
            log.warning("anchors_not_taken", code=error.code, reason=error.message)
            return
        self._looked = version

    def _move(self) -> None:
        """Let a stream go whose address is among the anchors' no more."""
        address, now = self._link.address, self._clock.monotonic()
        if not address or address in self._whereabouts.named:
            self._move_at = None if address else self._move_at
            return
        if self._move_at is None:
            self._move_at = now + random.uniform(0, MOVE_SPREAD_SECONDS)  # noqa: S311 (spreads the fleet)
        if now >= self._move_at and self._host.idle:
            self._move_at = now + MOVE_AGAIN_SECONDS * random.uniform(0.5, 1.5)  # noqa: S311 (as above)
            log.info("moving", address=address, serial=self._whereabouts.serial)
            self._link.renew("its address is among the anchors' no more")
