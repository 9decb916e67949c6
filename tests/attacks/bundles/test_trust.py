"""Bundles in an attacker's hands: replayed, exchanged, bent in any byte. Only what was signed is ever installed."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import FleetrollError
from tests.attacks.bundles.carrier import Carrier
from tests.faults.carried import Warehouse, bend, contents, tar

DAMAGED = (Code.METADATA_INVALID, Code.METADATA_MIXED, Code.UNSIGNED)
SHOP = "targets/shop/1.0.0/any-any-any.tar.zst"
UNREAD = ("metadata/1.root.json", "metadata/2.products%2Fagent.json")
"""The host has its own first root, and asks for the role of the one product."""
LISTS = ("metadata/timestamp.json", "metadata/3.snapshot.json", "metadata/1.targets.json")
NAMES = (*UNREAD, *LISTS, "metadata/2.products%2Fshop.json", SHOP)


def test_a_replayed_bundle_is_refused(carrier: Carrier, warehouse: Warehouse) -> None:
    """What a newer bundle brought stays the floor, over restarts."""
    old = carrier.honest()
    warehouse.release("1.1.0")
    carrier.find(carrier.honest("shop", "1.1.0"), version="1.1.0")
    carrier.refuses(old, Code.METADATA_ROLLBACK)


def test_old_roles_under_newer_lists_are_refused(carrier: Carrier, warehouse: Warehouse) -> None:
    """The snapshot has the hash of each role."""
    old = contents(carrier.honest())
    warehouse.release("1.1.0")
    new = carrier.honest("shop", "1.1.0")
    changes = {"metadata/3.products%2Fshop.json": old["metadata/2.products%2Fshop.json"]}
    carrier.refuses(bend(new, changes), Code.METADATA_MIXED)


def test_lists_that_are_left_at_an_older_state_are_refused(carrier: Carrier, warehouse: Warehouse) -> None:
    """A snapshot of yesterday under the timestamp of today."""
    old = contents(carrier.honest())
    warehouse.release("1.1.0")
    new = carrier.honest("shop", "1.1.0")
    carrier.refuses(bend(new, {"metadata/4.snapshot.json": old["metadata/3.snapshot.json"]}), Code.METADATA_MIXED)


def test_the_snapshot_that_a_host_has_is_not_taken_for_the_one_that_is_left_out(
    carrier: Carrier, warehouse: Warehouse
) -> None:
    """Under a newer timestamp it is an older state: its expiry is waived, its version is not."""
    carrier.find(carrier.honest())
    warehouse.release("1.1.0")
    new = bend(carrier.honest("shop", "1.1.0"), {"metadata/4.snapshot.json": None})
    error = carrier.refuses(new, Code.DOWNLOAD_FAILED)
    assert "4.snapshot.json" in error.message


def test_a_bundle_of_another_repository_is_refused(carrier: Carrier) -> None:
    """It is whole and signed, by others than the host has pinned."""
    other = Carrier(carrier.folder / "other", Warehouse(prefix="other "))
    other.folder.mkdir()
    carrier.refuses(other.honest(), Code.UNSIGNED)


def test_a_root_that_the_pinned_one_did_not_sign_is_refused(carrier: Carrier, warehouse: Warehouse) -> None:
    """A chain of roots has no stranger in it."""
    other = Warehouse(prefix="other ")
    other.rotate_online("other second ")
    honest = contents(carrier.honest())
    path = carrier.folder / "foreign.bundle"
    path.write_bytes(tar({"metadata/2.root.json": other.files["2.root.json"], **honest}))
    carrier.refuses(path, Code.UNSIGNED)


def test_lists_of_a_replaced_key_are_refused(carrier: Carrier, warehouse: Warehouse) -> None:
    """A host that knows the newer root takes nothing of the stolen keys, although the bundle has no newer root."""
    old = carrier.honest()
    warehouse.rotate_online("second ")
    carrier.host.update("shop")
    carrier.refuses(old, Code.UNSIGNED, Code.METADATA_ROLLBACK)


def test_the_role_of_another_product_is_refused(carrier: Carrier, warehouse: Warehouse) -> None:
    """Under the name of the shop's, as it is: its hash is another."""
    honest = carrier.honest()
    changes = {"metadata/2.products%2Fshop.json": contents(honest)["metadata/2.products%2Fagent.json"]}
    carrier.refuses(bend(honest, changes), *DAMAGED, Code.METADATA_ENDLESS)


