"""Release manifests on the command line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from fleetroll.v1 import releases_pb2
from fleetroll_common.values.release_manifest import ReleaseManifest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.commands import Commands

SECRET = "a secret of the pipeline"


@pytest.fixture
def made(commands: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A manifest as the command writes it."""
    monkeypatch.setenv("RELEASE_SIGNING_SECRET", SECRET)
    file = tmp_path / "manifest.json"
    words = ("--channel", "beta", "--migrations-required", "--breaking-changes", "all")
    ended = commands.run("manifest", "create", "--version", "1.4.0", "--sha", "0123456", *words, "--out", str(file))
    assert (ended.code, ended.out) == (0, f"{file}\n")
    return file


def test_what_is_written_says_what_was_said_and_is_signed(made: Path) -> None:
    """With the secret of the environment, released now."""
    manifest = ReleaseManifest.parse(made.read_bytes())
    manifest.verify(SECRET.encode())
    assert (str(manifest.version), manifest.sha, manifest.channel) == ("1.4.0", "0123456", "beta")
    assert (manifest.migrations_required, manifest.breaking_changes) == (True, "all")
    assert manifest.released_at.endswith("Z")


def test_without_a_word_nothing_migrates_and_nothing_breaks(commands: Commands, made: Path) -> None:
    """The channel is the stable one."""
    words = ("--version", "1.4.0", "--sha", "0123456", "--no-migrations-required", "--out", str(made))
    assert commands.run("manifest", "create", *words).code == 0
    manifest = ReleaseManifest.parse(made.read_bytes())
    assert (manifest.channel, manifest.migrations_required, manifest.breaking_changes) == ("stable", False, None)


def test_a_good_manifest_is_told_from_a_changed_one(commands: Commands, made: Path, tmp_path: Path) -> None:
    """By the exit code, and by the field at fault."""
    ended = commands.run("manifest", "verify", str(made))
    assert ended.code == 0
    assert ended.out.startswith("1.4.0 0123456 in beta, released ")
    other = tmp_path / "secret"
    other.write_text("another one\n")
    ended = commands.run("manifest", "verify", str(made), "--secret-file", str(other))
    assert (ended.code, ended.out) == (1, "")
    assert "BAD_SIGNATURE" in ended.err
    other.write_text(f"{SECRET}\n")
    assert commands.run("manifest", "verify", str(made), "--secret-file", str(other)).code == 0
    document = json.loads(made.read_text())
    made.write_text(json.dumps(document | {"sha": "fffffff"}))
    assert "BAD_SIGNATURE" in commands.run("manifest", "verify", str(made)).err
    made.write_text(json.dumps({name: document[name] for name in document if name != "sha"}))
    assert "sha: is missing" in commands.run("manifest", "verify", str(made)).err


def test_without_a_secret_nothing_is_written(
    commands: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The remedy names both places for it."""
    monkeypatch.delenv("RELEASE_SIGNING_SECRET", raising=False)
    file = tmp_path / "manifest.json"
    ended = commands.run("manifest", "create", "--version", "1.4.0", "--sha", "0123456", "--out", str(file))
    assert ended.code == 1
    assert "RELEASE_SIGNING_SECRET" in ended.err
    assert "--secret-file" in ended.err
    assert not file.exists()


def test_a_manifest_is_sent_as_it_lies_there(commands: Commands, made: Path) -> None:
    """The server looks at it; this program changes no byte."""
    release = releases_pb2.Release(product="shop", version="1.4.0", channels=["beta"])
    commands.answers["ImportManifest"] = releases_pb2.ImportManifestResponse(release=release, role_version=2)
    words = ("--product", "shop", "--notes", "n", "--supported-from", ">=1.0.0")
    ended = commands.run("manifest", "import", str(made), *words)
    assert (ended.code, ended.out) == (0, "imported shop 1.4.0 to beta, role version 2\n")
    (request,) = commands.requests("ImportManifest")
    assert (request.product, request.manifest) == ("shop", made.read_bytes())
    assert (request.notes, request.supported_from) == ("n", ">=1.0.0")


def test_a_file_that_is_not_there_is_named(commands: Commands, tmp_path: Path) -> None:
    """One line, no traceback."""
    ended = commands.run("manifest", "import", str(tmp_path / "none"), "--product", "shop")
    assert (ended.code, len(ended.err.splitlines())) == (1, 1)
    assert "none can't be read" in ended.err
