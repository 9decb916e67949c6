"""Keeps an eye on signed metadata between updates: what was taken back is known before somebody wants it.

A look follows each refresh that brought something. It starts nothing; what is staged and not allowed any more ends, and
what runs and should not is said.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import structlog

from fleetroll_agent.jobs.events import Ruled
from fleetroll_agent.jobs.ruling import notes
from fleetroll_agent.jobs.threads import in_thread
from fleetroll_common.values.errors import FleetrollError

if TYPE_CHECKING:
    from collections.abc import Callable

    from fleetroll_agent.jobs.desk import Desk
    from fleetroll_agent.jobs.ruling import Objection
    from fleetroll_common.trust import Offered, TrustClient

log = structlog.get_logger(__name__)


class Watch:
    """One host's."""

    def __init__(self, trust: TrustClient, desk: Desk, renew: Callable[[str], None]) -> None:
        """Ask ``trust`` for each product at ``desk``; ``renew`` lets a new hello say what was found to be revoked."""
        self._trust = trust
        self._desk = desk
        self._renew = renew

    async def look(self) -> None:
        """Tell the rules of each product what the newest verified metadata rules about it."""
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
