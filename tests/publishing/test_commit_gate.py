"""The gate for root, targets and products signed elsewhere: what passes, and each thing that does not, by name."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from tuf.api.metadata import SuccinctRoles  # type: ignore[attr-defined]

from fleetroll_common.trust.keys import NaClKey
from fleetroll_common.trust.library import Delegations, Metadata, TargetFile
from fleetroll_common.values.anchors import ANCHORS_PATH, Anchors
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import FleetrollError
from fleetroll_publishing.anchored import anchors_target
from fleetroll_publishing.anchoring import sign_anchors
from fleetroll_publishing.commit_gate import check_commit
from fleetroll_publishing.committing import seal_commit
from fleetroll_publishing.roles import delegation_of, describe, read_repository, sign_role
from fleetroll_publishing.rotation import KeySet, rotate
from fleetroll_server.certificates import make_ca
from tests.faults.keyrings import Owner
from tests.faults.repositories import START, Repository, role_signers, signer

if TYPE_CHECKING:
    from collections.abc import Callable

    from fleetroll_common.trust.library import Signer

PRODUCTS = ("agent", "shop")
SIGNERS = role_signers(PRODUCTS)
FILES = Repository(PRODUCTS).files
CA = make_ca("test", START).certificate.decode("ascii")
ROOTS = SIGNERS.root[:2]


def root(change: Callable[[Any], object], *by: Signer, version: int = 2) -> dict[str, bytes]:
    """Return the next root, bent by ``change``, with two valid signatures unless others are given."""
    signed = read_repository(FILES).root
    signed.version, signed.expires = version, START + timedelta(days=300)
    change(signed)
    return {f"{version}.root.json": sign_role(signed, by or ROOTS)}


def targets(change: Callable[[Any], object], by: Signer | None = None, version: int = 2) -> dict[str, bytes]:
    """Return the next targets likewise."""
    signed = read_repository(FILES).targets
    signed.version, signed.expires = version, START + timedelta(days=300)
    change(signed)
    return {f"{version}.targets.json": sign_role(signed, [by or signer("targets")])}


def product(change: Callable[[Any], object], by: Signer | None = None, version: int = 3) -> dict[str, bytes]:
    """Return the next role of the shop likewise."""
    signed = read_repository(FILES).product("shop")
    signed.version, signed.expires = version, START + timedelta(days=300)
    change(signed)
    return {f"{version}.products%2Fshop.json": sign_role(signed, [by or signer("products/shop")])}


def nothing(_signed: Any) -> None:
    pass


def ends(at: datetime) -> Callable[[Any], None]:
    def change(signed: Any) -> None:
        signed.expires = at

    return change


def threshold(of: str, value: int) -> Callable[[Any], None]:
    def change(signed: Any) -> None:
        signed.roles[of].threshold = value

    return change


def drop_root_key(signed: Any) -> None:
    signed.revoke_key(signer("root-2").public_key.keyid, "root")


def exchange(of: str, name: str) -> Callable[[Any], None]:
    def change(signed: Any) -> None:
        for keyid in list(signed.roles[of].keyids):
            signed.revoke_key(keyid, of)
        signed.add_key(signer(name).public_key, of)

    return change


def exchange_roots(signed: Any) -> None:
    exchange("root", "a")(signed)
    for name in ("b", "c"):
        signed.add_key(signer(name).public_key, "root")


def false_id(signed: Any) -> None:
    signed.revoke_key(signer("timestamp").public_key.keyid, "timestamp")
    signed.add_key(NaClKey("f" * 64, signer("other").public_key.keyval["public"]), "timestamp")


def second_id(signed: Any) -> None:
    """The same key twice: one theft would be two signatures."""
    public = signer("root-0").public_key.keyval["public"]
    signed.add_key(NaClKey("e" * 64, public), "root")


def not_consistent(signed: Any) -> None:
    signed.consistent_snapshot = False


def delegates(change: Callable[[Any], object]) -> Callable[[Any], None]:
    def bend(signed: Any) -> None:
        change(signed.delegations.roles["products/shop"])

    return bend


def wider(role: Any) -> None:
    role.paths = ["*/*/*"]


def goes_on(role: Any) -> None:
    role.terminating = False


def by_hash(role: Any) -> None:
    role.paths, role.path_hash_prefixes = None, ["0"]


def gone(signed: Any) -> None:
    del signed.delegations.roles["products/shop"]


def all_gone(signed: Any) -> None:
    signed.delegations = None


def stranger(signed: Any) -> None:
    key = signer("x").public_key
    signed.delegations.roles["evil"] = delegation_of("evil", [key.keyid], 1)
    signed.delegations.roles["evil"].name = "evil"
    signed.delegations.keys[key.keyid] = key


def new_product(signed: Any) -> None:
    key = signer("x").public_key
    signed.delegations.roles["products/till"] = delegation_of("till", [key.keyid], 1)
    signed.delegations.keys[key.keyid] = key


def shared_key(signed: Any) -> None:
    agent = signed.delegations.roles["products/agent"].keyids
    signed.delegations.roles["products/shop"] = delegation_of("shop", list(agent), 1)


def other_key(signed: Any) -> None:
    key = signer("shop-2").public_key
    signed.delegations.roles["products/shop"] = delegation_of("shop", [key.keyid], 1)
    signed.delegations.keys[key.keyid] = key


def of_the_root(signed: Any) -> None:
    key = signer("root-0").public_key
    signed.delegations.roles["products/shop"] = delegation_of("shop", [key.keyid], 1)
    signed.delegations.keys[key.keyid] = key


def lists(path: str) -> Callable[[Any], None]:
    def change(signed: Any) -> None:
        signed.targets[path] = TargetFile(7, {"sha256": "0" * 64}, path)

    return change


def drop_release(signed: Any) -> None:
    signed.targets.clear()


def of_other_product(signed: Any) -> None:
    lists("agent/1.9.0/x.tar.zst")(signed)


REFUSED: dict[str, tuple[dict[str, bytes], Code]] = {
    "nothing": ({}, Code.INVALID_ARGUMENT),
    "a snapshot": ({"9.snapshot.json": b"{}"}, Code.INVALID_ARGUMENT),
    "a timestamp": ({"timestamp.json": b"{}"}, Code.INVALID_ARGUMENT),
    "a name that is a path": ({"../2.root.json": b"{}"}, Code.INVALID_ARGUMENT),
    "no version": ({"root.json": b"{}"}, Code.INVALID_ARGUMENT),
    "version nought": ({"0.root.json": b"{}"}, Code.INVALID_ARGUMENT),
    "a product that no one delegates to": ({"1.products%2Ftill.json": b"{}"}, Code.INVALID_ARGUMENT),
    "no metadata": ({"2.root.json": b"{}"}, Code.METADATA_INVALID),
    "endless root": ({"2.root.json": b" " * 600_000}, Code.METADATA_ENDLESS),
    "another role under a root's name": ({"2.root.json": FILES["1.targets.json"]}, Code.UNSIGNED),
    "the root that is there": ({"1.root.json": FILES["1.root.json"]}, Code.CONFLICT),
    "a root too far": (root(nothing, version=3), Code.CONFLICT),
    "a root of another version than its name": (
        {"2.root.json": root(nothing, version=3)["3.root.json"]},
        Code.METADATA_INVALID,
    ),
    "one root signature": (root(nothing, ROOTS[0]), Code.UNSIGNED),
    "one root key twice": (root(nothing, ROOTS[0], ROOTS[0]), Code.UNSIGNED),
    "signed by the old keys alone": (
        root(exchange_roots),
        Code.UNSIGNED,
    ),
    "signed by the new keys alone": (root(exchange_roots, signer("a"), signer("b")), Code.UNSIGNED),
    "a root with threshold one": (root(threshold("root", 1)), Code.INVALID_ARGUMENT),
    "a root of two keys": (root(drop_root_key), Code.INVALID_ARGUMENT),
    "a root without one to spare": (root(threshold("root", 3), *SIGNERS.root), Code.INVALID_ARGUMENT),
    "targets' key for the timestamp too": (root(exchange("timestamp", "targets")), Code.INVALID_ARGUMENT),
    "a product's key for targets too": (root(exchange("timestamp", "products/shop")), Code.INVALID_ARGUMENT),
    "a key under another id": (root(false_id), Code.INVALID_ARGUMENT),
    "a key under two ids": (root(second_id), Code.INVALID_ARGUMENT),
    "names without versions": (root(not_consistent), Code.METADATA_INVALID),
    "a root that ends today": (root(ends(START + timedelta(hours=1))), Code.INVALID_ARGUMENT),
    "a root for ever": (root(ends(START + timedelta(days=4000))), Code.INVALID_ARGUMENT),
    "new targets' key, targets not signed again": (root(exchange("targets", "t2")), Code.UNSIGNED),
    "targets by a stranger": (targets(nothing, signer("stranger")), Code.UNSIGNED),
    "targets by a product": (targets(nothing, signer("products/shop")), Code.UNSIGNED),
    "targets too far": (targets(nothing, version=3), Code.CONFLICT),
    "targets that are there": ({"1.targets.json": FILES["1.targets.json"]}, Code.CONFLICT),
    "targets for ever": (targets(ends(START + timedelta(days=4000))), Code.INVALID_ARGUMENT),
    "a delegation that is wider": (targets(delegates(wider)), Code.METADATA_INVALID),
    "a delegation that goes on": (targets(delegates(goes_on)), Code.METADATA_INVALID),
    "a delegation by hash": (targets(delegates(by_hash)), Code.METADATA_INVALID),
    "a product that is gone": (targets(gone), Code.CONFLICT),
    "all products gone": (targets(all_gone), Code.CONFLICT),
    "a role that is no product": (targets(stranger), Code.METADATA_INVALID),
    "a new product without its role": (targets(new_product), Code.INVALID_ARGUMENT),
    "two products with one key": (targets(shared_key), Code.INVALID_ARGUMENT),
    "a product's new key, its role not signed again": (targets(other_key), Code.UNSIGNED),
    "a root key for a product": (targets(of_the_root), Code.INVALID_ARGUMENT),
    "a release in targets": (targets(lists("shop/2.0.0/x.tar.zst")), Code.METADATA_INVALID),
    "a product by targets' key": (product(nothing, signer("targets")), Code.UNSIGNED),
    "a product by another product": (product(nothing, signer("products/agent")), Code.UNSIGNED),
    "a product too far": (product(nothing, version=4), Code.CONFLICT),
    "a product that drops a release": (product(drop_release), Code.CONFLICT),
    "a product that lists another's": (product(of_other_product), Code.WRONG_PRODUCT),
    "a product for ever": (product(ends(START + timedelta(days=4000))), Code.INVALID_ARGUMENT),
}


@pytest.mark.parametrize(("new", "code"), REFUSED.values(), ids=REFUSED)
def test_it_is_refused_by_name_and_sealed_by_nobody(new: dict[str, bytes], code: Code) -> None:
    for act in (lambda: check_commit(FILES, new, START), lambda: seal_commit(FILES, new, SIGNERS, START)):
        with pytest.raises(FleetrollError) as caught:
            act()
        assert caught.value.code is code, caught.value
        assert caught.value.remedy


@pytest.mark.parametrize(
    "new", [root(nothing), targets(nothing), product(nothing), {**root(nothing), **targets(nothing)}]
)
def test_what_is_signed_as_it_has_to_be_passes(new: dict[str, bytes]) -> None:
    """What the refused ones are bent from."""
    assert list(seal_commit(FILES, new, SIGNERS, START))[: len(new)] == list(new)
    assert check_commit(FILES, new, START).roles == tuple(
        {"root": "root", "targets": "targets"}.get(name.split(".")[1], "products/shop") for name in new
    )


def test_two_roots_at_once_are_walked_one_by_one() -> None:
    """Somebody who signed twice before the server was there."""
    owner = Owner(Repository(PRODUCTS), count())
    first = owner.rotate("root")
    second = owner.rotate("root")
    files = Repository(PRODUCTS).files
    assert check_commit(files, {**first, **second}, START).root.version == 3
    with pytest.raises(FleetrollError) as caught:
        check_commit(files, second, START)
    assert caught.value.code is Code.CONFLICT


def test_a_key_that_older_files_named_is_not_named_again() -> None:
    new = rotate(FILES, {"timestamp": KeySet((signer("ts2").public_key,))}, SIGNERS, START)
    public = signer("ts2").public_key.keyval["public"]
    with pytest.raises(FleetrollError) as caught:
        check_commit(FILES, new, START, {public: "products/till"})
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert "products/till" in caught.value.message


def test_of_two_who_signed_from_the_same_files_the_second_is_told() -> None:
    first, second = targets(nothing), targets(ends(START + timedelta(days=200)))
    files = {**FILES, **seal_commit(FILES, first, SIGNERS, START)}
    with pytest.raises(FleetrollError) as caught:
        check_commit(files, second, START)
    assert caught.value.code is Code.CONFLICT
    assert "sign again" in caught.value.remedy


def anchors(serial: int, address: str = "a.example:8443") -> Callable[[Any], None]:
    def change(signed: Any) -> None:
        signed.targets[ANCHORS_PATH] = anchors_target(Anchors(serial, (address,), (CA,)))

    return change


def test_anchors_are_let_through_and_rise_by_one() -> None:
    files = {**FILES, **seal_commit(FILES, targets(anchors(1)), SIGNERS, START)}
    files |= seal_commit(files, targets(anchors(2), version=3), SIGNERS, START)
    for change, code in (
        (anchors(3, "b.example:1"), None),
        (anchors(4, "b.example:1"), Code.CONFLICT),
        (anchors(2**53), Code.CONFLICT),
        (anchors(2), None),
        (anchors(2, "b.example:1"), Code.METADATA_ROLLBACK),
        (anchors(1), Code.METADATA_ROLLBACK),
        (nothing, Code.METADATA_ROLLBACK),
    ):
        new = targets(change, version=4)
        if code is None:
            assert check_commit(files, new, START).listed == {"targets": 4}
            continue
        with pytest.raises(FleetrollError) as caught:
            check_commit(files, new, START)
        assert caught.value.code is code


def test_the_first_anchors_begin_with_1() -> None:
    with pytest.raises(FleetrollError) as caught:
        check_commit(FILES, targets(anchors(2)), START)
    assert caught.value.code is Code.CONFLICT


def test_a_stolen_targets_key_does_not_end_the_anchors_for_good() -> None:
    """Whoever had it and a server has left the highest serial there is; with the owner's next key it begins anew."""
    files = {**FILES, **seal_commit(FILES, targets(anchors(1)), SIGNERS, START)}
    forward = targets(anchors(2**53, "thief.example:1"), version=3)
    top = read_repository(files)
    snapshot, timestamp = top.snapshot, top.timestamp
    snapshot.version, timestamp.version = snapshot.version + 1, timestamp.version + 1
    snapshot.meta["targets.json"] = describe(3, forward["3.targets.json"])
    listed = sign_role(snapshot, [signer("snapshot")])
    timestamp.snapshot_meta = describe(snapshot.version, listed)
    stamped = sign_role(timestamp, [signer("timestamp")])
    files |= {**forward, f"{snapshot.version}.snapshot.json": listed, "timestamp.json": stamped}
    new = root(exchange("targets", "the owner's next"))
    signers = replace(SIGNERS, targets=signer("the owner's next"))
    for serial in (1, 7):
        wanted = Anchors(serial, ("owner.example:1",), (CA,))
        signed = sign_anchors({**files, **new}, wanted, signers, START)
        assert check_commit(files, {**new, **signed}, START).targets.version == 4
    with pytest.raises(FleetrollError) as caught:
        check_commit(files, targets(anchors(1), version=4), START)
    assert caught.value.code is Code.METADATA_ROLLBACK
    with pytest.raises(FleetrollError) as caught:
        sign_anchors(files, Anchors(7, ("owner.example:1",), (CA,)), SIGNERS, START)
    assert caught.value.code is Code.CONFLICT


