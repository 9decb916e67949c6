"""Any sequence of exchanges: a host that slept through all of it follows, and no key that was taken out is heard."""

from __future__ import annotations

import shutil
import tempfile
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetroll_common.trust.library import TargetFile
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import FleetrollError
from fleetroll_publishing.roles import read_repository, sign_role
from fleetroll_publishing.rotation import key_sets
from tests.faults.keyrings import Owner
from tests.faults.repositories import Host, Repository, path_of

if TYPE_CHECKING:
    from fleetroll_common.trust.library import Signer

PRODUCTS = ("agent", "shop")
ROLES = ("root", "targets", "products/agent", "products/shop", "snapshot", "timestamp")
OFFLINE = ROLES[:4]

steps = st.lists(
    st.one_of(
        st.tuples(st.just("rotate"), st.sets(st.sampled_from(ROLES), min_size=1).map(sorted)),
        st.tuples(st.just("revoke"), st.sampled_from(ROLES).map(lambda role: [role])),
        st.tuples(st.just("renew"), st.sets(st.sampled_from(OFFLINE), min_size=1).map(sorted)),
        st.tuples(st.just("publish"), st.sampled_from(PRODUCTS).map(lambda product: [product])),
        st.tuples(st.just("refresh"), st.just([])),
    ),
    min_size=1,
    max_size=8,
)


class World:
    """An owner, a host that sleeps, and one that looks whenever it is told to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.repository = Repository(PRODUCTS)
        self.owner = Owner(self.repository, count())
        self.sleeper = Host(folder / "sleeper", self.repository)
        self.awake = Host(folder / "awake", self.repository)
        self.versions = {product: ["1.0.0"] for product in PRODUCTS}
        self.sleeper.update()
        self.awake.update()

    def take(self, kind: str, words: list[str]) -> None:
        if kind == "rotate":
            self.owner.rotate(*words)
        elif kind == "revoke":
            self.owner.revoke_one(words[0])
        elif kind == "renew":
            self.owner.renew(*words)
        elif kind == "publish":
            version = f"1.{len(self.versions[words[0]])}.0"
            self.versions[words[0]].insert(0, version)
            self.repository.publish(version, words[0])
        else:
            self.awake.update()

    def robbed(self, name: str, number: int) -> Host:
        """Return a copy of a host, for a thief of its own."""
        copy = self.folder / f"{name}-{number}"
        shutil.copytree(self.folder / name, copy)
        return Host(copy, self.repository)

    def listed(self, host: Host) -> dict[str, list[str]]:
        host.client.refresh()
        return {product: list(host.versions(product)) for product in PRODUCTS}


def list_evil(role: Any) -> None:
    path = path_of("6.6.6", "agent")
    role.targets[path] = TargetFile(7, {"sha256": "6" * 64}, path)


def thefts(world: World, role: str, key: Signer) -> None:
    """Show what whoever holds ``key`` and all online keys of now can make of it."""
    repository = world.repository
    if role == "root":
        repository.signed_by_thief("root", lambda root: root.add_key(world.owner.fresh().public_key, "targets"), by=key)
    elif role in {"targets", "products/agent", "products/shop"}:
        repository.signed_by_thief(role, list_evil if role == "products/agent" else lambda _role: None, by=key)
    else:
        read = read_repository(repository.files)
        signed: Any = read.snapshot if role == "snapshot" else read.timestamp
        signed.version += 1000
        if role == "timestamp":
            repository.forged["timestamp.json"] = sign_role(signed, [key])
            return
        repository.signed_by_thief("snapshot", lambda _snapshot: None, by=key)
        name = f"{read.snapshot.version - 999}.snapshot.json"
        repository._list("snapshot", read.snapshot.version - 999, repository.forged[name])  # type: ignore[arg-type]


@given(steps)
@settings(max_examples=25)
def test_a_host_that_slept_follows_and_a_thief_of_a_revoked_key_is_refused(taken: list[tuple[str, list[str]]]) -> None:
    """Each thief has the online keys of now besides, and is refused by both hosts, with nothing listed by him."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        world = World(Path(folder))
        for kind, words in taken:
            world.take(kind, words)
        for number, (role, key) in enumerate(world.owner.revoked):
            thefts(world, role, key)
            for name in ("sleeper", "awake"):
                with pytest.raises(FleetrollError) as caught:
                    world.listed(world.robbed(name, number))
                assert caught.value.code is Code.UNSIGNED
            world.repository.forged.clear()
        assert world.listed(world.sleeper) == world.listed(world.awake) == world.versions
        newcomer = Host(Path(folder) / "newcomer", world.repository)
        assert world.listed(newcomer) == world.versions
        now = {key.keyid for keys in key_sets(world.repository.files).values() for key in keys.keys}
        assert not now & {key.public_key.keyid for _, key in world.owner.revoked}
