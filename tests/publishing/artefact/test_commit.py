"""The commit that is stamped into an artefact."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from fleetroll_common.values.errors import RequestError
from fleetroll_publishing.artefact import read_commit
from fleetroll_publishing.artefact.commit import _reason

if TYPE_CHECKING:
    from pathlib import Path


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


def test_the_reason_is_told_and_not_the_hint_after_it() -> None:
    reason = "fatal: not a git repository (or any parent up to mount point /mnt)"
    assert _reason(f"warning: x\n{reason}\nStopping at filesystem boundary (SOME_VARIABLE not set).\n") == reason
    assert _reason("error: odd\n") == "error: odd"
    assert _reason("") == "git failed"
