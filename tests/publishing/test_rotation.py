"""Exchanging keys: what is signed by whom, and what no act does."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_common.trust.library import Metadata, RepositoryError
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import FleetrollError, RequestError
from fleetroll_publishing import repository as building
from fleetroll_publishing.committing import seal_commit
from fleetroll_publishing.rotation import (
    KeySet,
    key_sets,
    renew,
    revoke_key,
    rotate,
    rotate_product,
    rotate_root,
    rotate_targets,
)
from fleetroll_publishing.signers import RoleSigners
from tests.faults.keyrings import Owner
from tests.faults.repositories import START, Host, Repository, entry, path_of, role_signers, signer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from fleetroll_common.trust.library import Key, Signer

PRODUCTS = ("agent", "shop")
SIGNERS = role_signers(PRODUCTS)
FILES = Repository(PRODUCTS).files
LATER = START + timedelta(days=200)


def keys(*names: str) -> tuple[Key, ...]:
    return tuple(signer(name).public_key for name in names)


def signed(files: Mapping[str, bytes], name: str) -> Any:
    return Metadata.from_bytes(files[name]).signed


def signatures(files: Mapping[str, bytes], name: str) -> set[str]:
    return set(Metadata.from_bytes(files[name]).signatures)


def ids(*names: str) -> set[str]:
    return {key.keyid for key in keys(*names)}


def test_a_new_root_is_signed_by_the_threshold_of_the_old_keys_and_of_the_new_ones() -> None:
    names = ("root-a", "root-b", "root-c")
    signers = replace(SIGNERS, root=[*SIGNERS.root, *map(signer, names)])
    new = rotate_root(FILES, KeySet(keys(*names), 2), signers, START)
    assert list(new) == ["2.root.json"]
    assert set(signed(new, "2.root.json").roles["root"].keyids) == ids(*names)
    assert signatures(new, "2.root.json") == ids("root-0", "root-1", "root-a", "root-b")


def test_keys_of_the_root_that_stay_sign_for_both() -> None:
    """A root that loses one key needs no more signatures than another one."""
    signers = replace(SIGNERS, root=[*SIGNERS.root, signer("root-a")])
    new = revoke_key(FILES, signer("root-0").public_key.keyid, signer("root-a").public_key, signers, START)
    assert set(signed(new, "2.root.json").roles["root"].keyids) == ids("root-1", "root-2", "root-a")
    assert signatures(new, "2.root.json") == ids("root-1", "root-2")


def test_a_lost_root_key_is_not_needed_to_take_it_out() -> None:
    signers = RoleSigners(root=[signer("root-1"), signer("root-2")])
    new = revoke_key(FILES, signer("root-0").public_key.keyid, signer("root-a").public_key, signers, START)
    assert list(new) == ["2.root.json"]


def test_new_keys_of_targets_are_named_by_the_root_and_sign_targets() -> None:
    new = rotate_targets(FILES, KeySet(keys("t2")), replace(SIGNERS, targets=signer("t2")), START)
    assert list(new) == ["2.root.json", "2.targets.json"]
    assert signed(new, "2.root.json").roles["targets"].keyids == [*ids("t2")]
    assert signatures(new, "2.targets.json") == ids("t2")


def test_a_new_key_of_a_product_is_named_by_targets_and_signs_the_same_list() -> None:
    signers = replace(SIGNERS, products={"shop": signer("shop-2")})
    new = rotate_product(FILES, "shop", KeySet(keys("shop-2")), signers, START)
    assert list(new) == ["2.targets.json", "3.products%2Fshop.json"]
    assert signatures(new, "2.targets.json") == ids("targets")
    assert signatures(new, "3.products%2Fshop.json") == ids("shop-2")
    before = signed(FILES, "2.products%2Fshop.json").targets
    assert signed(new, "3.products%2Fshop.json").targets == before


def test_several_roles_change_in_one_step_with_one_root() -> None:
    fresh = ("t2", "agent-2", "shop-2", "snapshot-2", "timestamp-2")
    successors = {
        role: KeySet(keys(name))
        for role, name in zip(
            ("targets", "products/agent", "products/shop", "snapshot", "timestamp"), fresh, strict=True
        )
    }
    signers = RoleSigners(SIGNERS.root, signer("t2"), {"agent": signer("agent-2"), "shop": signer("shop-2")})
    new = rotate(FILES, successors, signers, START)
    assert list(new) == ["2.root.json", "2.targets.json", "3.products%2Fagent.json", "3.products%2Fshop.json"]


def test_snapshot_and_timestamp_are_signed_by_nobody_here() -> None:
    """Their keys may be where no root key is."""
    successors = {"snapshot": KeySet(keys("s2")), "timestamp": KeySet(keys("ts2"))}
    assert list(rotate(FILES, successors, RoleSigners(root=SIGNERS.root), START)) == ["2.root.json"]


def test_a_product_is_added_offline_with_an_empty_role() -> None:
    signers = replace(SIGNERS, products={"till": signer("till")})
    new = rotate(FILES, {"products/till": KeySet(keys("till"))}, signers, START)
    assert list(new) == ["2.targets.json", "1.products%2Ftill.json"]
    sealed = seal_commit(FILES, new, SIGNERS, START)
    assert sorted(key_sets({**FILES, **sealed})) == sorted([*key_sets(FILES), "products/till"])


def test_renewed_roles_are_the_same_with_a_later_end() -> None:
    offline = replace(SIGNERS, snapshot=None, timestamp=None)
    new = renew(FILES, ["root", "targets", "products/agent"], offline, LATER)
    assert list(new) == ["2.root.json", "2.targets.json", "3.products%2Fagent.json"]
    for name, before in zip(new, ("1.root.json", "1.targets.json", "2.products%2Fagent.json"), strict=True):
        ends = signed(new, name).expires - signed(FILES, before).expires
        assert ends == timedelta(days=200)
    assert key_sets({**FILES, **seal_commit(FILES, new, SIGNERS, LATER)}) == key_sets(FILES)


def test_a_product_may_want_two_of_three_publishers(tmp_path: Path) -> None:
    """One publisher alone signs nothing that counts."""
    three = [signer(f"shop-{number}") for number in range(3)]
    signers = replace(SIGNERS, products={"shop": three})
    new = rotate_product(FILES, "shop", KeySet(tuple(each.public_key for each in three), 2), signers, START)
    assert len(signatures(new, "3.products%2Fshop.json")) == 2
    repository = Repository(PRODUCTS)
    repository.files = {**FILES, **seal_commit(FILES, new, SIGNERS, START)}
    repository.signers = signers
    repository.publish("1.1.0", "shop")
    host = Host(tmp_path, repository)
    assert host.update("shop") == ("1.1.0", "1.0.0")
    with pytest.raises(RequestError) as caught:
        building.publish_targets(
            repository.files,
            "shop",
            {path_of("1.2.0", "shop"): entry("1.2.0", "shop")},
            replace(signers, products={"shop": three[:1]}),
            START,
        )
    assert caught.value.code is Code.NOT_ALLOWED
    thief = three[0]
    repository.signed_by_thief("products/shop", lambda _role: None, by=thief)
    host.client.refresh()
    with pytest.raises(FleetrollError) as refused:
        host.client.targets("shop")
    assert refused.value.code is Code.UNSIGNED


def test_a_repository_may_begin_with_thresholds() -> None:
    many = replace(
        SIGNERS,
        targets=[signer("t-a"), signer("t-b")],
        products={"agent": [signer("a-a"), signer("a-b"), signer("a-c")], "shop": signer("s-a")},
        thresholds={"targets": 2, "products/agent": 2},
    )
    found = key_sets(building.create(PRODUCTS, many, START))
    assert {role: (keys.threshold, len(keys.keys)) for role, keys in found.items()} == {
        "root": (2, 3),
        "targets": (2, 2),
        "products/agent": (2, 3),
        "products/shop": (1, 1),
        "snapshot": (1, 1),
        "timestamp": (1, 1),
    }


@pytest.mark.parametrize(
    ("role", "names", "threshold", "code"),
    [
        ("root", ("a", "b"), 2, Code.INVALID_ARGUMENT),
        ("root", ("a", "b", "c"), 1, Code.INVALID_ARGUMENT),
        ("root", ("a", "b", "c"), 3, Code.INVALID_ARGUMENT),
        ("targets", ("a",), 2, Code.INVALID_ARGUMENT),
        ("targets", (), 0, Code.INVALID_ARGUMENT),
        ("snapshot", ("a", "b"), 1, Code.INVALID_ARGUMENT),
        ("targets", ("products/agent",), 1, Code.INVALID_ARGUMENT),
        ("products/agent", ("root-0",), 1, Code.INVALID_ARGUMENT),
        ("products/agent", ("timestamp",), 1, Code.INVALID_ARGUMENT),
        ("products/Agent", ("a",), 1, Code.INVALID_ARGUMENT),
        ("anchors", ("a",), 1, Code.INVALID_ARGUMENT),
        ("root", ("a", "b", "c"), 2, Code.NOT_ALLOWED),
    ],
)
def test_keys_that_no_role_should_have_are_refused(
    role: str, names: tuple[str, ...], threshold: int, code: Code
) -> None:
    """The last one: the new keys are not at hand."""
    with pytest.raises(RequestError) as caught:
        rotate(FILES, {role: KeySet(keys(*names), threshold)}, SIGNERS, START)
    assert caught.value.code is code


def test_one_root_key_signs_no_new_root() -> None:
    one = replace(SIGNERS, root=[signer("root-0"), *map(signer, "abc")])
    with pytest.raises(RequestError) as caught:
        rotate_root(FILES, KeySet(keys("a", "b", "c"), 2), one, START)
    assert caught.value.code is Code.NOT_ALLOWED


def test_a_product_does_not_name_its_own_successor() -> None:
    """Whoever stole its key, and has nothing else, can't."""
    alone = RoleSigners(products={"shop": [signer("products/shop"), signer("new")]})
    with pytest.raises(RequestError) as caught:
        rotate_product(FILES, "shop", KeySet(keys("new")), alone, START)
    assert (caught.value.code, caught.value.details["role"]) == (Code.NOT_ALLOWED, "targets")


