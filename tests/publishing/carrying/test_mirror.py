"""Mirrors: whole at every moment, never older, and no artefact that was not signed."""

from __future__ import annotations

import fcntl
import os
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from fleetroll_common.durable import effects
from fleetroll_common.trust import MetadataAbsent, TrustClient
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import FleetrollError, RequestError, TrustError
from fleetroll_publishing.carrying import MirrorWish, UpdatedMirror, update_mirror
from tests.faults.carried import Warehouse
from tests.faults.repositories import BUILT_AT

if TYPE_CHECKING:
    from pathlib import Path

    from fleetroll_common.values.clock import FakeClock

ALL = MirrorWish()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "mirror"


class Folder:
    """A mirror's metadata as a source of hosts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "metadata"

    def fetch(self, name: str, max_bytes: int) -> bytes:
        if not (self.folder / name).is_file():
            raise MetadataAbsent(name)
        return (self.folder / name).read_bytes()[: max_bytes + 1]


def paths(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def refused(folder: Path, warehouse: Warehouse, clock: FakeClock, wish: MirrorWish = ALL) -> FleetrollError:
    with pytest.raises(FleetrollError) as caught:
        update_mirror(folder, warehouse, wish, clock)
    assert caught.value.remedy
    return caught.value


def test_a_mirror_holds_every_file_that_a_host_may_ask_for(
    folder: Path, warehouse: Warehouse, clock: FakeClock
) -> None:
    """All roots, the lists, every product's role, and every artefact with its own bytes; nothing else."""
    warehouse.rotate_online("second ")
    done = update_mirror(folder, warehouse, ALL, clock)
    newest = {name for name in warehouse.files if name.endswith("root.json")} | {"timestamp.json", "4.snapshot.json"}
    newest |= {"1.targets.json", "2.products%2Fagent.json", "2.products%2Fshop.json"}
    files = {f"metadata/{name}": warehouse.files[name] for name in newest}
    files |= {f"targets/{path}": data for path, data in warehouse.artefacts.items()}
    assert {name: (folder / name).read_bytes() for name in paths(folder) if name != ".lock"} == files
    assert (done.metadata, sorted(done.fetched), done.kept) == (len(newest), sorted(warehouse.artefacts), 0)
    assert {(folder / name).stat().st_mode & 0o777 for name in files} == {0o644}


def test_an_update_fetches_only_what_is_new(folder: Path, warehouse: Warehouse, clock: FakeClock) -> None:
    """Metadata under a name with a version never changes, and artefacts are compared where they lie."""
    update_mirror(folder, warehouse, ALL, clock)
    warehouse.asked.clear()
    warehouse.given.clear()
    path = warehouse.release("1.1.0")
    done = update_mirror(folder, warehouse, ALL, clock)
    assert warehouse.given == [path] == list(done.fetched)
    assert (done.metadata, done.kept) == (3, 2)
    assert sorted(set(warehouse.asked)) == [
        "1.root.json",
        "2.root.json",
        "3.products%2Fshop.json",
        "4.snapshot.json",
        "timestamp.json",
    ]


def test_an_unchanged_repository_changes_no_file(folder: Path, warehouse: Warehouse, clock: FakeClock) -> None:
    """Not even their times: what syncs the folder on has nothing to do."""
    update_mirror(folder, warehouse, ALL, clock)
    before = {name: (folder / name).stat().st_mtime_ns for name in paths(folder)}
    done = update_mirror(folder, warehouse, ALL, clock)
    assert (done.metadata, done.fetched, done.fetched_bytes) == (0, (), 0)
    assert {name: (folder / name).stat().st_mtime_ns for name in paths(folder)} == before


@pytest.mark.parametrize("name", ["targets/shop/1.0.0/any-any-any.tar.zst", "metadata/3.snapshot.json"])
def test_a_damaged_file_is_fetched_again(folder: Path, warehouse: Warehouse, clock: FakeClock, name: str) -> None:
    """A disk that lost bytes is mended by the next update."""
    update_mirror(folder, warehouse, ALL, clock)
    right = (folder / name).read_bytes()
    (folder / name).write_bytes(b"x" * len(right))
    update_mirror(folder, warehouse, ALL, clock)
    assert (folder / name).read_bytes() == right