def test_the_role_of_another_product_is_refused_although_the_lists_name_it(
    carrier: Carrier, warehouse: Warehouse
) -> None:
    """The thief of the online keys lists the agent's role as the shop's; the shop's key has not signed it."""
    honest = carrier.honest()
    agent = warehouse.files["2.products%2Fagent.json"]
    warehouse._list("products/shop", 2, agent)
    lists = {name: data for name, data in warehouse.forged.items() if isinstance(data, bytes)}
    files = {**{f"metadata/{name}": data for name, data in lists.items()}, **contents(honest)}
    files |= {f"metadata/{name}": data for name, data in lists.items()}
    files["metadata/2.products%2Fshop.json"] = agent
    path = carrier.folder / "listed.bundle"
    path.write_bytes(tar(files))
    carrier.refuses(path, Code.UNSIGNED)


def test_an_artefact_that_was_swapped_is_refused(carrier: Carrier, warehouse: Warehouse) -> None:
    """For another genuine one of the same length too."""
    honest = carrier.honest()
    right = contents(honest)[SHOP]
    for wrong in (bytes(len(right)), right[::-1], right + b"x"):
        carrier.refuses(bend(honest, {SHOP: wrong}), Code.WRONG_HASH)
    carrier.refuses(bend(honest, {SHOP: right[:-1]}), Code.DOWNLOAD_FAILED)


@pytest.mark.parametrize("name", sorted({*NAMES} - {*UNREAD}))
def test_what_is_left_out_is_named(carrier: Carrier, name: str) -> None:
    """Of the metadata as a file that could not be had, of the artefacts before anything is fetched."""
    bent = bend(carrier.honest(), {name: None})
    error = carrier.refuses(bent, Code.NO_ARTIFACT if name == SHOP else Code.DOWNLOAD_FAILED)
    assert ("shop 1.0.0" if name == SHOP else name.partition("/")[2]) in error.message


@pytest.mark.parametrize("place", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("name", NAMES)
def test_a_changed_byte_in_any_file_is_never_believed(carrier: Carrier, name: str, place: float) -> None:
    """It is refused; or it stands where the host does not look, and the installed bytes are the signed ones."""
    honest = carrier.honest()
    files = contents(honest)
    assert set(files) == set(NAMES)
    data = bytearray(files[name])
    data[int(place * (len(data) - 1))] ^= 1
    bent = bend(honest, {name: bytes(data)})
    if name in UNREAD:
        assert carrier.install(bent) == files[SHOP]
    else:
        carrier.refuses(bent, *((Code.WRONG_HASH,) if name == SHOP else DAMAGED))


@pytest.mark.timeout(300)
@given(position=st.integers(0, 2**24), flip=st.integers(1, 255))
def test_any_changed_byte_of_the_file_is_refused_or_does_not_matter(position: int, flip: int) -> None:
    """Headers and padding as well: what comes out is the signed artefact or a typed refusal, nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        carrier = Carrier(Path(folder), Warehouse())
        honest = carrier.honest()
        right = contents(honest)[SHOP]
        data = bytearray(honest.read_bytes())
        data[position % len(data)] ^= flip
        bent = honest.with_name("flipped.bundle")
        bent.write_bytes(data)
        assert outcome(carrier, bent) in {right, *DAMAGED, Code.WRONG_HASH, Code.HOSTILE_ARCHIVE}


def outcome(carrier: Carrier, bundle: Path) -> bytes | Code:
    """Return the bytes that were installed, or why none were."""
    try:
        return carrier.install(bundle)
    except FleetrollError as error:
        return error.code
