"""A server that begins with a repository whose keys were made elsewhere."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_common.values.clock import FakeClock
from fleetroll_common.values.errors import FleetrollError
from fleetroll_common.values.ids import SystemIds
from fleetroll_publishing.keys import SecretKey, save_key
from fleetroll_publishing.repository import create
from fleetroll_publishing.roles import read_repository
from fleetroll_server.app import main
from fleetroll_server.catalogue.keys import held_keys, signing_mode
from fleetroll_server.catalogue.metadata import current_files
from fleetroll_server.init import InitRequest, initialise
from fleetroll_server.secrets import Secrets
from fleetroll_server.store import Store
from fleetroll_server.trustfolder import Trust
from tests.faults.repositories import role_signers

if TYPE_CHECKING:
    from pathlib import Path

SECRET = bytes(range(32))
NOW = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.fixture
def trust(tmp_path: Path) -> Trust:
    """A folder as a ceremony makes it, a month ago: its lists have ended since."""
    folder = tmp_path / "for-server"
    (folder / "metadata").mkdir(parents=True)
    signers = role_signers(("agent", "shop"))
    for name, data in create(("agent", "shop"), signers, datetime(2026, 4, 1, tzinfo=UTC)).items():
        (folder / "metadata" / name).write_bytes(data)
    for role in ("snapshot", "timestamp"):
        held: Any = signers.of(role)
        save_key(folder / f"{role}.key", held._key, role, SecretKey(SECRET))
    return Trust(folder, SECRET.hex())


def begin(trust: Trust, tmp_path: Path) -> Any:
    return initialise(InitRequest(tmp_path / "data", None, trust=trust), FakeClock(NOW), SystemIds())


async def test_it_holds_its_own_two_keys_and_shows_fresh_lists(trust: Trust, tmp_path: Path) -> None:
    made = await asyncio.to_thread(begin, trust, tmp_path)
    assert made.root_key_files == ()
    assert "root_keys" not in made.folder.settings.read_text()
    store = await Store.open(made.folder.database_url, FakeClock(NOW))
    try:
        async with store.read() as connection:
            files = await current_files(connection)
            held = await held_keys(connection, Secrets.load(made.folder.secret_key))
            assert await signing_mode(connection) == "offline"
    finally:
        await store.close()
    assert set(held) == {"snapshot", "timestamp"}
    read = read_repository(files)
    assert sorted(read.products) == ["agent", "shop"]
    assert (read.root.version, read.targets.version, read.snapshot.version, read.timestamp.version) == (1, 1, 2, 2)
    assert read.timestamp.expires > NOW
    assert read.snapshot.expires > NOW


def swap(folder: Path) -> None:
    shutil.copyfile(folder / "snapshot.key", folder / "timestamp.key")


def strangers(folder: Path) -> None:
    held: Any = role_signers(prefix="other ").of("snapshot")
    (folder / "snapshot.key").unlink()
    save_key(folder / "snapshot.key", held._key, "snapshot", SecretKey(SECRET))


def bent(folder: Path) -> None:
    path = folder / "metadata" / "1.targets.json"
    path.write_bytes(
        path.read_bytes().replace(b'"version":1', b'"version":9').replace(b'"version": 1', b'"version": 9')
    )


def torn(folder: Path) -> None:
    (folder / "metadata" / "1.targets.json").unlink()


def nothing(folder: Path) -> None:
    shutil.rmtree(folder)


@pytest.mark.parametrize("change", [swap, strangers, bent, torn, nothing])
def test_what_was_changed_on_the_way_is_refused_and_nothing_is_left(change: Any, trust: Trust, tmp_path: Path) -> None:
    change(trust.folder)
    with pytest.raises(FleetrollError) as caught:
        begin(trust, tmp_path)
    assert caught.value.remedy
    assert not (tmp_path / "data").exists()
    assert not list(tmp_path.glob(".data*"))


@pytest.mark.parametrize("secret", ["", "00", "zz" * 32, (b"\x01" * 32).hex()])
def test_another_secret_opens_nothing(secret: str, trust: Trust, tmp_path: Path) -> None:
    with pytest.raises(FleetrollError):
        begin(replace(trust, secret=secret), tmp_path)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("both", [True, False])
def test_the_command_wants_one_place_of_root_keys(
    both: bool, trust: Trust, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named = ["--root-keys", str(tmp_path / "keys"), "--trust", str(trust.folder)] if both else []
    assert main(["init", "--data", str(tmp_path / "data"), *named]) == 1
    assert "either --root-keys or --trust" in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


def test_the_command_begins_with_the_secret_of_a_file(
    trust: Trust, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "secret").write_text(f"{trust.secret}\n")
    words = ["--trust", str(trust.folder), "--trust-secret-file", str(tmp_path / "secret")]
    assert main(["init", "--data", str(tmp_path / "data"), *words]) == 0
    assert "stay where they were made" in capsys.readouterr().out
