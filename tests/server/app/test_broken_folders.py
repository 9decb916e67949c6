"""A data folder in which something is missing or damaged: one sentence with the path, the reason and the remedy."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_server import app, commands

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def process_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The program runs in the tests' own process: log and umask outlive it."""
    monkeypatch.setattr(commands, "configure_logs", lambda _level: None)
    before = os.umask(0o022)
    yield
    os.umask(before)


def remove(path: Path) -> None:
    path.unlink()


def fold(path: Path) -> None:
    path.unlink()
    path.mkdir()


def garble(path: Path) -> None:
    path.write_bytes(b"\xff no such thing " * 400)


@pytest.mark.parametrize(
    ("name", "damage", "reason", "remedy"),
    [
        ("fleetroll.db", garble, "file is not a database", "backup"),
        ("fleetroll.db", fold, "Is a directory", "backup"),
        ("secret.key", garble, "missing or damaged", "backup"),
        ("tls/ca.pem", remove, "No such file or directory", "backup"),
        ("tls/ca.pem", fold, "Is a directory", "backup"),
        ("tls/ca.pem", garble, "it holds no certificate", "backup"),
        ("fleetroll-server.toml", garble, "is no TOML", "correct"),
    ],
)
def test_what_is_damaged_is_told_in_a_sentence(
    installed: Any,
    capsys: pytest.CaptureFixture[str],
    name: str,
    damage: Callable[[Path], None],
    reason: str,
    remedy: str,
) -> None:
    damage(installed.data / name)
    assert app.main(["run", "--data", str(installed.data), "--listen", "127.0.0.1:0"]) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("fleetroll-server: ")
    assert (installed.data / name).name in said
    assert reason in said
    assert remedy in said


def test_a_ca_that_is_needed_for_a_new_certificate_and_is_not_there_is_named(
    installed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    (installed.data / "tls" / "server.pem").write_bytes(b"garbage")
    (installed.data / "tls" / "ca.key.sealed").unlink()
    assert app.main(["run", "--data", str(installed.data), "--listen", "127.0.0.1:0"]) == 1
    path = installed.data / "tls" / "ca.key.sealed"
    assert f"tls: {path} can't be used: No such file or directory" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "reason"), [(b"caf\xe9\n", "is not UTF-8"), (b"\n", "is empty"), (None, "No such file or directory")]
)
def test_a_passphrase_file_that_can_t_be_used_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, reason: str
) -> None:
    path = tmp_path / "passphrase"
    if content is not None:
        path.write_bytes(content)
    arguments = ["init", "--data", tmp_path / "d", "--root-keys", tmp_path / "k", "--passphrase-file", path]
    assert app.main(list(map(str, arguments))) == 1
    said = capsys.readouterr().err
    assert str(path) in said
    assert reason in said
    assert said.count("\n") == 1
    assert not (tmp_path / "d").exists()


def test_what_the_system_refuses_comes_with_a_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def refuse(_options: argparse.Namespace) -> int:
        return len((tmp_path / "none").read_bytes())

    monkeypatch.setattr(commands, "run", refuse)
    assert app.main(["run", "--data", str(tmp_path)]) == 1
    path = tmp_path / "none"
    expected = f"{path}: No such file or directory; see that it is there, of the right kind, and open to this user"
    assert capsys.readouterr().err == f"fleetroll-server: {expected}\n"