def test_targets_do_not_name_their_own_successor() -> None:
    alone = RoleSigners(targets=[signer("targets"), signer("new")])
    with pytest.raises(RequestError) as caught:
        rotate_targets(FILES, KeySet(keys("new")), alone, START)
    assert (caught.value.code, caught.value.details["role"]) == (Code.NOT_ALLOWED, "root")


@pytest.mark.parametrize("role", ["root", "targets", "products/agent", "timestamp"])
def test_a_key_that_was_taken_out_never_comes_back(role: str) -> None:
    owner = Owner(Repository(PRODUCTS), count())
    owner.rotate(role)
    gone = [each for of_role, each in owner.revoked if of_role == role]
    for wanted in (role, "products/shop"):
        back: list[Signer] = gone[:1] if wanted != "root" else [*gone[:1], owner.fresh(), owner.fresh()]
        with pytest.raises(RequestError) as caught:
            owner.replace({wanted: back})
        assert caught.value.code is Code.INVALID_ARGUMENT
        assert "has served" in caught.value.message


def test_keys_that_only_older_files_name_are_told() -> None:
    """The newest files do not say which products' keys were there once."""
    old = signer("long gone").public_key
    signers = replace(SIGNERS, products={"shop": signer("long gone")})
    with pytest.raises(RequestError):
        rotate(
            FILES, {"products/shop": KeySet((old,))}, signers, START, used={str(old.keyval["public"]): "products/till"}
        )


