"""Bundles: one file, the same bytes each time, with the whole chain and what was named."""

from __future__ import annotations

import hashlib
import tarfile
from typing import TYPE_CHECKING

import pytest

from fleetroll_common.trust import bundle
from fleetroll_common.trust.library import encode_canonical
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import FleetrollError
from fleetroll_common.values.platform import Platform
from fleetroll_common.values.version import Version
from fleetroll_publishing import repository
from fleetroll_publishing.carrying import BundleWish, write_bundle
from fleetroll_publishing.roles import read_repository
from fleetroll_publishing.verbs import SetFloor
from tests.faults.carried import contents

if TYPE_CHECKING:
    from pathlib import Path

    from fleetroll_common.values.clock import FakeClock
    from tests.faults.carried import Warehouse

SHOP = BundleWish((("shop", Version(1, 0, 0)),))


def refused(out: Path, warehouse: Warehouse, clock: FakeClock, wish: BundleWish = SHOP) -> FleetrollError:
    with pytest.raises(FleetrollError) as caught:
        write_bundle(out, warehouse, wish, clock)
    assert caught.value.remedy
    assert not out.exists()
    assert list(out.parent.iterdir()) == []
    return caught.value


def test_a_bundle_holds_the_whole_chain_and_the_named_release(
    tmp_path: Path, warehouse: Warehouse, clock: FakeClock
) -> None:
    """Metadata of all products, for their roles are in the lists; artefacts of the named one alone."""
    warehouse.release("1.1.0")
    built = write_bundle(tmp_path / "b", warehouse, SHOP, clock)
    path = "shop/1.0.0/any-any-any.tar.zst"
    names = ["2.products%2Fagent.json", "3.products%2Fshop.json", "1.targets.json", "4.snapshot.json", "1.root.json"]
    files = {f"metadata/{name}": warehouse.files[name] for name in [*names, "timestamp.json"]}
    assert list(contents(built.path).items()) == [*files.items(), (f"targets/{path}", warehouse.artefacts[path])]
    data = built.path.read_bytes()
    assert (built.length, built.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert (built.targets, warehouse.given) == ((path,), [path])


def test_the_same_repository_gives_the_same_bytes(tmp_path: Path, warehouse: Warehouse, clock: FakeClock) -> None:
    """Whoever carries it can compare, and a later clock changes nothing."""
    first = write_bundle(tmp_path / "a", warehouse, SHOP, clock)
    clock.advance(3600)
    assert write_bundle(tmp_path / "b", warehouse, SHOP, clock).sha256 == first.sha256


def test_any_tar_program_can_look_into_a_bundle(tmp_path: Path, warehouse: Warehouse, clock: FakeClock) -> None:
    """The form is plain: people look with what they have."""
    built = write_bundle(tmp_path / "b", warehouse, SHOP, clock)
    with tarfile.open(built.path, "r:") as archive:
        assert archive.getnames() == list(contents(built.path))
        assert {(member.mode, member.mtime, member.uname) for member in archive} == {(0o644, 0, "")}


def test_platforms_choose_among_the_artefacts(tmp_path: Path, warehouse: Warehouse, clock: FakeClock) -> None:
    """What runs on the named hosts: the exact one, wider ones, and all below a platform that is not whole."""
    places = ("linux/x86_64/cp311", "linux/x86_64", "linux/aarch64", "linux/any", "darwin/any")
    for place in places:
        warehouse.release("2.0.0", platform=Platform.parse(place))

    def taken(*platforms: str) -> list[str]:
        wish = BundleWish((("shop", Version(2, 0, 0)),), tuple(map(Platform.parse, platforms)))
        built = write_bundle(tmp_path / "b", warehouse, wish, clock)
        return [path.split("/")[2].removesuffix(".tar.zst") for path in built.targets]

    assert taken("linux/x86_64/cp311") == ["linux-any-any", "linux-x86_64-any", "linux-x86_64-cp311"]
    assert taken("linux/x86_64") == ["linux-any-any", "linux-x86_64-any", "linux-x86_64-cp311"]
    assert taken("linux/aarch64", "darwin/any") == ["darwin-any-any", "linux-aarch64-any", "linux-any-any"]
    assert len(taken()) == len(places)


def test_several_releases_and_the_policy_of_their_products_go_along(
    tmp_path: Path, warehouse: Warehouse, clock: FakeClock
) -> None:
    """A policy stands under no version and belongs to all of them."""
    floor = [SetFloor(Version(1, 0, 0))]
    warehouse.files |= repository.change_product(warehouse.files, "shop", floor, warehouse.signers, warehouse.now)
    listed = read_repository(warehouse.files).product("shop").targets["shop/policy/policy.json"]
    warehouse.artefacts["shop/policy/policy.json"] = str(encode_canonical(listed.custom)).encode()
    wish = BundleWish((("shop", Version(1, 0, 0)), ("agent", Version(1, 0, 0))))
    built = write_bundle(tmp_path / "b", warehouse, wish, clock)
    assert built.targets == (
        next(path for path in warehouse.artefacts if path.startswith("agent/")),
        "shop/1.0.0/any-any-any.tar.zst",
        "shop/policy/policy.json",
    )


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        (BundleWish((("till", Version(1, 0, 0)),)), Code.NOT_FOUND),
        (BundleWish((("shop", Version(9, 0, 0)),)), Code.NOT_LISTED),
        (BundleWish((("agent", Version(1, 0, 0)),), (Platform.parse("plan9/mips"),)), Code.NO_ARTIFACT),
    ],
)
def test_what_is_not_there_is_named_and_leaves_no_file(
    tmp_path: Path, warehouse: Warehouse, clock: FakeClock, wish: BundleWish, code: Code
) -> None:
    """Whoever carries half a bundle notices it at the host, which is too late."""
    assert refused(tmp_path / "b", warehouse, clock, wish).code is code


def test_an_artefact_that_was_swapped_leaves_no_file(tmp_path: Path, warehouse: Warehouse, clock: FakeClock) -> None:
    """The server's disk may lie."""
    warehouse.swapped["shop/1.0.0/any-any-any.tar.zst"] = b"x"
    assert refused(tmp_path / "b", warehouse, clock).code is Code.WRONG_HASH


def test_more_files_than_a_host_reads_are_refused_here(
    tmp_path: Path, warehouse: Warehouse, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bound of the reader is the bound of the writer."""
    monkeypatch.setattr(bundle, "MAX_ENTRIES", 6)
    assert refused(tmp_path / "b", warehouse, clock).code is Code.INVALID_ARGUMENT
