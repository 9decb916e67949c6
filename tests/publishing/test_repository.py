"""Building a repository: what each act returns, and what none of them does."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_common.trust.library import Metadata, Root, Targets
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import FleetrollError, RequestError, StoreError, TrustError
from fleetroll_publishing import repository as building
from fleetroll_publishing.gate import check_repository
from fleetroll_publishing.repository import Expiries, TargetFile
from fleetroll_publishing.roles import read_repository, standings
from fleetroll_publishing.signers import RoleSigners
from tests.faults.repositories import START, Repository, entry, path_of, role_signers, signer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SIGNERS = role_signers()
CREATED = building.create(("agent",), SIGNERS, START)
ONE_MORE = {path_of("1.0.0"): entry("1.0.0")}


def signed(files: Mapping[str, bytes], name: str) -> Any:
    return Metadata.from_bytes(files[name]).signed


def test_a_new_repository_has_each_role_once() -> None:
    assert list(CREATED) == [
        "1.root.json",
        "1.targets.json",
        "1.products%2Fagent.json",
        "1.snapshot.json",
        "timestamp.json",
    ]


def test_the_same_keys_and_time_give_the_same_bytes() -> None:
    assert building.create(("agent",), SIGNERS, START) == CREATED


def test_the_root_wants_two_of_three_and_one_key_for_each_other_role() -> None:
    root = signed(CREATED, "1.root.json")
    assert isinstance(root, Root)
    assert {role: (len(facts.keyids), facts.threshold) for role, facts in root.roles.items()} == {
        "root": (3, 2),
        "targets": (1, 1),
        "snapshot": (1, 1),
        "timestamp": (1, 1),
    }
    assert root.consistent_snapshot is True
    assert len(root.keys) == 6


def test_a_product_is_delegated_its_own_paths_and_ends_the_search() -> None:
    targets = signed(CREATED, "1.targets.json")
    assert isinstance(targets, Targets)
    assert targets.delegations is not None
    assert targets.delegations.roles is not None
    role = targets.delegations.roles["products/agent"]
    assert (role.paths, role.terminating, role.threshold) == (["agent/*/*"], True, 1)
    assert targets.targets == {}


def test_roles_expire_as_the_table_says() -> None:
    left = {standing.role: standing.expires - START for standing in standings(CREATED)}
    assert left == {
        "root": timedelta(days=365),
        "targets": timedelta(days=365),
        "products/agent": timedelta(days=365),
        "snapshot": timedelta(days=7),
        "timestamp": timedelta(days=1),
    }


def test_every_list_names_length_and_hash() -> None:
    snapshot = signed(CREATED, "1.snapshot.json")
    for name, file in (("targets.json", "1.targets.json"), ("products/agent.json", "1.products%2Fagent.json")):
        meta = snapshot.meta[name]
        assert (meta.length, meta.hashes["sha256"]) == (
            len(CREATED[file]),
            hashlib.sha256(CREATED[file]).hexdigest(),
        )


def test_a_root_has_exactly_as_many_signatures_as_it_needs() -> None:
    """One more would let a file with a damaged signature pass for the signed one."""
    assert len(Metadata.from_bytes(CREATED["1.root.json"]).signatures) == 2


@pytest.mark.parametrize(
    ("products", "signers"),
    [
        (("agent", "agent"), SIGNERS),
        (("Agent",), SIGNERS),
        (("agent",), replace(SIGNERS, root=SIGNERS.root[:2])),
        (("agent",), replace(SIGNERS, root=[SIGNERS.root[0]] * 3)),
        (("agent",), replace(SIGNERS, timestamp=SIGNERS.snapshot)),
        (("agent",), replace(SIGNERS, targets=SIGNERS.root[0])),
        (("agent",), replace(SIGNERS, products={"agent": SIGNERS.targets or signer("x")})),
    ],
)
def test_a_repository_does_not_begin_with_wrong_names_or_shared_keys(
    products: tuple[str, ...], signers: RoleSigners
) -> None:
    with pytest.raises(RequestError) as caught:
        building.create(products, signers, START)
    assert caught.value.code is Code.INVALID_ARGUMENT


def test_publishing_returns_new_files_only_timestamp_last() -> None:
    new = building.publish_targets(CREATED, "agent", ONE_MORE, SIGNERS, START)
    assert list(new) == ["2.products%2Fagent.json", "2.snapshot.json", "timestamp.json"]
    assert signed(new, "timestamp.json").version == 2
    target = signed(new, "2.products%2Fagent.json").targets[path_of("1.0.0")]
    assert (target.length, target.hashes, target.custom) == (
        1000,
        {"sha256": entry("1.0.0").sha256},
        {"product": "agent", "version": "1.0.0"},
    )


def test_what_is_given_stays_as_it_was() -> None:
    before = dict(CREATED)
    building.publish_targets(CREATED, "agent", ONE_MORE, SIGNERS, START)
    building.rotate_online(CREATED, _fresh_online(), START)
    assert before == CREATED


def _fresh_online() -> RoleSigners:
    return replace(SIGNERS, snapshot=signer("new snapshot"), timestamp=signer("new timestamp"))


def test_publishing_needs_no_offline_key() -> None:
    online = RoleSigners(products=SIGNERS.products, snapshot=SIGNERS.snapshot, timestamp=SIGNERS.timestamp)
    assert building.publish_targets(CREATED, "agent", ONE_MORE, online, START)


def test_a_release_published_again_is_told_apart_from_one_in_its_place() -> None:
    files = CREATED | building.publish_targets(CREATED, "agent", ONE_MORE, SIGNERS, START)
    with pytest.raises(RequestError) as same:
        building.publish_targets(files, "agent", ONE_MORE, SIGNERS, START)
    assert same.value.code is Code.ALREADY_EXISTS
    other = {path_of("1.0.0"): replace(entry("1.0.0"), sha256="0" * 64)}
    with pytest.raises(RequestError) as caught:
        building.publish_targets(files, "agent", other, SIGNERS, START)
    assert caught.value.code is Code.CONFLICT
    assert caught.value.details == {"path": path_of("1.0.0")}


@pytest.mark.parametrize(
    ("additions", "field"),
    [
        ({}, "additions"),
        ({"shop/1.0.0/x": entry("1.0.0")}, "path"),
        ({"agent/x": entry("1.0.0")}, "path"),
        ({"agent/1.0.0/x/y": entry("1.0.0")}, "path"),
        ({"agent/../x": entry("1.0.0")}, "path"),
        ({"agent/1.0.0/": entry("1.0.0")}, "path"),
        ({path_of("1.0.0"): TargetFile(0, "0" * 64)}, "length"),
        ({path_of("1.0.0"): TargetFile(True, "0" * 64)}, "length"),
        ({path_of("1.0.0"): TargetFile(1, "0" * 63)}, "sha256"),
        ({path_of("1.0.0"): TargetFile(1, "A" * 64)}, "sha256"),
        ({path_of("1.0.0"): entry("1.0.0", product="agent", x=1.5)}, "custom"),
        ({path_of("1.0.0"): TargetFile(1, "0" * 64, {"product": "shop"})}, "custom.product"),
        ({path_of("1.0.0"): TargetFile(1, "0" * 64, {"version": "2.0.0"})}, "custom.version"),
    ],
)
def test_what_hosts_would_refuse_is_not_signed(additions: dict[str, TargetFile], field: str) -> None:
    with pytest.raises(RequestError) as caught:
        building.publish_targets(CREATED, "agent", additions, SIGNERS, START)
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert caught.value.details == {"field": field}


def test_an_unknown_product_is_named() -> None:
    with pytest.raises(RequestError) as caught:
        building.publish_targets(CREATED, "shop", {"shop/1.0.0/x": TargetFile(1, "0" * 64)}, SIGNERS, START)
    assert caught.value.code is Code.NOT_FOUND
    assert "'shop'" in caught.value.message


def test_nothing_is_signed_with_a_key_that_the_role_does_not_name() -> None:
    """A key file of another repository, taken by mistake."""
    strangers = replace(SIGNERS, products={"agent": signer("stranger")})
    with pytest.raises(RequestError) as caught:
        building.publish_targets(CREATED, "agent", ONE_MORE, strangers, START)
    assert caught.value.code is Code.NOT_ALLOWED
    assert caught.value.details["role"] == "products/agent"


@pytest.mark.parametrize("role", ["snapshot", "timestamp"])
def test_a_list_signed_by_another_key_is_not_returned(role: str) -> None:
    """The check of one's own work."""
    stranger = signer("stranger")
    strangers = replace(SIGNERS, snapshot=stranger) if role == "snapshot" else replace(SIGNERS, timestamp=stranger)
    with pytest.raises(TrustError) as caught:
        building.refresh_snapshot(CREATED, strangers, START)
    assert caught.value.code is Code.UNSIGNED
    assert caught.value.details["role"] == role


