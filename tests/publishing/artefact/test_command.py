"""The commit that is stamped, and the command behind `make agent-artifact`."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.platform import Platform
from fleetroll_publishing.artefact import inspect_artefact, read_commit
from fleetroll_publishing.artefact.__main__ import main

ROOT = Path(__file__).resolve().parents[3]


def git(folder: Path, *arguments: str) -> str:
    names = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(folder), *names, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    folder = tmp_path / "clone"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "file").write_text("x")
    git(folder, "add", "file")
    git(folder, "commit", "-q", "-m", "first", "--date", "2026-02-03T04:05:06Z")
    return folder


def test_a_clean_tree_is_its_commit(clone: Path) -> None:
    commit = read_commit(clone)
    assert commit.git_sha == git(clone, "rev-parse", "HEAD")
    assert commit.committed_at == datetime.fromtimestamp(int(git(clone, "log", "-1", "--format=%ct")), UTC)


@pytest.mark.parametrize("name", ["file", "new"])
def test_a_changed_or_new_file_makes_the_tree_dirty(clone: Path, name: str) -> None:
    (clone / name).write_text("changed")
    assert read_commit(clone).git_sha == f"{git(clone, 'rev-parse', 'HEAD')}+dirty"


def test_a_folder_without_a_commit_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"its commit can't be read: .*not a git repository"):
        read_commit(tmp_path)


def test_a_machine_without_git_is_told_so(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RequestError, match="there is no git on this machine"):
        read_commit(clone)


def test_the_command_builds_the_agent_of_this_tree(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "folder"
    assert main(["agent", "--version", "1.4.2", "--out", str(out), "--source", str(ROOT), "--fast"]) == 0
    told = json.loads(capsys.readouterr().out)
    path = out / f"agent-1.4.2-{Platform.current()}.tar.zst"
    found = inspect_artefact(path, "entry.py")
    assert told["path"] == str(path)
    assert told["sha256"] == found.artefact.artefact_sha256
    assert found.stamp is not None
    assert (str(found.stamp.version), found.stamp.git_sha) == ("1.4.2", told["git_sha"])
    assert len(told["git_sha"].removesuffix("+dirty")) == 40


@pytest.mark.parametrize("version", ["0.0.0+dev", "1.0.0+dirty", "1.0", "latest", ""])
def test_a_version_that_is_no_release_is_refused_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], version: str
) -> None:
    assert main(["agent", "--version", version, "--out", str(tmp_path), "--source", str(ROOT), "--fast"]) == 1
    assert "version:" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
