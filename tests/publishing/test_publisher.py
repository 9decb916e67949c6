"""What a publisher has seen: a server that shows an older list, or another one, gets nothing signed."""

from __future__ import annotations

import shutil
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_common.durable import dump_record
from fleetroll_common.values.clock import FakeClock
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import FleetrollError, RequestError, TrustError
from fleetroll_common.values.version import Version
from fleetroll_publishing import repository as building
from fleetroll_publishing.keyfiles import files_of, keys_in
from fleetroll_publishing.keys import Cost, Passphrase, PrivateKey, save_key
from fleetroll_publishing.publisher import RECORD_NAME, Publisher, _load
from fleetroll_publishing.roles import describe, read_repository, sign_role
from fleetroll_publishing.verbs import Yank
from tests.faults.repositories import START, Repository

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AGENT_3, AGENT_4 = "3.products%2Fagent.json", "4.products%2Fagent.json"
CLOCK = FakeClock(START + timedelta(minutes=1))
CHEAP = Passphrase("passphrase", Cost(1, 8192))


class Shown(Repository):
    """A repository that is read from by a publisher."""

    def target(self, path: str) -> Iterator[bytes]:
        raise AssertionError(path)

    def change(self, *changes: Any) -> None:
        self.files |= building.change_product(self.files, "agent", changes, self.signers, self.now)


def refused(folder: Path, repository: Shown) -> FleetrollError:
    before = (folder / RECORD_NAME).read_bytes()
    with pytest.raises(FleetrollError) as caught:
        Publisher(folder).read(repository, CLOCK)
    assert (folder / RECORD_NAME).read_bytes() == before
    return caught.value


def test_what_is_verified_is_returned_and_remembered(tmp_path: Path) -> None:
    repository = Shown()
    seen = Publisher(tmp_path).read(repository, CLOCK)
    assert seen.product("agent").version == 2
    assert Publisher(tmp_path).read(repository, CLOCK).product("agent").version == 2


def test_a_server_that_shows_the_list_from_before_a_yank_gets_nothing_signed(tmp_path: Path) -> None:
    """Also where it has every online key and signs the old list anew."""
    repository = Shown()
    repository.publish("1.1.0")
    old = repository.frozen()
    Publisher(tmp_path).read(repository, CLOCK)
    repository.change(Yank(Version.parse("1.1.0"), "bad"))
    newest = repository.files
    Publisher(tmp_path).committed({AGENT_4: newest[AGENT_4]})
    repository.shown = old
    assert refused(tmp_path, repository).code is Code.METADATA_ROLLBACK
    resigned = dict(old)
    for _ in range(3):
        resigned |= building.refresh_snapshot(resigned, repository.signers, START)
    repository.shown = resigned
    error = refused(tmp_path, repository)
    assert (error.code, error.details["role"]) == (Code.METADATA_ROLLBACK, "products/agent")
    repository.shown = newest
    assert Publisher(tmp_path).read(repository, CLOCK).product("agent").version == 4


def test_what_only_was_seen_is_not_gone_back_behind_either(tmp_path: Path) -> None:
    """Somebody else's work is not undone by ours."""
    repository = Shown()
    old = repository.frozen()
    repository.publish("1.1.0")
    Publisher(tmp_path).read(repository, CLOCK)
    repository.shown = old
    assert refused(tmp_path, repository).code is Code.METADATA_ROLLBACK


def test_another_file_under_the_version_that_was_signed_here_is_refused(tmp_path: Path) -> None:
    twin, repository = Shown(), Shown()
    twin.publish("1.1.0")
    repository.publish("1.2.0")
    Publisher(tmp_path).read(twin, CLOCK)
    Publisher(tmp_path).committed({AGENT_3: twin.files[AGENT_3]})
    assert "another one is shown" in refused(tmp_path, repository).message


def test_another_repository_is_refused(tmp_path: Path) -> None:
    Publisher(tmp_path).read(Shown(), CLOCK)
    assert refused(tmp_path, Shown(prefix="foreign ")).code is Code.UNSIGNED


def test_the_first_root_that_lies_beside_the_keys_is_the_one_that_counts(tmp_path: Path) -> None:
    (tmp_path / "1.root.json").write_bytes(Shown().root)
    with pytest.raises(TrustError) as caught:
        Publisher(tmp_path).read(Shown(prefix="foreign "), CLOCK)
    assert caught.value.code is Code.UNSIGNED
    assert Publisher(tmp_path).read(Shown(), CLOCK).product("agent").version == 2


@pytest.mark.parametrize(
    "damage", [b"", b"{}", dump_record({"kind": "other"}), dump_record({"kind": "fleetroll-publisher-1"})]
)
def test_a_damaged_record_is_no_empty_one(tmp_path: Path, damage: bytes) -> None:
    """Else whoever can damage it can have an old list believed."""
    (tmp_path / RECORD_NAME).write_bytes(damage)
    assert isinstance(refused(tmp_path, Shown()), RequestError)


def test_key_files_are_found_by_their_public_half(tmp_path: Path) -> None:
    keys = [PrivateKey.generate() for _ in range(3)]
    for number, key in enumerate(keys):
        save_key(tmp_path / f"{number}.key", key, "products/agent", CHEAP)
    (tmp_path / "notes.txt").write_text("no key")
    (tmp_path / "folder").mkdir()
    files = keys_in(tmp_path)
    assert [path.name for path in files] == ["0.key", "1.key", "2.key"]
    wanted = {keys[2].public.keyval["public"], PrivateKey.generate().public.keyval["public"]}
    assert [path.name for path in files_of(wanted, files)] == ["2.key"]
    shutil.copy(tmp_path / "2.key", tmp_path / "9.key")
    assert [path.name for path in files_of(wanted, keys_in(tmp_path))] == ["2.key"]
    for place in (tmp_path / "folder", tmp_path / "nowhere"):
        with pytest.raises(RequestError) as caught:
            keys_in(place)
        assert caught.value.code is Code.NOT_FOUND


def test_a_thief_of_the_online_keys_does_not_end_a_publishers_signing(tmp_path: Path) -> None:
    """They sign lists of the highest versions there are; after the exchange of the keys those begin where they were."""
    repository = Shown()
    Publisher(tmp_path).read(repository, CLOCK)
    honest = repository.frozen()
    listed = read_repository(honest)
    snapshot, timestamp = listed.snapshot, listed.timestamp
    snapshot.version, timestamp.version = 2**40, 2**40
    data = sign_role(snapshot, [repository.signers.of("snapshot")])
    timestamp.snapshot_meta = describe(2**40, data)
    stamped = sign_role(timestamp, [repository.signers.of("timestamp")])
    repository.shown = {**honest, f"{2**40}.snapshot.json": data, "timestamp.json": stamped}
    assert Publisher(tmp_path).read(repository, CLOCK).timestamp.version == 2**40
    assert set(_load(tmp_path).versions) == {"root", "targets", "products/agent"}
    repository.shown = None
    repository.rotate_online("the owner's ")
    seen = Publisher(tmp_path).read(repository, CLOCK)
    assert (seen.root.version, seen.timestamp.version < 2**40) == (2, True)
