"""Whoever stole the targets key leads hosts away, until the owner names other keys: no serial of theirs lasts."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING

import pytest

from fleetroll_agent.anchors.importing import import_anchors
from fleetroll_agent.control import exits
from fleetroll_agent.identity.whereabouts import Whereabouts
from fleetroll_common.trust import TrustClient
from fleetroll_common.values.anchors import ANCHORS_PATH, Anchors
from fleetroll_common.values.clock import FakeClock
from fleetroll_common.values.product_policy import MAX_SERIAL
from fleetroll_publishing.anchored import anchors_target
from fleetroll_server.certificates import make_ca
from tests.faults import rulings
from tests.faults.identity_disk import enrolled
from tests.faults.keyrings import Owner
from tests.faults.repositories import BUILT_AT, START, Repository

if TYPE_CHECKING:
    from pathlib import Path

    from fleetroll_agent.control.messages import Done

CAS = [make_ca("Fleetroll CA", datetime(2026, 1, 1, tzinfo=UTC)).certificate.decode() for _ in range(2)]
OWNERS = Anchors(1, ("owner.example:7443",), (CAS[0],))
THIEFS = Anchors(MAX_SERIAL, ("thief.example:1",), (CAS[1],))


class World:
    """An owner and a host: its trust, and where it goes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.repository = Repository()
        self.owner = Owner(self.repository, count())
        store = enrolled(folder)
        self.whereabouts = Whereabouts(store, store.load())
        root = self.repository.root
        self.trust = TrustClient(folder / "trust", root, self.repository, FakeClock(START), BUILT_AT)

    def sign(self, anchors: Anchors) -> None:
        """Sign anchors with the keys that the repository names now, whoever holds them."""
        repository = self.repository
        listed = {ANCHORS_PATH: anchors_target(anchors)}
        repository.files = rulings.resigned(
            repository.files, repository.signers, "targets", lambda role: role.targets.update(listed)
        )

    def refresh(self) -> bool:
        """Do what a host does after a refresh; tell whether it goes elsewhere now."""
        self.trust.refresh()
        found = self.trust.anchors()
        assert found is not None
        return self.whereabouts.take(found)

    def carry(self) -> Done:
        """Import what the repository shows, from a mirror's folder."""
        folder = self.folder / f"mirror-{len(list(self.folder.iterdir()))}"
        (folder / "metadata").mkdir(parents=True)
        for name, data in self.repository.files.items():
            (folder / "metadata" / name).write_bytes(data)
        return import_anchors(self.trust, self.whereabouts, str(folder))


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A host that a thief of the targets key has led away, and the owner's new keys."""
    world = World(tmp_path)
    world.sign(OWNERS)
    assert world.refresh()
    world.sign(THIEFS)
    assert world.refresh(), "that is what the key is for"
    assert world.whereabouts.named == THIEFS.addresses
    world.owner.rotate("targets", "snapshot", "timestamp")
    world.sign(OWNERS)
    return world


def test_the_owner_wins_hosts_back_that_forged_anchors_led_away(world: World) -> None:
    assert world.refresh()
    assert (world.whereabouts.named, world.whereabouts.dialled[1]) == (OWNERS.addresses, OWNERS.ca_pem)
    assert not world.refresh(), "once"


def test_the_owner_wins_them_back_by_a_carried_file(world: World) -> None:
    done = world.carry()
    assert (done.exit, done.data["taken"]) == (exits.GOOD, True), done.text
    assert world.whereabouts.named == OWNERS.addresses
    again = world.carry()
    assert (again.exit, again.data["taken"], "already" in again.text) == (exits.GOOD, False, True)


def test_an_import_that_takes_nothing_although_it_differs_says_so(world: World) -> None:
    assert world.refresh()
    world.sign(Anchors(1, ("another.example:1",), (CAS[0],)))
    done = world.carry()
    assert (done.exit, done.data["taken"]) == (exits.REFUSED, False)
    assert "not taken" in done.text
    assert "higher serial" in done.text
    assert world.whereabouts.named == OWNERS.addresses
