"""What is asked of a server beside the watch: its releases, its signing keys, what it is.

Events tell when it is to be asked for again, a new snapshot too; nothing is ever built from an event.
"""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fleetroll_tui.model.anchors import Anchors
from fleetroll_tui.model.readings import EVERY_SECONDS, Reading
from fleetroll_tui.model.recovery import ACTIVE_SECONDS, BEGAN, ENDED, Recovery
from fleetroll_tui.model.releases import EMPTY, Catalogue, InUse, Release, counted
from fleetroll_tui.model.shelf import Shelf
from fleetroll_tui.model.signing import ServerInfo, Signing
from fleetroll_tui.model.updates import Changed, Page, Resync

if TYPE_CHECKING:
    from collections import Counter

    from fleetroll_tui.model.updates import Update

OF_RELEASES = ("release", "product.")
"""How the kinds of events begin after which the list of releases may be another one."""
OF_RECOVERY = "recovery."
OF_ANCHORS = ("anchors.", "authority.", "recovery.", "alert.certificate")
OF_KEYS = (*OF_RELEASES, "key", "metadata.", "recovery.", "alert.key", "alert.metadata")
"""The same for keys and for how long their signatures are good: what is published is signed anew."""


class Papers:
    """Releases, keys and the server."""

    def __init__(self) -> None:
        """Have asked for nothing."""
        self.catalogue: Reading[Catalogue] = Reading(EMPTY)
        self.signing: Reading[Signing] = Reading(Signing())
        self.server_info: Reading[ServerInfo] = Reading(ServerInfo())
        self.product = ""
        """Of which product it is asked what is in use."""
        self.in_use: Reading[dict[str, InUse]] = Reading({})
        self.anchors: Reading[Anchors] = Reading(Anchors())
        self.recovery: Reading[Recovery] = Reading(Recovery())
        self.recovering_since = 0.0
        """When a RECOVERY began, by an event: for whoever may not ask for more; 0 for none."""
        self.releases: Shelf[Release] = Shelf()

    def look_at(self, product: str) -> None:
        """Ask what is in use of a product, and of no other."""
        if product != self.product:
            self.product, self.in_use = product, Reading({})

    def readings(self) -> dict[str, Reading[Any]]:
        """Return every reading by its name."""
        return {name: value for name, value in vars(self).items() if isinstance(value, Reading)}

    def still(self) -> Papers:
        """Return what is known now, where nothing changes it."""
        made = copy(self)
        for name, reading in self.readings().items():
            setattr(made, name, reading.still())
        made.releases = self.releases.still()
        return made

    @property
    def revision(self) -> int:
        """Return a number that moves with every answer, and every failure."""
        return sum(reading.revision for reading in self.readings().values())

    def take(self, update: Update) -> None:
        """Note what is to be asked for again."""
        if isinstance(update, Resync) or (isinstance(update, Page) and update.last):
            for reading in self.readings().values():
                reading.void()
                reading.forgive()  # it may be another server by now
        elif isinstance(update, Changed):
            for happening in update.happenings:
                self._happened(happening.kind, happening.at)

    def _happened(self, kind: str, at: float) -> None:
        if kind.startswith(OF_RECOVERY):
            self.recovery.void()
            self.recovering_since = at if kind == BEGAN else 0.0 if kind == ENDED else self.recovering_since
        if kind.startswith(OF_ANCHORS):
            self.anchors.void()
        if kind.startswith(OF_RELEASES):
            self.catalogue.void()
            self.in_use.void()
        if kind.startswith(OF_KEYS):
            self.signing.void()

    def pace(self) -> None:
        """Ask more often for what somebody waits for."""
        self.recovery.every = ACTIVE_SECONDS if self.recovery.value.active else EVERY_SECONDS

    def shelve(self, runs: Counter[str], wants: Counter[str]) -> None:
        """Put the releases that were had on their shelf, each with its keys and the hosts that have it."""
        found = self.catalogue.value.releases
        self.releases.replace((each.id, counted(self._signed(each), runs, wants)) for each in found)

    def _signed(self, release: Release) -> Release:
        role = self.signing.value.role_of(release.product)
        return replace(release, keys=tuple(key.id for key in role.keys)) if role is not None else release
