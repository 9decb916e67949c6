"""Goes by the anchors of signed metadata: takes newer ones, and moves a stream to the addresses that they name.

Rules:

1. After each refresh that succeeded, whoever asked for it, anchors with a higher serial are taken, or with another set
   of keys than those before (a newer root has replaced it): on disk first, then for the next connection.
2. An open stream stays where it is. Only when its address is no longer among the anchors' does it move, after a wait
   that spreads the fleet, and only while nothing is going on here. Where the new addresses can't be reached, the former
   one is a last resort, and the next try comes an hour later.
"""

from __future__ import annotations

import random
from functools import partial
from typing import TYPE_CHECKING

import structlog

from fleetroll_agent.jobs.threads import in_thread
from fleetroll_agent.session.polling import polled_seconds
from fleetroll_common.values.errors import FleetrollError

if TYPE_CHECKING:
    from fleetroll_agent.identity.whereabouts import Whereabouts
    from fleetroll_agent.session.link import Link
    from fleetroll_agent.session.ports import SessionHost
    from fleetroll_agent.settings import Settings
    from fleetroll_common.trust import TrustClient
    from fleetroll_common.values.clock import Clock

log = structlog.get_logger(__name__)

MOVE_AGAIN_SECONDS = 3600.0


class AnchorsKeeper:
    """One per process; :meth:`look` does everything."""

    def __init__(
        self,
        whereabouts: Whereabouts,
        trust: TrustClient,
        link: Link,
        host: SessionHost,
        clock: Clock,
        settings: Settings,
    ) -> None:
        """Keep the parts. The fleet is spread as its reconnects are; a host that visits waits for nothing."""
        self._whereabouts = whereabouts
        self._trust = trust
        self._link = link
        self._host = host
        self._clock = clock
        self._spread = settings.reconnect_cap_seconds if polled_seconds(settings.host) is None else 0.0
        self._looked = 0
        self._move_at: float | None = None

    async def look(self) -> None:
        """Take the anchors of a refresh that was not looked at yet, and let a stream go that should move.

        To be called often, and at each Welcome: a short stay at a named address counts as one.
        """
        await self._take()
        self._move()

    async def _take(self) -> None:
        """Take the anchors of a refresh that was not looked at yet."""
        version = self._trust.timestamp_version
        if version in {0, self._looked}:
            return
        try:
            signed = await in_thread(self._trust.anchors)
            if signed is not None and await in_thread(partial(self._whereabouts.take, signed)):
                log.info("anchors_taken", serial=signed.anchors.serial, addresses=list(signed.anchors.addresses))
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
            self._move_at = now + random.uniform(0, self._spread)  # noqa: S311 (spreads the fleet)
        if now >= self._move_at and self._host.idle:
            self._move_at = now + MOVE_AGAIN_SECONDS * random.uniform(0.5, 1.5)  # noqa: S311 (as above)
            log.info("moving", address=address, serial=self._whereabouts.serial)
            self._link.renew("its address is among the anchors' no more")
