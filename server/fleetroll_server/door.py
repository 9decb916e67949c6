"""Whether this process accepts hellos: said by the gateway that refuses them, read by the engine that records it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from fleetroll_server.domain.availability import MAX_GAP, TICK

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime


class Door:
    """Lives on one event loop; memory alone: what is durable is the record of availability.

    Attributes:
        refusals: hellos that were refused by no fault of their agents.
        recorded: those that the record knows of.
        is_shut: the server drains: no hello is accepted any more.
        signs: when this server was alive, a tick apart, in order: those that the record lacks, twelve for each
            minute that the writer takes.
    """

    def __init__(self) -> None:
        """Begin open."""
        self.refusals = 0
        self.recorded = 0
        self.is_shut = False
        self.signs: list[datetime] = []
        self._seen_at: datetime | None = None

    def beat(self, now: datetime) -> None:
        """Note a sign of life where a tick has passed since the last one; a clock that was set back needs a new one."""
        if self._seen_at is None or not timedelta() <= now - self._seen_at < TICK:
            self._seen_at = now
            self.signs.append(now)

    def wrote(self, signs: Collection[datetime], refusals: int) -> None:
        """Note that the record has these signs, and knows of as many refusals."""
        self.signs = [sign for sign in self.signs if sign not in signs]
        self.recorded = refusals

    def lost(self) -> None:
        """Forget the signs: they could not be stored, as no hello could; the next beat is one at once."""
        self.signs.clear()
        self._seen_at = None

    def is_watched(self, now: datetime) -> bool:
        """Tell whether nothing is known that could have closed the time until ``now``: silence may be judged."""
        return not self.is_refusing and self._seen_at is not None and now - self._seen_at <= MAX_GAP

    def refuse(self) -> None:
        """Count a refused hello."""
        self.refusals += 1

    def shut(self) -> None:
        """Accept no hello any more."""
        self.is_shut = True

    @property
    def is_refusing(self) -> bool:
        """Tell whether hellos were refused of which the record does not know yet."""
        return self.is_shut or self.refusals > self.recorded