def test_a_timestamp_signed_again_names_the_same_snapshot() -> None:
    later = START + timedelta(hours=1)
    new = building.refresh_timestamp(CREATED, SIGNERS, later)
    assert list(new) == ["timestamp.json"]
    timestamp = signed(new, "timestamp.json")
    assert (timestamp.version, timestamp.snapshot_meta.version) == (2, 1)
    assert timestamp.expires == later + timedelta(days=1)


def test_a_timestamp_is_signed_again_although_a_product_has_expired() -> None:
    """One product that nobody has touched for a year must not stop all others."""
    late = START + timedelta(days=364)
    files = CREATED | building.refresh_snapshot(CREATED, SIGNERS, late)
    assert building.refresh_timestamp(files, SIGNERS, START + timedelta(days=366))


def test_a_snapshot_signed_again_lists_the_same_roles() -> None:
    new = building.refresh_snapshot(CREATED, SIGNERS, START + timedelta(days=4))
    assert list(new) == ["2.snapshot.json", "timestamp.json"]
    assert signed(new, "2.snapshot.json").meta == signed(CREATED, "1.snapshot.json").meta


def test_a_product_added_later_can_be_published() -> None:
    both = role_signers(("agent", "shop"))
    files = CREATED | building.add_product(CREATED, "shop", both, START)
    files |= building.publish_targets(files, "shop", {path_of("1.0.0", "shop"): entry("1.0.0", "shop")}, both, START)
    assert [(standing.role, standing.version) for standing in standings(files)] == [
        ("root", 1),
        ("timestamp", 3),
        ("snapshot", 3),
        ("targets", 2),
        ("products/agent", 1),
        ("products/shop", 2),
    ]


