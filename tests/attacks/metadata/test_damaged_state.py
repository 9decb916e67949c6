"""Local trust files that were cut or garbled, followed by the replay that they would let through."""

from __future__ import annotations

import errno
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetroll_common.durable import DamagedRecord, dump_record, effects, load_record
from fleetroll_common.trust.floor import FLOOR_NAME, Floor, _from_record, _to_record
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError, TrustError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.repositories import Host, Repository

CACHED = ["timestamp.json", "snapshot.json", "targets.json", "products%2Fagent.json", "root_history/2.root.json"]


@pytest.fixture
def replayed(host: Host, repository: Repository) -> dict[str, bytes]:
    """Bring the host to release 1.1.0 under a second root; give the repository as it was before that release."""
    repository.signed_by_thief("root", lambda _: None)
    repository.adopt()
    old = repository.frozen()
    repository.publish("1.1.0")
    assert host.update() == ("1.1.0", "1.0.0")
    return old


def cut(path: Path, share: float) -> None:
    """Leave the first part of a file, as a power cut may."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


def garble(path: Path) -> None:
    """Fill a file with zeros, as some file systems do."""
    path.write_bytes(bytes(path.stat().st_size))


def old_enough(name: str) -> set[Code]:
    """Return the reasons that fit: without the second root, the old repository's own root is what is missing."""
    return {Code.METADATA_ROLLBACK} | ({Code.UNSIGNED} if name.startswith("root") else set())


@pytest.mark.parametrize("name", CACHED)
@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.99, None])
def test_a_cut_file_does_not_let_a_replay_through(
    host: Host, repository: Repository, replayed: dict[str, bytes], name: str, share: float | None
) -> None:
    path = host.folder / name
    garble(path) if share is None else cut(path, share)
    host.restart()
    repository.shown = replayed
    before = host.state()
    with pytest.raises(TrustError) as caught:
        host.update()
    assert caught.value.code is Code.METADATA_ROLLBACK
    after = host.state()
    healed = {name} if name.startswith("root") else set()
    assert {key for key in before if before[key] != after[key]} <= healed


@pytest.mark.parametrize("name", CACHED)
@pytest.mark.parametrize("share", [0.0, 0.5, None])
def test_a_cut_file_heals_from_the_honest_repository(
    host: Host, replayed: dict[str, bytes], name: str, share: float | None
) -> None:
    path = host.folder / name
    whole = path.read_bytes()
    garble(path) if share is None else cut(path, share)
    host.restart()
    assert host.update() == ("1.1.0", "1.0.0")
    assert path.read_bytes() == whole


def test_all_cached_files_cut_or_gone_do_not_let_a_replay_through(
    host: Host, repository: Repository, replayed: dict[str, bytes]
) -> None:
    """All that is left is the floor."""
    for number, name in enumerate(CACHED):
        (host.folder / name).unlink() if number % 2 else cut(host.folder / name, 0.3)
    shutil.rmtree(host.folder / "root_history")
    host.restart()
    repository.shown = replayed
    with pytest.raises(TrustError) as caught:
        host.update()
    assert caught.value.code is Code.METADATA_ROLLBACK


def test_a_lost_root_does_not_let_the_keys_before_it_count_again(
    host: Host, repository: Repository, replayed: dict[str, bytes]
) -> None:
    """Only the first root is shown, and it is the one that is pinned."""
    (host.folder / "root_history/2.root.json").unlink()
    host.restart()
    repository.shown = {name: data for name, data in repository.files.items() if name != "2.root.json"}
    with pytest.raises(TrustError) as caught:
        host.update()
    assert caught.value.code is Code.METADATA_ROLLBACK
    assert caught.value.details["role"] == "root"


def test_a_floor_cut_at_any_length_is_refused(host: Host, repository: Repository, replayed: dict[str, bytes]) -> None:
    """Whatever is shown: the replay, and the honest repository as well, since nothing can tell them apart."""
    path = host.folder / FLOOR_NAME
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        host.restart()
        repository.shown = replayed if length % 2 else None
        before = host.state()
        with pytest.raises(TrustError) as caught:
            host.update()
        assert caught.value.code is Code.STORE_FAILED
        assert host.state() == before
    path.write_bytes(whole)
    repository.shown = None
    assert host.update() == ("1.1.0", "1.0.0")


