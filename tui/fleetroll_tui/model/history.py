"""What happened to the fleet, to each rollout and to each host that somebody looked at.

1. The newest events of all that happens are in one ring, which a busy fleet turns over within a minute. Whoever is
   looked at has a log of its own: it begins with what the ring has of it, and takes in lists and whatever comes live.
2. Events are missing after each resync, until a list was had that was asked for after the snapshot: a log is *due* so
   long. What a list does not reach over is marked in the log.
3. Rates count each event once. What comes live is counted, and what a list of all events has beside it. The list of one
   rollout is counted for that rollout alone, and only what is older than everything that was counted before. They know
   of which time everything was counted: what was before the oldest event, or in a gap, is not known.
4. Where the server's log itself was replaced, everything is forgotten: ids come again for others.
"""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING

from fleetroll_tui.model.counted import Counted
from fleetroll_tui.model.events import RING, Gap, Rates, Ring

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from fleetroll_tui.model.values import Happening

Scope = tuple[str, str]
"""A rollout's id and a host's, "" for any."""
WHOLE: Scope = ("", "")
MAX_LOGS = 50
"""Logs of single rollouts and hosts that are kept; the one that was not looked at for longest goes first."""
LOG_EVENTS = 2_000
"""Events that are kept in one of them."""
MAX_ROLLOUT_RATES = 200
"""Rollouts whose rates are kept; the oldest go first."""


class History:
    """The ring, the logs and the rates."""

    def __init__(self, ring_events: int = RING, log_events: int = LOG_EVENTS) -> None:
        """Know of nothing."""
        self.ring = Ring(ring_events)
        self._log_events = log_events
        self._counted = Counted()
        self.rates = Rates(self._counted)
        self.rollout_rates: dict[str, Rates] = {}
        self.resyncs = 0
        """How often the server began anew."""
        self._replaced_at = 0
        self._logs: dict[Scope, Ring] = {}

    def still(self) -> History:
        """Return one that nobody changes, with the same events and rates."""
        made = copy(self)
        counted = made._counted = self._counted.still()  # noqa: SLF001 (one of its own)
        made.ring, made.rates = self.ring.still(), self.rates.still(counted)
        made.rollout_rates = {rollout_id: rates.still(counted) for rollout_id, rates in self.rollout_rates.items()}
        made._logs = {scope: log.still() for scope, log in self._logs.items()}  # noqa: SLF001 (the same)
        return made

    def log(self, scope: Scope) -> Ring:
        """Return the log of a scope, and keep it."""
        if scope == WHOLE:
            return self.ring
        found = self._logs.pop(scope, None)
        if found is None:
            found = Ring(self._log_events)
            for happening in self.ring:
                if isinstance(happening, Gap):
                    found.mark_gap(happening.message)
                elif _is_of(happening, scope):
                    found.add(happening)
        self._logs[scope] = found
        while len(self._logs) > MAX_LOGS:
            del self._logs[next(iter(self._logs))]
        return found

    def due(self, scope: Scope) -> bool:
        """Tell whether the older events of a scope are still to be asked for."""
        return self.log(scope).listed_at < self.resyncs

    def stands(self, at: float) -> None:
        """Note that a snapshot is whole, of this instant by the server's clock, 0 for unknown: what follows is told."""
        self._counted.from_now(at)

    def take(self, happening: Happening) -> None:
        """Take in what happened just now."""
        if self.ring.add(happening):
            self._count(happening, self._counted.since)
        if self._logs:
            for scope in _scopes(happening):
                if scope in self._logs:
                    self._logs[scope].add(happening)

    def take_list(self, scope: Scope, newest_first: Sequence[Happening], asked_at: int) -> None:
        """Take in the newest events of a scope, as they were listed.

        Args:
            scope: whose events these are.
            newest_first: known ones may be among them.
            asked_at: :attr:`resyncs` at the moment of asking: a list that a resync overtook is due again, and one of a
                log that was replaced says nothing.
        """
        if asked_at < self._replaced_at:
            return
        log = self.log(scope)
        log.listed_at = max(log.listed_at, asked_at)
        log.close_gaps(newest_first)
        new = log.add_older(newest_first)
        if scope == WHOLE:
            before = self._counted.since
            for happening in new:
                self._count(happening, before)
            if newest_first and asked_at == self.resyncs:
                self._counted.back_to(max(newest_first[-1].at, self.ring.cut_at))
        elif not scope[1] and self.ring.listed_at >= 0:
            self._reach_back(self.rates_of(scope[0]), newest_first)

    def resync(self, why: str, *, log_replaced: bool) -> None:
        """Begin anew: events are missing from here on, or none is true any more."""
        self.resyncs += 1
        if not log_replaced:
            newest = next(self.ring.newest_first(), None)
            self._counted.missing_after(newest.at if newest is not None else self._counted.since)
            for log in (self.ring, *self._logs.values()):
                log.mark_gap(why)
            return
        self._replaced_at = self.resyncs
        self.ring.forget()
        self._logs.clear()
        self._counted = Counted()
        self.rates = Rates(self._counted)
        self.rollout_rates.clear()

    def rates_of(self, rollout_id: str) -> Rates:
        """Return the rates of one rollout."""
        rates = self.rollout_rates.get(rollout_id)
        if rates is None:
            rates = self.rollout_rates[rollout_id] = Rates(self._counted)
            while len(self.rollout_rates) > MAX_ROLLOUT_RATES:
                del self.rollout_rates[next(iter(self.rollout_rates))]
        return rates

    def _count(self, happening: Happening, before: float) -> None:
        """Count an event; its rollout may have counted it already, from a list that reached further back than others.

        Args:
            happening: the event.
            before: the oldest instant that was counted so far.
        """
        if happening.at > 0:  # 0 is of one that says no instant
            self._counted.since = min(self._counted.since, happening.at)
        self.rates.add(happening)
        if happening.rollout_id:
            rates = self.rates_of(happening.rollout_id)
            if not rates.since <= happening.at < before:
                rates.add(happening)

    def _reach_back(self, rates: Rates, listed: Iterable[Happening]) -> None:
        """Count what is older than everything that was counted of a rollout."""
        before = min(self._counted.since, rates.since)
        older = [each for each in listed if each.at < before]
        for happening in older:
            rates.add(happening)
        rates.since = min([rates.since, *(each.at for each in older)])


def _scopes(happening: Happening) -> Iterator[Scope]:
    yield (happening.rollout_id, "")
    yield ("", happening.host_id)
    yield (happening.rollout_id, happening.host_id)


def _is_of(happening: Happening, scope: Scope) -> bool:
    return scope[0] in {"", happening.rollout_id} and scope[1] in {"", happening.host_id}