def test_an_unknown_key_and_an_unknown_product_are_named() -> None:
    with pytest.raises(RequestError) as caught:
        revoke_key(FILES, "0" * 64, signer("new").public_key, SIGNERS, START)
    assert caught.value.code is Code.NOT_FOUND
    with pytest.raises(RequestError) as caught:
        renew(FILES, ["products/till"], SIGNERS, START)
    assert caught.value.code is Code.NOT_FOUND


def test_what_is_given_stays_as_it_was() -> None:
    before = dict(FILES)
    rotate_targets(FILES, KeySet(keys("t2")), replace(SIGNERS, targets=signer("t2")), START)
    assert before == FILES


def test_a_server_without_the_key_that_the_root_names_seals_nothing() -> None:
    new = rotate(FILES, {"timestamp": KeySet(keys("ts2"))}, SIGNERS, START)
    with pytest.raises(RequestError) as caught:
        seal_commit(FILES, new, SIGNERS, START)
    assert (caught.value.code, caught.value.details["role"]) == (Code.NOT_ALLOWED, "timestamp")


def test_a_file_of_a_role_has_exactly_as_many_signatures_as_it_needs() -> None:
    owner = Owner(Repository(PRODUCTS), count())
    new = owner.rotate("targets", "products/agent")
    for name in ("2.targets.json", "3.products%2Fagent.json"):
        assert len(signatures(new, name)) == 1
    with pytest.raises(RepositoryError):
        signed(new, "2.root.json").verify_delegate("root", b"", {})
