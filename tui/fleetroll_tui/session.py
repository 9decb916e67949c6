"""What one run of the console knows and how it looks at it: the model, its lists, the connections. No screen in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_tui.model.fields import EVENT_FIELDS, HOST_FIELDS, MEMBER_FIELDS, ROLLOUT_FIELDS
from fleetroll_tui.model.fleet import Crew, Fleet
from fleetroll_tui.model.link import Link
from fleetroll_tui.model.listing import Listing
from fleetroll_tui.model.lists import ShortList, fill_events

if TYPE_CHECKING:
    from collections.abc import Callable

    from fleetroll_tui.model.updates import Update
    from fleetroll_tui.model.values import Attempt, Happening, Host, Member, Rollout

MAX_EVENT_LISTS = 50
"""Lists of events whose filter and cursor are remembered."""


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
        self.attempts: dict[str, tuple[Attempt, ...]] = {}
        self._events: dict[tuple[str, str], ShortList[Happening]] = {}

    @property
    def now(self) -> float:
        """Return the server's time, seconds since the epoch; 0 before it said anything."""
        return self.link.server_offset + self.ticks() if self.link.server_offset else 0.0

    def take(self, update: Update) -> None:
        """Take in what is said of the fleet."""
        self.fleet.take(update)
        self.link.take(update, self.ticks())
        self.link.loaded = self.fleet.loaded

    def take_crew(self, rollout_id: str, update: Update) -> None:
        """Take in what is said of a rollout's hosts; of another rollout's than the one that is looked at, nothing."""
        if rollout_id == self.crew.rollout_id:
            self.crew.take(update)
            self.crew_link.take(update, self.ticks())
            self.crew_link.loaded = self.crew.loaded

    def look_at(self, rollout_id: str) -> bool:
        """Look at the hosts of a rollout; True when they are others than before."""
        if rollout_id == self.crew.rollout_id:
            return False
        self.crew, self.crew_link = Crew(rollout_id), Link()
        self.members = Listing(self.crew.members, MEMBER_FIELDS)
        return True

    def events(self, rollout_id: str = "", host_id: str = "") -> ShortList[Happening]:
        """Return the events of a rollout, of a host, or all, as they are now."""
        key = (rollout_id, host_id)
        found = self._events.pop(key, None) or ShortList(EVENT_FIELDS)
        self._events[key] = found
        while len(self._events) > MAX_EVENT_LISTS:
            del self._events[next(iter(self._events))]
        fill_events(found, self.fleet.ring, self.now, rollout_id=rollout_id, host_id=host_id)
        return found

    def host_name(self, host_id: str) -> str:
        """Return a host's name, or its id while the name is not known."""
        host = self.fleet.hosts.get(host_id)
        return host.name if host is not None else host_id
