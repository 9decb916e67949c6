"""init: a whole data folder or none, root keys outside of it, every secret sealed or 0600."""

from __future__ import annotations

import sqlite3
import stat
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_common.values.clock import SystemClock
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError, StoreError
from fleetroll_common.values.ids import SystemIds
from fleetroll_publishing.keys import Cost, Passphrase, SecretKey, load_key
from fleetroll_server import init as init_module
from fleetroll_server.init import InitRequest, initialise
from fleetroll_server.observe.rootkeys import readable_root_keys
from fleetroll_server.secrets import Secrets

if TYPE_CHECKING:
    from pathlib import Path


def make(tmp_path: Path, **values: Any) -> Any:
    request = InitRequest(**({"data": tmp_path / "data", "root_keys": tmp_path / "keys"} | values))
    return initialise(request, SystemClock(), SystemIds())


def test_what_is_secret_is_for_nobody_else(tmp_path: Path) -> None:
    made = make(tmp_path)
    assert stat.S_IMODE(made.folder.path.stat().st_mode) == 0o700
    for path in (made.folder.secret_key, made.folder.admin_token, *made.root_key_files):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert made.folder.admin_token.read_text() == f"{made.admin_token}\n"
    assert made.admin_token not in repr(made)


def test_no_private_key_and_no_token_lies_open_in_the_data_folder(tmp_path: Path) -> None:
    made = make(tmp_path)
    secrets = Secrets.load(made.folder.secret_key)
    with sqlite3.connect(made.folder.database) as database:
        meta = dict(database.execute("SELECT key, value FROM meta"))
    database.close()
    sealed = [value for key, value in meta.items() if key.startswith("signing_key/")] + [meta["server_key"]]
    assert len(sealed) == 5
    everything = b"".join(path.read_bytes() for path in made.folder.path.rglob("*") if path.is_file())
    without_token = everything.replace(f"{made.admin_token}\n".encode(), b"", 1)
    for value in sealed:
        assert secrets.open(value) not in everything
        assert secrets.open(value).hex().encode() not in everything
    assert made.admin_token.encode() not in without_token
    assert b"PRIVATE KEY" not in everything


def test_root_keys_are_outside_and_open_with_the_passphrase_alone(tmp_path: Path) -> None:
    passphrase = Passphrase("correct horse", Cost(1, 8 * 1024 * 1024))
    made = make(tmp_path, passphrase=passphrase)
    assert [path.name for path in made.root_key_files] == ["root-1.key", "root-2.key", "root-3.key"]
    keys = {load_key(path, passphrase).seed for path in made.root_key_files}
    assert len(keys) == 3
    with pytest.raises(RequestError):
        load_key(made.root_key_files[0], Passphrase("wrong horse"))
    everything = b"".join(path.read_bytes() for path in made.folder.path.rglob("*") if path.is_file())
    assert not any(key in everything for key in keys)


def test_without_a_passphrase_the_key_to_the_root_keys_lies_beside_them(tmp_path: Path) -> None:
    made = make(tmp_path)
    unlock, first = made.root_key_files[0], made.root_key_files[1]
    assert unlock.name == "unlock.key"
    assert load_key(first, SecretKey(bytes.fromhex(unlock.read_text().strip()))).seed
    assert readable_root_keys(tmp_path / "keys") == list(made.root_key_files[1:])
    assert readable_root_keys(None) == []
    assert readable_root_keys(tmp_path / "taken away") == []


def test_a_folder_in_use_is_refused_and_left_alone(tmp_path: Path) -> None:
    make(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for values in ({}, {"root_keys": tmp_path / "other"}, {"data": tmp_path / "new"}):
        with pytest.raises(RequestError) as caught:
            make(tmp_path, **values)
        assert caught.value.code is Code.ALREADY_EXISTS
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_empty_folders_are_taken(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "keys").mkdir()
    assert make(tmp_path).folder.database.exists()


@pytest.mark.parametrize("inside", ["data", "data/keys", "data/deep/keys"])
def test_root_keys_inside_of_the_data_are_refused(tmp_path: Path, inside: str) -> None:
    with pytest.raises(RequestError) as caught:
        make(tmp_path, root_keys=tmp_path / inside)
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("step", ["create", "save_key", "sync_tree", "sync_dir"])
def test_a_failure_at_any_step_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    calls = 0
    real = getattr(init_module, step)

    def fail(*args: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if step != "save_key" or calls == 2:
            raise OSError(28, "No space left on device")
        return real(*args, **named)

    monkeypatch.setattr(init_module, step, fail)
    with pytest.raises(OSError, match="No space"):
        make(tmp_path)
    left = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()]
    if step == "sync_dir":  # moved into place already: whole, though perhaps not durable
        assert "data/fleetroll.db" in left
    else:
        assert left == []


def test_what_an_interrupted_run_left_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / ".data.init").mkdir()
    (tmp_path / ".data.init" / "half").write_text("x")
    assert not (make(tmp_path).folder.path / "half").exists()


def test_an_address_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError) as caught:
        make(tmp_path, addresses=("no-port",))
    assert "addresses" in caught.value.message
    assert not (tmp_path / "data").exists()
    assert not (tmp_path / "keys").exists() or not list((tmp_path / "keys").iterdir())


def test_the_first_rows_are_there(tmp_path: Path) -> None:
    made = make(tmp_path, demo=True)
    with sqlite3.connect(made.folder.database) as database:
        assert database.execute("SELECT id FROM fleet").fetchall() == [("default",)]
        budgets = dict(database.execute("SELECT scope, max_in_use FROM budget"))
        assert budgets == {"global": 1_000_000, "fleet/default": 1_000_000}
        assert database.execute("SELECT value FROM meta WHERE key = 'demo'").fetchone() == ("yes",)
        assert database.execute("SELECT count(*) FROM metadata_file").fetchone() == (5,)
        assert database.execute("SELECT role FROM api_token").fetchall() == [("admin",)]
    database.close()


def test_secrets_of_another_folder_open_nothing(tmp_path: Path) -> None:
    mine, other = Secrets.create(tmp_path / "a", SystemIds()), Secrets.create(tmp_path / "b", SystemIds())
    sealed = mine.seal(b"secret")
    assert mine.open(sealed) == b"secret"
    assert mine.seal(b"secret") != sealed
    for wrong in (sealed, sealed[:-8], "!!", ""):
        with pytest.raises(StoreError):
            other.open(wrong)
    with pytest.raises(FileExistsError):
        Secrets.create(tmp_path / "a", SystemIds())
    (tmp_path / "a").write_text("zz")
    for path in (tmp_path / "a", tmp_path / "none"):
        with pytest.raises(StoreError):
            Secrets.load(path)


def test_two_installations_share_nothing(tmp_path: Path) -> None:
    first, second = make(tmp_path / "1"), make(tmp_path / "2")
    assert first.admin_token != second.admin_token
    files = ("secret.key", "tls/ca.pem", "tls/server.pem")
    for name in files:
        assert (first.folder.path / name).read_bytes() != (second.folder.path / name).read_bytes()