@pytest.mark.parametrize(
    ("product", "signers", "code"),
    [
        ("agent", SIGNERS, Code.ALREADY_EXISTS),
        ("Shop", SIGNERS, Code.INVALID_ARGUMENT),
        ("shop", SIGNERS, Code.NOT_ALLOWED),
        ("shop", replace(SIGNERS, products={"shop": SIGNERS.products["agent"]}), Code.INVALID_ARGUMENT),
        ("shop", replace(SIGNERS, products={"shop": SIGNERS.root[0]}), Code.INVALID_ARGUMENT),
        ("shop", replace(role_signers(("shop",)), targets=None), Code.NOT_ALLOWED),
    ],
)
def test_a_product_is_not_added_twice_or_under_a_used_key(product: str, signers: RoleSigners, code: Code) -> None:
    with pytest.raises(RequestError) as caught:
        building.add_product(CREATED, product, signers, START)
    assert caught.value.code is code


def test_rotation_replaces_the_online_keys_and_signs_with_the_new_ones() -> None:
    new = building.rotate_online(CREATED, _fresh_online(), START)
    assert list(new) == ["2.root.json", "2.snapshot.json", "timestamp.json"]
    root = signed(new, "2.root.json")
    assert root.roles["timestamp"].keyids == [signer("new timestamp").public_key.keyid]
    assert root.roles["snapshot"].keyids == [signer("new snapshot").public_key.keyid]
    assert len(root.keys) == 6
    files = CREATED | new
    assert building.publish_targets(files, "agent", ONE_MORE, _fresh_online(), START)
    with pytest.raises(TrustError):
        building.refresh_timestamp(files, SIGNERS, START)


@pytest.mark.parametrize(
    ("signers", "code"),
    [
        (replace(_fresh_online(), root=SIGNERS.root[:1]), Code.NOT_ALLOWED),
        (replace(_fresh_online(), root=[signer("a"), signer("b")]), Code.NOT_ALLOWED),
        (replace(_fresh_online(), snapshot=SIGNERS.snapshot), Code.INVALID_ARGUMENT),
        (replace(_fresh_online(), timestamp=SIGNERS.of("targets")), Code.INVALID_ARGUMENT),
        (replace(_fresh_online(), timestamp=signer("new snapshot")), Code.INVALID_ARGUMENT),
    ],
)
def test_rotation_needs_two_root_keys_and_new_online_keys(signers: RoleSigners, code: Code) -> None:
    with pytest.raises(RequestError) as caught:
        building.rotate_online(CREATED, signers, START)
    assert caught.value.code is code


def test_other_life_times_can_be_chosen() -> None:
    files = building.create(("agent",), SIGNERS, START, replace(Expiries(), timestamp=timedelta(hours=2)))
    assert {item.role: item.expires for item in standings(files)}["timestamp"] == START + timedelta(hours=2)


def test_two_publishers_from_one_state_return_the_same_names() -> None:
    """So a store that refuses a name twice lets one of the two through."""
    one = building.publish_targets(CREATED, "agent", ONE_MORE, SIGNERS, START)
    two = building.publish_targets(CREATED, "agent", {path_of("2.0.0"): entry("2.0.0")}, SIGNERS, START)
    assert list(one) == list(two)
    assert one["2.products%2Fagent.json"] != two["2.products%2Fagent.json"]


@pytest.mark.parametrize("lost", ["timestamp.json", "2.snapshot.json", "1.targets.json", "2.products%2Fagent.json"])
@pytest.mark.parametrize("how", ["gone", "cut", "other"])
def test_a_damaged_repository_is_the_stores_fault(lost: str, how: str) -> None:
    files = dict(Repository().files)
    if how == "gone":
        del files[lost]
    else:
        files[lost] = files[lost][:50] if how == "cut" else files["1.root.json"]
    with pytest.raises(StoreError) as caught:
        read_repository(files)
    assert lost in caught.value.message


ACTS: list[Callable[[Repository], None]] = [
    lambda repository: repository.publish(f"1.{len(repository.files)}.0"),
    Repository.refresh_timestamp,
    lambda repository: repository.rotate_online(f"{len(repository.files)} "),
]


def test_any_order_of_acts_leaves_a_repository_in_order() -> None:
    repository = Repository()
    for number in range(12):
        ACTS[(number * 7 + number // 3) % 3](repository)
        check_repository(repository.files)


def test_errors_of_this_room_are_typed() -> None:
    with pytest.raises(FleetrollError):
        building.refresh_timestamp({}, SIGNERS, START)
