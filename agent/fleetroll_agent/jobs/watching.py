"""Keeps an eye on signed metadata between updates: what was taken back is known before somebody wants it.

A look follows each notice of the server that there is something newer, and comes once a day without one. It starts
nothing; what is staged and not allowed any more ends, and what runs and should not is said. Whoever sends notices in a
storm gets one look for all of them.
"""

from __future__ import annotations

import asyncio
import random
from functools import partial
from typing import TYPE_CHECKING

import structlog

from fleetroll_agent.jobs.events import Ruled
from fleetroll_agent.jobs.ruling import notes
from fleetroll_agent.jobs.threads import in_thread
from fleetroll_agent.jobs.values import PRODUCT
from fleetroll_agent.waiting import within
from fleetroll_common.values.errors import FleetrollError

if TYPE_CHECKING:
    from collections.abc import Callable

    from fleetroll_agent.jobs.desk import Desk
    from fleetroll_agent.jobs.ruling import Objection
    from fleetroll_common.trust import Offered, TrustClient

log = structlog.get_logger(__name__)

DAY_SECONDS = 86400.0
"""Between two looks that nobody asks for, give or take a fifth."""
REST_SECONDS = 10.0
"""After each look."""
SPREAD_SECONDS = 5.0
"""A notice reaches a whole fleet in one moment: it asks within this time."""
SESSION_SECONDS = 60.0
"""Without a session there is nobody to ask: it is tried again so much later."""


class Watch:
    """One host's."""

    def __init__(self, trust: TrustClient, desk: Desk, renew: Callable[[str], None]) -> None:
        """Ask ``trust`` for each product at ``desk``; ``renew`` lets a new hello say what was found to be revoked."""
        self._trust = trust
        self._desk = desk
        self._renew = renew
        self._noticed = asyncio.Event()

    def notice(self, timestamp_version: int) -> None:
        """Take note that the server has metadata of this version; what this process has seen is no news."""
        if timestamp_version > self._trust.timestamp_version:
            self._noticed.set()

    async def run(self) -> None:
        """Look again and again; never returns. Whatever goes wrong with a look ends no more than that look."""
        rest = DAY_SECONDS
        while True:
            try:
                await within(rest * random.uniform(0.8, 1.2), self._noticed.wait())  # noqa: S311 (spreads the fleet)
                await asyncio.sleep(random.uniform(0.0, SPREAD_SECONDS))  # noqa: S311 (the same)
            except asyncio.TimeoutError:
                pass
            self._noticed.clear()
            rest = SESSION_SECONDS
            if self._desk.state(PRODUCT).session:
                rest = DAY_SECONDS
                try:
                    await self.look()
                except Exception:
                    log.exception("look_failed")
            await asyncio.sleep(REST_SECONDS)

    async def look(self) -> None:
        """Look once, and tell the rules of each product what is ruled about it."""
        try:
            await in_thread(self._trust.refresh)
        except FleetrollError as error:
            log.warning("metadata_not_refreshed", code=error.code, reason=error.message)
            return
        before = self._against()
        for product in self._desk.products:
            try:
                offered = await in_thread(partial(self._trust.ruled, product))
            except FleetrollError as error:
                log.info("product_not_looked_up", product=product, code=error.code, reason=error.message)
                continue
            await self._desk.told(product, ruled(offered))
        if self._against() != before:
            self._renew("what its publisher holds against a running version has changed")

    def _against(self) -> list[tuple[Objection, ...]]:
        """Return what every hello says of it."""
        return [notes(state.record, state.running.version, state.running.sha256) for state in self._desk.states()]


def ruled(offered: Offered, *, whole: bool = True) -> Ruled:
    """Return the event; ``whole`` False where something may be listed that is not in ``offered``."""
    listed = frozenset(target.sha256 for target in offered.targets)
    return Ruled(offered.policy, listed if whole else None)
