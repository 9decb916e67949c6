"""What is known of the fleets: built from updates alone. A change costs the same in a fleet of any size."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from fleetroll_tui.model.events import Rates, Ring
from fleetroll_tui.model.shelf import Shelf
from fleetroll_tui.model.updates import Changed, Older, Page
from fleetroll_tui.model.values import ACTIVE, BAD, Host, Member, Rollout, Switch
from fleetroll_tui.model.versions import is_behind

if TYPE_CHECKING:
    from fleetroll_tui.model.updates import Stand, Update
    from fleetroll_tui.model.values import Happening, Token

TILES = ("online", "offline", "behind", "updating", "failed")
"""What the overview counts, in its order."""
MAX_ROLLOUT_RATES = 200
"""Rollouts whose rates are kept; the oldest go first."""


class Pages:
    """The pages of a snapshot until the last one is there."""

    def __init__(self) -> None:
        """Hold none."""
        self._held: list[Stand] = []

    def add(self, page: Page) -> list[Stand] | None:
        """Keep a page; return all of them with the last one."""
        self._held.append(page.stand)
        if not page.last:
            return None
        whole, self._held = self._held, []
        return whole

    def drop(self) -> None:
        """Forget a snapshot that did not come to its end."""
        self._held.clear()


class Fleet:
    """Hosts, rollouts, kill switches, events, and their sums."""

    def __init__(self) -> None:
        """Know nothing yet: :attr:`loaded` is False until the first snapshot is whole."""
        self.hosts: Shelf[Host] = Shelf()
        self.rollouts: Shelf[Rollout] = Shelf()
        self.switches: Shelf[Switch] = Shelf()
        self.ring = Ring()
        self.rates = Rates()
        self.rollout_rates: dict[str, Rates] = {}
        self.tiles: Counter[str] = Counter()
        self.versions: Counter[str] = Counter()
        self.fleets: Counter[str] = Counter()
        self.codes: Counter[str] = Counter()
        self.loaded = False
        self.token: Token | None = None
        self.resyncs: list[str] = []
        self._pages = Pages()

    def take(self, update: Update) -> None:
        """Take an update in."""
        match update:
            case Page():
                whole = self._pages.add(update)
                if whole is not None:
                    self._replace(whole)
            case Changed():
                self._pages.drop()
                self._merge(update.stand)
                for happening in update.happenings:
                    if self.ring.add(happening):
                        self._count(happening)
            case Older():
                for happening in self.ring.add_older(update.happenings):
                    self._count(happening)
            case _:
                self._pages.drop()

    def _replace(self, whole: list[Stand]) -> None:
        self.rollouts.replace((each.id, each) for stand in whole for each in stand.rollouts)
        self.switches.replace((each.scope, each) for stand in whole for each in stand.switches)
        self.hosts.replace((each.id, each) for stand in whole for each in stand.hosts)
        for sums in (self.tiles, self.versions, self.fleets, self.codes):
            sums.clear()
        for host in self.hosts:
            self._sum(host, 1)
        self.token = next((stand.token for stand in whole if stand.token is not None), self.token)
        self.loaded = True

    def _merge(self, stand: Stand) -> None:
        for rollout in stand.rollouts:
            self.rollouts.put(rollout.id, rollout)
        for switch in stand.switches:
            self.switches.put(switch.scope, switch)
        for host in stand.hosts:
            before = self.hosts.put(host.id, host)
            if before is not None:
                self._sum(before, -1)
            self._sum(host, 1)

    def _sum(self, host: Host, sign: int) -> None:
        """Count a host in, or out."""
        if host.revoked:
            return
        for tile in tiles_of(host):
            self.tiles[tile] += sign
        self.versions[host.product.current] += sign
        self.fleets[host.fleet_id] += sign
        for product in host.products:
            if product.state in BAD:
                self.codes[product.last_attempt.code] += sign

    def _count(self, happening: Happening) -> None:
        self.rates.add(happening)
        if happening.rollout_id:
            self.rates_of(happening.rollout_id).add(happening)

    def rates_of(self, rollout_id: str) -> Rates:
        """Return the rates of one rollout."""
        rates = self.rollout_rates.get(rollout_id)
        if rates is None:
            rates = self.rollout_rates[rollout_id] = Rates()
            while len(self.rollout_rates) > MAX_ROLLOUT_RATES:
                del self.rollout_rates[next(iter(self.rollout_rates))]
        return rates

    @property
    def pressed(self) -> list[Switch]:
        """Return the kill switches that are pressed now."""
        return sorted((each for each in self.switches if each.active), key=lambda each: each.scope)


class Crew:
    """The hosts of one rollout."""

    def __init__(self, rollout_id: str) -> None:
        """Know none yet."""
        self.rollout_id = rollout_id
        self.members: Shelf[Member] = Shelf()
        self.loaded = False
        self._pages = Pages()

    def take(self, update: Update) -> None:
        """Take an update in."""
        match update:
            case Page():
                whole = self._pages.add(update)
                if whole is not None:
                    self.members.replace((each.id, each) for stand in whole for each in stand.members)
                    self.loaded = True
            case Changed():
                self._pages.drop()
                for member in update.stand.members:
                    self.members.put(member.id, member)
            case _:
                self._pages.drop()

    def from_versions(self) -> Counter[str]:
        """Return how many hosts come from each version; a pass over all, for a repaint."""
        return Counter(each.attempt.from_version for each in self.members if each.attempt.from_version)


def tiles_of(host: Host) -> list[str]:
    """Return the tiles that count this host."""
    found = ["online" if host.online else "offline"]
    if is_behind(host):
        found.append("behind")
    states = {product.state for product in host.products}
    if states & ACTIVE:
        found.append("updating")
    if states & BAD:
        found.append("failed")
    return found