def test_a_floor_with_any_byte_changed_is_refused(host: Host, replayed: dict[str, bytes]) -> None:
    path = host.folder / FLOOR_NAME
    whole = path.read_bytes()
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        host.restart()
        with pytest.raises(TrustError) as caught:
            host.update()
        assert caught.value.code is Code.STORE_FAILED


def test_a_floor_that_is_gone_beside_its_files_is_refused(host: Host, replayed: dict[str, bytes]) -> None:
    (host.folder / FLOOR_NAME).unlink()
    host.restart()
    with pytest.raises(TrustError) as caught:
        host.update()
    assert caught.value.code is Code.STORE_FAILED
    assert "is lost" in caught.value.message
    assert not (host.folder / FLOOR_NAME).exists()


def test_a_floor_older_than_its_files_is_raised_by_them(
    host: Host, repository: Repository, replayed: dict[str, bytes]
) -> None:
    """A restored backup of one file: what the other files say counts too."""
    old = (host.folder / FLOOR_NAME).read_bytes()
    repository.publish("1.2.0")
    host.update()
    (host.folder / FLOOR_NAME).write_bytes(old)
    host.restart()
    assert host.update() == ("1.2.0", "1.1.0", "1.0.0")
    (host.folder / "timestamp.json").unlink()
    repository.shown = replayed
    host.restart()
    with pytest.raises(TrustError) as caught:
        host.update()
    assert caught.value.code is Code.METADATA_ROLLBACK


@pytest.mark.parametrize(
    "behind",
    [{"timestamp": 9}, {"snapshot": 9}, {"roles": {"targets.json": 9}}, {"roles": {"gone.json": 1}}, {"root": 9}],
)
def test_files_older_than_the_floor_do_not_count(
    host: Host, replayed: dict[str, bytes], behind: dict[str, Any]
) -> None:
    """Whole, genuine, the same as what is shown, and still not what this host had come to."""
    path = host.folder / FLOOR_NAME
    path.write_bytes(dump_record(load_record(path.read_bytes()) | behind))
    host.restart()
    host.refuses(Code.METADATA_ROLLBACK)


def test_the_remedy_of_a_damaged_floor_works(host: Host, replayed: dict[str, bytes]) -> None:
    """Removing the folder by hand begins at the pinned root again."""
    cut(host.folder / FLOOR_NAME, 0.5)
    shutil.rmtree(host.folder)
    host.restart()
    assert host.update() == ("1.1.0", "1.0.0")


@given(st.dictionaries(st.sampled_from(["root", "roles", "anchor", "checked_at", "x"]), st.none() | st.integers(-1, 1)))
def test_a_record_of_another_shape_is_damaged(change: dict[str, int | None]) -> None:
    """Unless it only adds what a later program knows."""
    record = _to_record(Floor("a" * 64)) | change
    numbers = [change.get("root", 0), change.get("checked_at", 0)]
    if {"roles", "anchor"} & change.keys() or any(number is None or number < 0 for number in numbers):
        with pytest.raises(DamagedRecord):
            _from_record(record)
    else:
        assert _from_record(record).anchor == "a" * 64


@pytest.mark.parametrize(
    ("number", "code"), [(errno.ENOSPC, Code.DISK_FULL), (errno.EDQUOT, Code.DISK_FULL), (errno.EIO, Code.STORE_FAILED)]
)
def test_a_disk_that_refuses_is_the_hosts_fault(
    host: Host, repository: Repository, monkeypatch: pytest.MonkeyPatch, number: int, code: Code
) -> None:
    repository.publish("1.1.0")
    before = host.state()
    with monkeypatch.context() as patch:
        patch.setattr(effects, "fsync_file", _raising(OSError(number, "no")))
        with pytest.raises(AgentError) as caught:
            host.update()
    assert caught.value.code is code
    assert host.state() == before
    assert host.update() == ("1.1.0", "1.0.0")


def _raising(error: OSError) -> object:
    def fail(*_args: object) -> None:
        raise error

    return fail
