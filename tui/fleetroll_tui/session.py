"""What one run of the console knows and how it looks at it: the model, its lists, the connections. No screen in it."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from fleetroll_tui.model.fields import EVENT_FIELDS, HOST_FIELDS, MEMBER_FIELDS, ROLLOUT_FIELDS
from fleetroll_tui.model.fleet import Crew, Fleet
from fleetroll_tui.model.link import Link
from fleetroll_tui.model.listing import Listing
from fleetroll_tui.model.lists import ShortList, fill_events
from fleetroll_tui.model.papers import Papers
from fleetroll_tui.model.release_fields import RELEASE_FIELDS
from fleetroll_tui.model.releases import recount
from fleetroll_tui.model.updates import Resync

if TYPE_CHECKING:
    from collections.abc import Callable

    from fleetroll_tui.model.history import Scope
    from fleetroll_tui.model.readings import Reading
    from fleetroll_tui.model.releases import Release
    from fleetroll_tui.model.updates import Older, Update
    from fleetroll_tui.model.values import Attempt, Happening, Host, Member, Rollout

T = TypeVar("T")
MAX_EVENT_LISTS = 50
"""Lists of events whose filter and cursor are remembered."""
MAX_ATTEMPT_LISTS = 50
"""Hosts whose attempts are kept."""


class Session:
    """The fleet, the rollout that is looked at, and every list with its filter, marks and cursor."""

    def __init__(self, ticks: Callable[[], float]) -> None:
        """Know nothing.

        Args:
            ticks: monotonic seconds.
        """
        self.ticks = ticks
        self.fleet = Fleet()
        self.link = Link()
        self.crew = Crew("")
        self.crew_link = Link()
        self.hosts: Listing[Host] = Listing(self.fleet.hosts, HOST_FIELDS)
        self.rollouts: Listing[Rollout] = Listing(self.fleet.rollouts, ROLLOUT_FIELDS)
        self.members: Listing[Member] = Listing(self.crew.members, MEMBER_FIELDS)
        self.papers = Papers()
        self.releases: Listing[Release] = Listing(self.papers.releases, RELEASE_FIELDS)
        self.answers = 0
        """How many lists were had: what is shown of them may have changed."""
        self.logs = 0
        """How often the server's log was another one: ids and revisions from before mean nothing then."""
        self._lent = self._replaced = False
        """Whether a view that is kept shows the lists, and whether the log was replaced meanwhile."""
        self._attempts: dict[str, tuple[str, tuple[Attempt, ...]]] = {}
        self._events: dict[tuple[str, str], ShortList[Happening]] = {}

    @property
    def now(self) -> float:
        """Return the server's time, seconds since the epoch; 0 before it said anything."""
        return self.link.server_offset + self.ticks() if self.link.server_offset else 0.0

    def still(self) -> Session:
        """Return how things stand now, for a view that is kept as it is; :meth:`go_on` ends it.

        Its time stands still too. Filters, orders, marks and cursors are the same ones: they go on to work.
        """
        made, at = copy(self), self.ticks()
        made.ticks = lambda: at
        made.fleet, made.crew, made.papers = self.fleet.still(), self.crew.still(), self.papers.still()
        made.link, made.crew_link = copy(self.link), copy(self.crew_link)
        made._attempts = dict(self._attempts)  # noqa: SLF001 (one of its own)
        made._look()  # noqa: SLF001 (the same)
        self._lent = True
        return made

    def go_on(self) -> None:
        """Let the lists show again what is known now."""
        self._look()
        self._lent = False
        if self._replaced:
            self._forget_choices()

    def _forget_choices(self) -> None:
        """Forget what was chosen among events: their ids stand for others now."""
        self._replaced = False
        for events in self._events.values():
            events.forget_choice()

    def _look(self) -> None:
        self.hosts.look_over(self.fleet.hosts)
        self.rollouts.look_over(self.fleet.rollouts)
        self.members.look_over(self.crew.members)
        self.releases.look_over(self.papers.releases)

    def take(self, update: Update) -> None:
        """Take in what is said of the fleet."""
        self.fleet.take(update)
        self.papers.take(update)
        if isinstance(update, Resync) and update.log_replaced:
            self._attempts.clear()
            self.logs += 1
            self._replaced = True
            if not self._lent:
                self._forget_choices()
        self.link.take(update, self.ticks())
        self.link.loaded = self.fleet.loaded

    def take_crew(self, rollout_id: str, update: Update) -> None:
        """Take in what is said of a rollout's hosts; of another rollout's than the one that is looked at, nothing."""
        if rollout_id == self.crew.rollout_id:
            self.crew.take(update)
            self.crew_link.take(update, self.ticks())
            self.crew_link.loaded = self.crew.loaded

    def look_at(self, rollout_id: str) -> bool:
        """Look at the hosts of a rollout; True when they are to be watched: others than before, or refused before."""
        refused = self.crew_link.lost is not None and self.crew_link.lost.final
        if rollout_id == self.crew.rollout_id and not refused:
            return False
        self.crew, self.crew_link = Crew(rollout_id), Link()
        self.members = Listing(self.crew.members, MEMBER_FIELDS)
        return True

    def link_of(self, *, crew: bool) -> Link:
        """Return the connection that says how fresh a view is: the worse of both, where it shows a rollout's hosts."""
        at = self.ticks()
        return self.crew_link if crew and self.crew_link.trouble(at) > self.link.trouble(at) else self.link

    def take_list(self, scope: Scope, older: Older, asked_at: int) -> None:
        """Take in the events of a rollout, of a host, or of all, as they were listed; see :class:`History`."""
        self.fleet.history.take_list(scope, older.happenings, asked_at)
        self.answers += 1

    def take_paper(self, reading: Reading[T], value: T, asked_at: float) -> None:
        """Take in what was asked for, when it was asked for."""
        reading.had(value, asked_at)
        self.papers.pace()
        self.papers.shelve(self.fleet.runs, self.fleet.wants)

    def count_releases(self) -> None:
        """Count the hosts that have each release, as they stand now."""
        recount(self.papers.releases, self.fleet.runs, self.fleet.wants)

    def take_attempts(self, host_id: str, of: str, attempts: tuple[Attempt, ...]) -> None:
        """Take in a host's attempts; ``of`` says how it stood when they were asked for."""
        self._attempts.pop(host_id, None)
        self._attempts[host_id] = (of, attempts)
        while len(self._attempts) > MAX_ATTEMPT_LISTS:
            del self._attempts[next(iter(self._attempts))]
        self.answers += 1

    def attempts(self, host: Host) -> tuple[Attempt, ...]:
        """Return what is known of a host's attempts, newest first; the last one as it was told last."""
        _, listed = self._attempts.get(host.id, ("", ()))
        last = host.product.last_attempt
        if not last.id or last.id not in {each.id for each in listed}:
            return (last, *listed) if last.id else listed
        return tuple(_later(each, last) if each.id == last.id else each for each in listed)

    def attempts_due(self, host: Host) -> str:
        """Return how a host stands, while its attempts were not listed since it came to stand so; "" when they were."""
        stands = f"{host.product.last_attempt.id}/{host.product.state}"
        return "" if self._attempts.get(host.id, ("", ()))[0] == stands else stands

    def events(self, rollout_id: str = "", host_id: str = "") -> ShortList[Happening]:
        """Return the events of a rollout, of a host, or all, as they were painted last."""
        found = self._events.get((rollout_id, host_id))
        return found if found is not None else self.events_now(rollout_id, host_id)

    def events_now(self, rollout_id: str = "", host_id: str = "") -> ShortList[Happening]:
        """Return the events of a rollout, of a host, or all, as they are now: for whoever paints them at once."""
        key = (rollout_id, host_id)
        found = self._events.pop(key, None)
        if found is None:
            found = ShortList(EVENT_FIELDS)
        self._events[key] = found
        while len(self._events) > MAX_EVENT_LISTS:
            del self._events[next(iter(self._events))]
        fill_events(found, self.fleet.history.log(key), self.now, rollout_id=rollout_id, host_id=host_id)
        return found

    def no_events(self, empty: str, rollout_id: str = "", host_id: str = "") -> str:
        """Return what an empty log says: ``empty``, or that nobody can tell yet."""
        return "what happened is not read yet" if self.fleet.history.due((rollout_id, host_id)) else empty

    def host_name(self, host_id: str) -> str:
        """Return a host's name, or its id while the name is not known."""
        host = self.fleet.hosts.get(host_id)
        return host.name if host is not None else host_id


def _later(listed: Attempt, told: Attempt) -> Attempt:
    """Return an attempt as the watch told it, unless the list shows its end already; output is in lists alone."""
    if listed.ended_at and not told.ended_at:
        return listed
    return replace(told, output_tail=told.output_tail or listed.output_tail)
