"""Endless data: answers that are longer than any honest one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_common.trust import limits
from fleetroll_common.trust.library import MetaFile
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import FleetrollError
from fleetroll_publishing.roles import describe, read_repository, sign_role
from tests.faults.repositories import Host, Repository

if TYPE_CHECKING:
    from pathlib import Path

LISTS = ("timestamp.json", "snapshot.json", "targets.json", "floor.json")


@pytest.mark.parametrize(
    ("name", "bytes_max"), [("2.root.json", limits.ROOT_BYTES_MAX), ("timestamp.json", limits.TIMESTAMP_BYTES_MAX)]
)
def test_a_role_that_no_list_measures_has_a_bound(
    host: Host, repository: Repository, name: str, bytes_max: int
) -> None:
    repository.forged[name] = b" " * (bytes_max + 1)
    host.refuses(Code.METADATA_ENDLESS)


def test_a_file_at_its_bound_is_read(host: Host, repository: Repository) -> None:
    """Spaces after the metadata are no part of it."""
    repository.refresh_timestamp()
    padding = limits.TIMESTAMP_BYTES_MAX - len(repository.files["timestamp.json"])
    repository.forged["timestamp.json"] = repository.files["timestamp.json"] + b" " * padding
    assert host.update() == ("1.0.0",)


@pytest.mark.parametrize("name", ["3.snapshot.json", "3.products%2Fagent.json"])
def test_a_listed_file_may_not_be_longer_than_its_list_says(host: Host, repository: Repository, name: str) -> None:
    repository.publish("1.1.0")
    repository.forged[name] = repository.files[name] + b" "
    host.refuses(Code.METADATA_ENDLESS, kept=LISTS, lists=name.startswith("3.s"))


def test_a_source_is_told_how_much_is_wanted(tmp_path: Path, repository: Repository) -> None:
    asked: dict[str, int] = {}

    class Watching(Repository):
        def fetch(self, name: str, max_bytes: int) -> bytes:
            asked[name] = max_bytes
            return super().fetch(name, max_bytes)

    Host(tmp_path, Watching()).update()
    assert asked == {
        "2.root.json": limits.ROOT_BYTES_MAX,
        "timestamp.json": limits.TIMESTAMP_BYTES_MAX,
        "2.snapshot.json": len(repository.files["2.snapshot.json"]),
        "1.targets.json": len(repository.files["1.targets.json"]),
        "2.products%2Fagent.json": len(repository.files["2.products%2Fagent.json"]),
    }


@pytest.mark.parametrize("role", ["snapshot", "targets", "products/agent"])
def test_no_list_raises_the_bound_of_a_role(tmp_path: Path, role: str) -> None:
    """A thief of the online keys names a length; a mirror that serves without end would fill the host's memory."""
    asked: dict[str, int] = {}

    class Watching(Repository):
        def fetch(self, name: str, max_bytes: int) -> bytes:
            asked[name] = max_bytes
            return super().fetch(name, max_bytes)

    source = Watching()
    thief, snapshot, timestamp = source.signers, *newest(source)
    if role != "snapshot":
        snapshot.version += 1
        snapshot.meta[f"{role}.json"].version += 1
        snapshot.meta[f"{role}.json"].length = 10**12
    lists = sign_role(snapshot, [thief.of("snapshot")])
    timestamp.version += 1
    timestamp.snapshot_meta = describe(snapshot.version, lists)
    if role == "snapshot":
        timestamp.snapshot_meta = MetaFile(snapshot.version + 1, 10**12)
    source.forged = {f"{snapshot.version}.snapshot.json": lists}
    source.forged["timestamp.json"] = sign_role(timestamp, [thief.of("timestamp")])
    with pytest.raises(FleetrollError):
        Host(tmp_path, source).update()
    assert max(asked.values()) <= limits.TARGETS_BYTES_MAX


def newest(source: Repository) -> tuple[Any, Any]:
    read = read_repository(source.files)
    return read.snapshot, read.timestamp


def test_an_endless_chain_of_roots_ends(host: Host, repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is genuine; a refresh walks a bounded number of them, and the next goes on from there."""
    monkeypatch.setattr("fleetroll_common.trust.updater._CONFIG.max_root_rotations", 3)
    for number in range(5):
        repository.rotate_online(f"{number} ")
    repository.asked.clear()
    host._refused(host.update, (Code.UNSIGNED,))
    assert [name for name in repository.asked if name.endswith("root.json")] == [f"{n}.root.json" for n in (2, 3, 4)]
    assert host.update() == ("1.0.0",)
