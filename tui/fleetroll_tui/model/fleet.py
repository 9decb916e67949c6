"""What is known of the fleets: built from updates alone. A change costs the same in a fleet of any size."""

from __future__ import annotations

from collections import Counter
from copy import copy
from typing import TYPE_CHECKING

from fleetroll_tui.model.history import WHOLE, History
from fleetroll_tui.model.releases import counts_of
from fleetroll_tui.model.shelf import Shelf
from fleetroll_tui.model.updates import Alive, Changed, Older, Page, Resync
from fleetroll_tui.model.values import ACTIVE, BAD, Host, Member, Rollout, Switch
from fleetroll_tui.model.versions import is_behind

if TYPE_CHECKING:
    from fleetroll_tui.model.events import Rates, Ring
    from fleetroll_tui.model.updates import Stand, Update
    from fleetroll_tui.model.values import Token

TILES = ("online", "offline", "behind", "updating", "failed")
"""What the overview counts, in its order."""


Counts = tuple[tuple[str, str], ...]
HALTED = "halted"
MAX_HALTS = 100
"""Halts that wait to be told."""


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
        self.history = History()
        self.tiles: Counter[str] = Counter()
        self.versions: Counter[str] = Counter()
        self.fleets: Counter[str] = Counter()
        self.codes: Counter[str] = Counter()
        self.runs: Counter[str] = Counter()
        self.wants: Counter[str] = Counter()
        self.homes: Counter[str] = Counter()
        """Hosts by version of a product: see :mod:`fleetroll_tui.model.releases`."""
        self._counted: dict[str, Counts] = {}
        """Where each host counts."""
        self.loaded = False
        self.token: Token | None = None
        self._halts: list[Rollout] = []
        self._replaced = False
        self._pages = Pages()

    def still(self) -> Fleet:
        """Return what is known now, where no update changes it."""
        made = copy(self)
        made.hosts, made.rollouts, made.switches = self.hosts.still(), self.rollouts.still(), self.switches.still()
        made.history = self.history.still()
        made.tiles, made.versions = self.tiles.copy(), self.versions.copy()
        made.fleets, made.codes = self.fleets.copy(), self.codes.copy()
        made.runs, made.wants, made.homes = self.runs.copy(), self.wants.copy(), self.homes.copy()
        return made

    @property
    def ring(self) -> Ring:
        """Return the newest events of all."""
        return self.history.ring

    @property
    def rates(self) -> Rates:
        """Return the rates of all hosts."""
        return self.history.rates

    def rates_of(self, rollout_id: str) -> Rates:
        """Return the rates of one rollout."""
        return self.history.rates_of(rollout_id)

    def take(self, update: Update) -> None:
        """Take an update in."""
        match update:
            case Page():
                whole = self._pages.add(update)
                if whole is not None:
                    self._replace(whole)
                    self.history.stands(update.sent_at)
            case Changed():
                self._pages.drop()
                self._merge(update.stand)
                for happening in update.happenings:
                    self.history.take(happening)
            case Older():
                self.history.take_list(WHOLE, update.happenings, self.history.resyncs)
            case Alive():
                pass  # between two pages too
            case Resync():
                self._pages.drop()
                self._replaced = self._replaced or update.log_replaced
                self.history.resync(update.reason, log_replaced=update.log_replaced)
            case _:
                self._pages.drop()

    def new_halts(self) -> list[Rollout]:
        """Return the rollouts that halted since the last call; what stood halted at first is not among them."""
        halts, self._halts = self._halts, []
        return halts

    def _note_halt(self, rollout: Rollout) -> None:
        before = self.rollouts.get(rollout.id)
        if (
            self.loaded
            and not self._replaced
            and rollout.state == HALTED
            and (before is None or before.state != HALTED)
        ):
            self._halts = [*self._halts, rollout][-MAX_HALTS:]

    def _replace(self, whole: list[Stand]) -> None:
        for rollout in (each for stand in whole for each in stand.rollouts):
            self._note_halt(rollout)
        self.rollouts.replace((each.id, each) for stand in whole for each in stand.rollouts)
        self.switches.replace((each.scope, each) for stand in whole for each in stand.switches)
        self.hosts.replace((each.id, each) for stand in whole for each in stand.hosts)
        for sums in (self.tiles, self.versions, self.fleets, self.codes, self.runs, self.wants, self.homes):
            sums.clear()
        self._counted.clear()
        for host in self.hosts:
            self._count(host)
        self.token = next((stand.token for stand in whole if stand.token is not None), self.token)
        self.loaded, self._replaced = True, False

    def _merge(self, stand: Stand) -> None:
        for rollout in stand.rollouts:
            self._note_halt(rollout)
            self.rollouts.put(rollout.id, rollout)
        for switch in stand.switches:
            self.switches.put(switch.scope, switch)
        for host in stand.hosts:
            self.hosts.put(host.id, host)
            self._count(host)

    def _count(self, host: Host) -> None:
        """Count a host as it stands now, and no longer as it stood."""
        before, counts = self._counted.get(host.id, ()), _counted(host)
        if before != counts:
            self._sum(before, -1)
            self._sum(counts, 1)
            self._counted[host.id] = counts

    def _sum(self, counts: Counts, sign: int) -> None:
        """Count a host in, or out."""
        for sums, name in counts:
            counter: Counter[str] = getattr(self, sums)
            counter[name] += sign

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

    def still(self) -> Crew:
        """Return what is known now, where no update changes it."""
        made = copy(self)
        made.members = self.members.still()
        return made

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
            case Alive():
                pass  # between two pages too
            case _:
                self._pages.drop()

    def from_versions(self) -> Counter[str]:
        """Return how many hosts come from each version; a pass over all, for a repaint."""
        return Counter(each.attempt.from_version for each in self.members if each.attempt.from_version)


def _counted(host: Host) -> Counts:
    """Return where a host counts: the name of the sum, and the name in it. A revoked one counts nowhere."""
    if host.revoked:
        return ()
    codes = [("codes", product.last_attempt.code) for product in host.products if product.state in BAD]
    tiles = [("tiles", tile) for tile in tiles_of(host)]
    return (*tiles, ("versions", host.product.current), ("fleets", host.fleet_id), *codes, *counts_of(host))


def tiles_of(host: Host) -> list[str]:
    """Return the tiles that count this host; a revoked one is in none."""
    if host.revoked:
        return []
    found = ["online" if host.online else "offline"]
    if is_behind(host):
        found.append("behind")
    states = {product.state for product in host.products}
    if states & ACTIVE:
        found.append("updating")
    if states & BAD:
        found.append("failed")
    return found