def test_anchors_that_no_host_could_read_are_refused() -> None:
    with pytest.raises(FleetrollError) as caught:
        check_commit(FILES, targets(lists(ANCHORS_PATH)), START)
    assert caught.value.code is Code.METADATA_INVALID


def test_a_new_product_begins_empty() -> None:
    new = rotate(
        FILES,
        {"products/till": KeySet((signer("till").public_key,))},
        replace(SIGNERS, products={"till": signer("till")}),
        START,
    )
    role = Metadata.from_bytes(new["1.products%2Ftill.json"]).signed
    lists("till/1.0.0/x.tar.zst")(role)
    with pytest.raises(FleetrollError) as caught:
        check_commit(FILES, {**new, "1.products%2Ftill.json": sign_role(role, [signer("till")])}, START)
    assert caught.value.code is Code.METADATA_INVALID


def test_delegations_by_hash_bins_are_refused() -> None:
    def bins(signed: Any) -> None:
        key = signer("x").public_key
        signed.delegations = Delegations({key.keyid: key}, succinct_roles=_succinct(key.keyid))

    with pytest.raises(FleetrollError) as caught:
        check_commit(FILES, targets(bins), START)
    assert caught.value.code is Code.METADATA_INVALID


def _succinct(keyid: str) -> Any:
    return SuccinctRoles([keyid], 1, 4, "bin")
