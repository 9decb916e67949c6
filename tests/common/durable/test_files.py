"""Durable writes: the order of effects, what stands after each failure, and what a crash between two effects leaves."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_common.durable import create_durably, effects, free_name, sync_dir, sync_tree, write_durably
from fleetroll_common.durable.files import ASIDE_NAMES, temporary_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Crash(BaseException):
    """The process is gone: nothing after the point runs, no clean-up either."""


class Disk:
    """Records the effects in their order and fails one of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[str] = []
        self.fail_at: tuple[str, BaseException] | None = None
        for point in effects.POINTS:
            monkeypatch.setattr(effects, point, self._wrapped(point, getattr(effects, point)))

    def _wrapped(self, point: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            self.calls.append(point)
            if self.fail_at is not None and self.fail_at[0] == point:
                raise self.fail_at[1]
            return real(*args)

        return call


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """Give the recording disk."""
    return Disk(monkeypatch)


def _names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_content_is_synced_before_the_name_moves_and_the_directory_after(tmp_path: Path, disk: Disk) -> None:
    """Any other order loses a file at a power cut."""
    write_durably(tmp_path / "a", b"new")
    assert disk.calls == ["unlink", "create", "write", "fsync_file", "rename", "fsync_dir"]


def test_a_new_file_is_complete_before_it_has_its_name(tmp_path: Path, disk: Disk) -> None:
    """The name is given by a link to the synced file."""
    create_durably(tmp_path / "a", b"new")
    assert disk.calls == ["unlink", "create", "write", "fsync_file", "link", "unlink", "fsync_dir"]


def test_a_write_replaces_content_and_mode_and_leaves_nothing_else(tmp_path: Path) -> None:
    """The umask and the old bits take no part."""
    path = tmp_path / "a"
    path.write_bytes(b"old")
    path.chmod(0o644)
    old_mask = os.umask(0o077)
    try:
        write_durably(path, b"new", 0o640)
    finally:
        os.umask(old_mask)
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o7777 == 0o640
    assert _names(tmp_path) == ["a"]


def test_the_default_mode_is_private(tmp_path: Path) -> None:
    """A key is never readable by others, not for a moment."""
    write_durably(tmp_path / "a", b"x")
    create_durably(tmp_path / "b", b"x")
    assert {(tmp_path / name).stat().st_mode & 0o7777 for name in "ab"} == {0o600}


@pytest.mark.parametrize("point", ["create", "write", "fsync_file", "rename"])
def test_before_the_rename_a_full_disk_leaves_the_old_file_and_no_stray_one(
    tmp_path: Path, disk: Disk, point: str
) -> None:
    """The error is the system's own."""
    path = tmp_path / "a"
    path.write_bytes(b"old")
    disk.fail_at = (point, OSError(errno.ENOSPC, "full"))
    with pytest.raises(OSError, match="full") as caught:
        write_durably(path, b"new")
    assert caught.value.errno == errno.ENOSPC
    assert path.read_bytes() == b"old"
    assert _names(tmp_path) == ["a"]


def test_a_failed_sync_of_the_directory_is_told(tmp_path: Path, disk: Disk) -> None:
    """Silence would let the caller act on a name that a power cut takes away."""
    disk.fail_at = ("fsync_dir", OSError(errno.EIO, "io"))
    with pytest.raises(OSError, match="io"):
        write_durably(tmp_path / "a", b"new")


def test_an_existing_file_is_never_replaced_by_create(tmp_path: Path) -> None:
    """Not a file, not a dangling link either."""
    (tmp_path / "a").write_bytes(b"old")
    (tmp_path / "b").symlink_to(tmp_path / "absent")
    for name in "ab":
        with pytest.raises(FileExistsError):
            create_durably(tmp_path / name, b"new")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert _names(tmp_path) == ["a", "b"]


def test_a_stray_file_that_is_a_second_name_of_the_real_one_is_not_written_through(tmp_path: Path) -> None:
    """A crash between link and unlink leaves two names of one file; the next write must not touch the first."""
    path = tmp_path / "a"
    path.write_bytes(b"precious")
    temporary_name(path).hardlink_to(path)
    with pytest.raises(FileExistsError):
        create_durably(path, b"other")
    assert path.read_bytes() == b"precious"
    write_durably(path, b"new")
    assert path.read_bytes() == b"new"


def test_a_partial_write_of_the_system_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk may take one byte at a time."""
    real = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: real(handle, bytes(data[:1])))
    write_durably(tmp_path / "a", b"abc")
    assert (tmp_path / "a").read_bytes() == b"abc"


def test_sync_tree_reaches_every_file_and_directory_children_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Links are passed over: what they point at belongs to somebody else."""
    (tmp_path / "d" / "e").mkdir(parents=True)
    for name in ("a", "d/b", "d/e/c"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "l").symlink_to(tmp_path / "a")
    seen: list[str] = []
    monkeypatch.setattr(
        effects, "fsync_file", lambda handle: seen.append(str(Path(f"/proc/self/fd/{handle}").readlink()))
    )
    monkeypatch.setattr(effects, "fsync_dir", lambda path: seen.append(str(path)))
    sync_tree(tmp_path)
    assert [str(Path(name).relative_to(tmp_path)) for name in seen] == ["a", "d/b", "d/e/c", "d/e", "d", "."]


def test_sync_dir_syncs_that_directory(tmp_path: Path, disk: Disk) -> None:
    """And nothing else."""
    sync_dir(tmp_path)
    assert disk.calls == ["fsync_dir"]
    file = tmp_path / "a"
    file.write_bytes(b"")
    with pytest.raises(NotADirectoryError):
        sync_dir(file)


@contextlib.contextmanager
def _no_cleanup(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A killed process cleans up nothing: its own removal of the stray file is switched off."""
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", lambda *_args, **_kwargs: None)
        yield


@pytest.mark.parametrize("point", ["create", "write", "fsync_file", "rename", "fsync_dir"])
def test_after_a_kill_at_any_point_the_file_is_old_or_new_and_the_next_write_succeeds(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    """Never torn, never absent."""
    path = tmp_path / "a"
    path.write_bytes(b"old")
    disk.fail_at = (point, Crash())
    with _no_cleanup(monkeypatch), pytest.raises(Crash):
        write_durably(path, b"new")
    assert path.read_bytes() == (b"new" if point == "fsync_dir" else b"old")
    disk.fail_at = None
    write_durably(path, b"newer")
    assert path.read_bytes() == b"newer"
    assert _names(tmp_path) == ["a"]


def test_a_damaged_file_takes_the_first_name_that_is_free_and_at_last_the_last_one(tmp_path: Path) -> None:
    taken = []
    for _ in range(ASIDE_NAMES + 2):
        name = free_name(tmp_path / "key.damaged")
        taken.append(name.name)
        name.write_text("")
    assert taken[:3] == ["key.damaged", "key.damaged-2", "key.damaged-3"]
    assert len(set(taken)) == len(list(tmp_path.iterdir())) == ASIDE_NAMES
    assert taken[-1] == taken[-3] == f"key.damaged-{ASIDE_NAMES}"


def test_a_name_that_a_link_to_nowhere_has_is_not_free(tmp_path: Path) -> None:
    (tmp_path / "key.damaged").symlink_to(tmp_path / "nowhere")
    assert free_name(tmp_path / "key.damaged").name == "key.damaged-2"
