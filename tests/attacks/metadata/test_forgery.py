"""Arbitrary software: metadata that nobody entitled has signed."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_common.trust.library import DelegatedRole, TargetFile
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import TrustError
from tests.faults.repositories import Host, Repository, entry, path_of, signer

if TYPE_CHECKING:
    from pathlib import Path

GENUINE = ("timestamp.json", "snapshot.json", "targets.json", "floor.json")


def list_evil(role: Any) -> None:
    evil = entry("6.6.6")
    role.targets[path_of("6.6.6")] = TargetFile(evil.length, {"sha256": evil.sha256}, path_of("6.6.6"))


def nothing(_role: Any) -> None:
    """Change only the version."""


def test_a_release_that_no_role_lists_is_not_installable(host: Host) -> None:
    with pytest.raises(TrustError) as caught:
        host.client.target(path_of("6.6.6"))
    assert caught.value.code is Code.NOT_LISTED
    assert caught.value.details == {"path": path_of("6.6.6")}


@pytest.mark.parametrize("path", ["", "agent", "agent/1.0.0", "agent//x", "agent/1.0.0/x/y", "/1.0.0/x", "a/../b/c"])
def test_a_path_of_another_shape_is_listed_nowhere(host: Host, path: str) -> None:
    with pytest.raises(TrustError) as caught:
        host.client.target(path)
    assert caught.value.code is Code.NOT_LISTED


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_a_role_signed_by_a_foreign_key_is_unsigned(host: Host, repository: Repository, role: str) -> None:
    repository.signed_by_thief(role, nothing, by=signer("mallory"))
    error = host.refuses(Code.UNSIGNED, kept=GENUINE)
    assert error.details["role"] == role


def test_a_product_role_signed_by_a_foreign_key_is_unsigned(host: Host, repository: Repository) -> None:
    repository.signed_by_thief("products/agent", list_evil, by=signer("mallory"))
    error = host.refuses(Code.UNSIGNED, kept=GENUINE, lists=False)
    assert error.details["role"] == "products/agent"


@pytest.mark.parametrize("other", ["timestamp", "snapshot", "products/agent", "root-0"])
def test_a_key_of_another_role_does_not_count(host: Host, repository: Repository, other: str) -> None:
    repository.signed_by_thief("targets", nothing, by=signer(other))
    host.refuses(Code.UNSIGNED, kept=GENUINE)


def test_one_root_key_of_three_makes_no_root(host: Host, repository: Repository) -> None:
    repository.signed_by_thief("root", nothing, by=repository.signers.root[0])
    error = host.refuses(Code.UNSIGNED)
    assert error.details["role"] == "root"


def test_a_root_needs_the_signatures_of_the_old_root_keys(host: Host, repository: Repository) -> None:
    """The thief's root is signed by its own keys, enough of them, and by none of the old."""

    def take_over(root: Any) -> None:
        root.roles["root"].threshold = 1
        root.roles["root"].keyids = []
        root.add_key(signer("mallory").public_key, "root")

    repository.signed_by_thief("root", take_over, by=signer("mallory"))
    host.refuses(Code.UNSIGNED)


def test_a_root_needs_the_signatures_of_its_own_keys(host: Host, repository: Repository) -> None:
    """The old keys would agree, the new ones have not shown that anybody holds them."""

    def hand_over(root: Any) -> None:
        root.roles["root"].keyids = []
        for name in ("heir-1", "heir-2"):
            root.add_key(signer(name).public_key, "root")

    repository.signed_by_thief("root", hand_over)
    host.refuses(Code.UNSIGNED)


def test_a_foreign_repository_is_refused_by_the_pinned_root(host: Host, repository: Repository) -> None:
    foreign = Repository(prefix="foreign ")
    repository.shown = foreign.frozen() | {"1.root.json": repository.root}
    host.refuses(Code.UNSIGNED)


def test_a_foreign_repository_is_refused_by_a_host_that_has_seen_nothing(tmp_path: Path) -> None:
    host = Host(tmp_path, Repository(prefix="foreign "), root=Repository().root)
    host.refuses(Code.UNSIGNED, kept=("floor.json", "root_history/1.root.json"))
    assert host.client.timestamp_version == 0