def test_product_and_channel_narrow_the_artefacts_and_never_the_metadata(
    folder: Path, warehouse: Warehouse, clock: FakeClock
) -> None:
    """A part of the metadata would be refused by every host."""
    edge = warehouse.release("2.0.0", channels=("edge",))
    done = update_mirror(folder, warehouse, MirrorWish(("shop",), ("edge",)), clock)
    assert done.fetched == (edge,)
    assert (folder / "metadata" / "2.products%2Fagent.json").is_file()
    assert refused(folder, warehouse, clock, MirrorWish(("till",))).code is Code.NOT_FOUND


@pytest.mark.parametrize("fault", [b"other bytes, and fewer", b"x" * 10**6, b""])
def test_bytes_that_were_not_signed_never_get_their_name(
    folder: Path, warehouse: Warehouse, clock: FakeClock, fault: bytes
) -> None:
    """Neither they nor the metadata that lists them: the mirror stays as it was."""
    update_mirror(folder, warehouse, ALL, clock)
    before = {name: (folder / name).read_bytes() for name in paths(folder)}
    path = warehouse.release("1.1.0")
    warehouse.swapped[path] = fault
    error = refused(folder, warehouse, clock)
    assert (error.code, error.details["path"]) == (Code.WRONG_HASH, path)
    assert {name: (folder / name).read_bytes() for name in paths(folder)} == before


def test_a_file_of_the_repository_that_was_changed_stops_it(
    folder: Path, warehouse: Warehouse, clock: FakeClock
) -> None:
    """What no host would take is not carried."""
    warehouse.forged["2.products%2Fshop.json"] = warehouse.files["2.products%2Fagent.json"]
    assert refused(folder, warehouse, clock).code in {Code.UNSIGNED, Code.METADATA_MIXED, Code.METADATA_ENDLESS}
    assert [name for name in paths(folder) if name != ".lock"] == []


def test_a_mirror_never_goes_back(folder: Path, warehouse: Warehouse, clock: FakeClock) -> None:
    """A server from an old backup would make every host of the mirror call it an attack."""
    old = warehouse.frozen()
    warehouse.publish("1.1.0")
    update_mirror(folder, warehouse, ALL, clock)
    warehouse.files = old
    assert refused(folder, warehouse, clock).code is Code.METADATA_ROLLBACK


def test_another_repository_is_not_mixed_in(folder: Path, warehouse: Warehouse, clock: FakeClock) -> None:
    """The first root of a mirror is its own for ever."""
    update_mirror(folder, warehouse, ALL, clock)
    error = refused(folder, Warehouse(prefix="other "), clock)
    assert (error.code, error.details["file"]) == (Code.UNSIGNED, "1.root.json")


def test_a_mirror_that_was_left_alone_for_a_year_comes_back(
    folder: Path, warehouse: Warehouse, clock: FakeClock
) -> None:
    """What it has expired is no reason against what is new."""
    update_mirror(folder, warehouse, ALL, clock)
    clock.advance(300 * 86_400)
    warehouse.now = clock.now()
    warehouse.publish("1.1.0")
    assert update_mirror(folder, warehouse, ALL, clock).metadata == 3
    assert refused(folder, _stale(warehouse), clock).code is Code.METADATA_FREEZE


def _stale(warehouse: Warehouse) -> Warehouse:
    """Let the timestamp end before the clock."""
    warehouse.signed_by_thief("timestamp", lambda role: setattr(role, "expires", warehouse.now - timedelta(1)))
    return warehouse


