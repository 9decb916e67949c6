"""Roots that hosts show to a restored server: each step signed by the root before it and by its own keys, or none."""

from __future__ import annotations

from itertools import count

import pytest

from fleetroll_publishing.roles import read_newest_root, read_repository
from fleetroll_server.recovery.roots import newer_roots, unheld_roles
from fleetroll_server.recovery.shown_files import followed, verified
from tests.faults.keyrings import Owner
from tests.faults.repositories import START, Repository


def trusted(files: dict[str, bytes]) -> dict[str, bytes]:
    """What a host that has refreshed shows."""
    read = read_repository(files)
    return {
        "timestamp.json": files["timestamp.json"],
        "snapshot.json": files[f"{read.snapshot.version}.snapshot.json"],
        "targets.json": files[f"{read.targets.version}.targets.json"],
        "products%2Fagent.json": files[f"{read.products['agent'].version}.products%2Fagent.json"],
    } | {name: data for name, data in files.items() if name.endswith(".root.json")}


@pytest.fixture
def repository() -> Repository:
    return Repository()


def test_roots_and_what_their_keys_signed_are_taken_over_together(repository: Repository) -> None:
    known = repository.frozen()
    owner = Owner(repository, count())
    owner.rotate("targets")
    owner.rotate("root", "products/agent")
    repository.publish("1.1.0")
    shown = trusted(repository.files)
    assert not verified(read_repository(known), shown, START).roles, "without the roots nothing of it proves anything"
    roots = newer_roots(known, shown)
    assert list(roots) == ["2.root.json", "3.root.json"]
    assert unheld_roles(read_newest_root(roots), repository.signers) == ()
    old = {**known, **roots}
    found = verified(read_repository(old), shown, START)
    assert set(found.roles) == {"targets", "products/agent"}
    after = read_repository({**old, **followed(old, repository.signers, START, found)})
    assert after.root.version == 3
    assert len(after.product("agent").targets) == 2


def test_a_server_without_the_keys_of_the_newer_root_says_which(repository: Repository) -> None:
    known, before = repository.frozen(), repository.signers
    Owner(repository, count()).rotate("timestamp")
    assert unheld_roles(read_newest_root(known), before) == ()
    assert unheld_roles(read_newest_root(newer_roots(known, repository.files)), before) == ("timestamp",)


def test_a_gap_ends_the_chain(repository: Repository) -> None:
    known, owner = repository.frozen(), Owner(repository, count())
    for _ in range(3):
        owner.rotate("targets")
    shown = {name: data for name, data in repository.files.items() if name != "3.root.json"}
    assert list(newer_roots(known, shown)) == ["2.root.json"]


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b"[" * 9000])
def test_nonsense_is_no_root(repository: Repository, data: bytes) -> None:
    assert newer_roots(repository.files, {"2.root.json": data}) == {}


def test_a_root_that_was_not_signed_by_the_one_before_is_none(repository: Repository) -> None:
    foreign = Repository(prefix="foreign ")
    Owner(foreign, count()).rotate("targets")
    assert newer_roots(repository.files, foreign.files) == {}
    repository.signed_by_thief("root", lambda _root: None, by=repository.signers.root[0])
    forged = {name: data for name, data in repository.forged.items() if isinstance(data, bytes)}
    assert newer_roots(repository.files, forged) == {}, "one key of three"


def test_a_root_of_another_version_under_the_name_is_none(repository: Repository) -> None:
    known, owner = repository.frozen(), Owner(repository, count())
    owner.rotate("targets")
    owner.rotate("targets")
    assert newer_roots(known, {"2.root.json": repository.files["3.root.json"]}) == {}