def test_a_foreign_root_in_the_place_of_the_pinned_one_is_refused(host: Host) -> None:
    """The folder remembers what it was begun with; the foreign repository itself would be in order."""
    foreign = Repository(prefix="foreign ")
    intruder = Host(host.folder.parent, foreign)
    before = host.state()
    with pytest.raises(TrustError) as caught:
        intruder.update()
    assert caught.value.code is Code.UNSIGNED
    assert "another root" in caught.value.message
    assert host.state() == before


def test_a_pinned_root_without_enough_signatures_begins_nothing(tmp_path: Path, repository: Repository) -> None:
    """A root that was changed on its way into this host."""
    host = Host(tmp_path, repository, root=repository.root.replace(b'"threshold":2', b'"threshold":1'))
    host.refuses(Code.UNSIGNED, kept=("floor.json",))


@pytest.mark.parametrize("root", [b"", b"{}", b"no root", b"[" * 100_000])
def test_a_pinned_root_that_is_none_begins_nothing(tmp_path: Path, repository: Repository, root: bytes) -> None:
    Host(tmp_path, repository, root=root).refuses(Code.METADATA_INVALID, kept=("floor.json",))


def test_a_product_key_cannot_list_another_product(tmp_path: Path) -> None:
    repository = Repository(("agent", "shop"))
    host = Host(tmp_path, repository)
    assert host.update("shop") == ("1.0.0",)

    def list_agent(role: Any) -> None:
        role.targets[path_of("6.6.6")] = TargetFile(1, {"sha256": "0" * 64}, path_of("6.6.6"))

    repository.signed_by_thief("products/shop", list_agent)
    host.client.refresh()
    assert host.versions("agent") == ("1.0.0",)
    with pytest.raises(TrustError) as caught:
        host.versions("shop")
    assert caught.value.code is Code.WRONG_PRODUCT
    assert caught.value.details["path"] == path_of("6.6.6")


def test_a_description_of_another_product_is_refused(host: Host, repository: Repository) -> None:
    def describe_shop(role: Any) -> None:
        role.targets[path_of("1.0.0")].unrecognized_fields["custom"]["product"] = "shop"

    repository.signed_by_thief("products/agent", describe_shop)
    host.refuses(Code.WRONG_PRODUCT, kept=(*GENUINE, "products%2Fagent.json"), lists=False)


def test_a_description_of_another_version_is_refused(host: Host, repository: Repository) -> None:
    def describe_other(role: Any) -> None:
        role.targets[path_of("1.0.0")].unrecognized_fields["custom"]["version"] = "9.9.9"

    repository.signed_by_thief("products/agent", describe_other)
    host.refuses(Code.METADATA_INVALID, kept=(*GENUINE, "products%2Fagent.json"), lists=False)


def test_a_delegation_of_the_whole_name_space_gives_a_product_no_other_paths(tmp_path: Path) -> None:
    """Even the offline targets key, misled, cannot let one product speak for another."""
    repository = Repository(("agent", "shop"))
    host = Host(tmp_path, repository)
    host.update("shop")

    def widen(targets: Any) -> None:
        roles = targets.delegations.roles
        shop = roles["products/shop"]
        roles["products/shop"] = DelegatedRole(shop.name, shop.keyids, 1, terminating=True, paths=["*/*/*"])

    repository.signed_by_thief("targets", widen)
    repository.adopt()

    def list_agent(role: Any) -> None:
        role.targets[path_of("6.6.6")] = TargetFile(1, {"sha256": "0" * 64}, path_of("6.6.6"))

    repository.signed_by_thief("products/shop", list_agent)
    host.client.refresh()
    with pytest.raises(TrustError) as caught:
        host.versions("shop")
    assert caught.value.code is Code.WRONG_PRODUCT


def test_a_signature_by_a_thief_of_every_online_key_lists_nothing_new(host: Host, repository: Repository) -> None:
    """The timestamp and snapshot keys are all that a server in the wrong hands has in offline mode."""
    repository.now += timedelta(hours=1)
    repository.refresh_timestamp()
    evil = repository.files["2.products%2Fagent.json"].replace(b"1.0.0", b"6.6.6")
    repository.forged["3.products%2Fagent.json"] = evil
    repository._list("products/agent", 3, evil)
    host.refuses(Code.UNSIGNED, kept=GENUINE, lists=False)