def test_a_root_that_comes_between_two_files_costs_a_second_walk(
    folder: Path, warehouse: Warehouse, clock: FakeClock
) -> None:
    """The timestamp is signed by keys that the roots read before do not name."""

    class Rotating(Warehouse):
        rotated = False

        def fetch(self, name: str, max_bytes: int) -> bytes:
            if name == "timestamp.json" and not self.rotated:
                self.rotated = True
                self.rotate_online("second ")
            return super().fetch(name, max_bytes)

    update_mirror(folder, Rotating(), ALL, clock)
    assert (folder / "metadata" / "2.root.json").is_file()


class Killed(BaseException):
    """The process dies here."""


def test_a_kill_at_any_moment_leaves_a_whole_mirror(
    folder: Path, warehouse: Warehouse, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hosts read either the old repository or the new one, and the next update ends it."""
    update_mirror(folder, warehouse, ALL, clock)
    new = warehouse.release("1.1.0")
    moments, done = 0, None
    while done is None:
        done = _cut(folder, warehouse, clock, monkeypatch, min(moments, 1))  # each goes one file further
        _read_as_a_host(folder, warehouse, clock)
        moments += 1
    assert moments == 5  # before the artefact, behind it, its product's role and the snapshot; and the whole
    assert (folder / "targets" / new).read_bytes() == warehouse.artefacts[new]


def test_new_online_keys_leave_one_moment_in_which_hosts_refuse(
    folder: Path, warehouse: Warehouse, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the new root and its timestamp nothing fits: that is refused, and the next update ends it."""
    update_mirror(folder, warehouse, ALL, clock)
    warehouse.rotate_online("second ")
    assert _cut(folder, warehouse, clock, monkeypatch, 1) is None
    _read_as_a_host(folder, warehouse, clock)
    assert _cut(folder, warehouse, clock, monkeypatch, 1) is None
    with pytest.raises(TrustError) as caught:
        _read_as_a_host(folder, warehouse, clock)
    assert caught.value.code is Code.UNSIGNED
    assert update_mirror(folder, warehouse, ALL, clock).metadata == 1
    _read_as_a_host(folder, warehouse, clock)


def _cut(
    folder: Path, warehouse: Warehouse, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, after: int
) -> UpdatedMirror | None:
    """Update, and die before rename number ``after``; None when that happened."""
    real, left = effects.rename, [after]

    def rename(source: Path, target: Path) -> None:
        if folder in target.parents:
            if not left[0]:
                raise Killed
            left[0] -= 1
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(effects, "rename", rename)
        try:
            return update_mirror(folder, warehouse, ALL, clock)
        except Killed:
            return None


def _read_as_a_host(folder: Path, warehouse: Warehouse, clock: FakeClock) -> None:
    """Read all that is listed, from the first root on."""
    trust = folder.parent / f"trust-{len(list(folder.parent.iterdir()))}"
    client = TrustClient(trust, warehouse.root, Folder(folder), clock, BUILT_AT)
    for product in ("agent", "shop"):
        for target in client.targets(product):
            assert (folder / "targets" / target.path).read_bytes() == warehouse.artefacts[target.path]


def test_two_updates_at_a_time_are_refused(folder: Path, warehouse: Warehouse, clock: FakeClock) -> None:
    """They would take each other's unfinished files away."""
    update_mirror(folder, warehouse, ALL, clock)
    with closing((folder / ".lock").open("rb")) as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(RequestError) as caught:
            update_mirror(folder, warehouse, ALL, clock)
    assert caught.value.code is Code.LOCKED


def test_a_path_that_leads_out_of_the_mirror_is_refused(folder: Path, warehouse: Warehouse, clock: FakeClock) -> None:
    """The thief of a product's key lists what no honest publisher can."""

    def escape(role: object) -> None:
        targets = role.targets  # type: ignore[attr-defined]
        (right,) = targets.values()
        targets["shop/../x"] = right
        right.path = "shop/../x"
        right.unrecognized_fields.clear()

    warehouse.signed_by_thief("products/shop", escape)
    with pytest.raises(TrustError) as caught:
        update_mirror(folder, warehouse, ALL, clock)
    assert caught.value.code is Code.METADATA_INVALID
    assert not os.path.lexists(folder / "targets" / "x")
