"""The switch of a file and of a link: at every instant one whole version, whatever is repeated or refused."""

from __future__ import annotations

import errno
import os
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_agent.products.standing import same_bytes
from fleetroll_agent.products.switching import keep_old, old_of, publish_link, swap_back, swap_in, undo_of
from fleetroll_common.durable import effects
from fleetroll_common.values.errors import AgentError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the product's file is; version one is there."""
    for number in ("one", "two"):
        (tmp_path / number).write_text(number)
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "shop").write_text("one")
    return folder / "shop"


def names(path: Path) -> set[str]:
    return {one.name for one in path.parent.iterdir()}


def failing(monkeypatch: pytest.MonkeyPatch, name: str, nth: int = 1) -> None:
    """Let the n-th call of an effect fail."""
    real, calls = getattr(effects, name), [0]

    def call(*args: Any) -> Any:
        calls[0] += 1
        if calls[0] == nth:
            raise OSError(errno.EIO, "the disk")
        return real(*args)

    monkeypatch.setattr(effects, name, call)


def test_the_file_before_is_kept_and_comes_back(path: Path, tmp_path: Path) -> None:
    """A swap keeps one file for its way back, and that leaves none."""
    swap_in(path, tmp_path / "two", "7")
    assert (path.read_text(), undo_of(path, "7").read_text()) == ("two", "one")
    for _ in range(2):
        swap_back(path, tmp_path / "two", "7")
        assert (path.read_text(), names(path)) == ("one", {"shop"})


def test_a_swap_that_is_done_again_keeps_what_was_before(path: Path, tmp_path: Path) -> None:
    """The new file is never kept as the old one."""
    for _ in range(2):
        swap_in(path, tmp_path / "two", "7")
    keep_old(path)
    assert (old_of(path).read_text(), names(path)) == ("one", {"shop", "shop.old"})


def test_what_the_attempt_at_hand_kept_is_not_touched(path: Path, tmp_path: Path) -> None:
    """Its way back needs it; what an earlier one kept is the old file by then."""
    swap_in(path, tmp_path / "two", "7")
    (tmp_path / "three").write_text("three")
    swap_in(path, tmp_path / "three", "8")
    keep_old(path, "8")
    assert old_of(path).read_text() == "one"
    swap_back(path, tmp_path / "three", "8")
    assert (path.read_text(), old_of(path).read_text()) == ("two", "one")


def test_two_versions_of_the_same_bytes_go_back_to_those_bytes(path: Path, tmp_path: Path) -> None:
    """Nothing was done, so nothing is undone: what is kept is older than both, and stays where it is."""
    swap_in(path, tmp_path / "two", "7")
    keep_old(path)
    (tmp_path / "three").write_text("two")
    swap_in(path, tmp_path / "three", "8")
    swap_back(path, tmp_path / "three", "8")
    assert (path.read_text(), old_of(path).read_text()) == ("two", "one")


def test_a_file_that_a_person_put_there_stays_on_the_way_back(path: Path, tmp_path: Path) -> None:
    """It has the bytes of the version to come; it is still not this attempt that brought them."""
    path.write_text("two")
    swap_in(path, tmp_path / "two", "7")
    swap_back(path, tmp_path / "two", "7")
    assert path.read_text() == "two"


def test_a_file_that_was_not_there_goes_again(path: Path, tmp_path: Path) -> None:
    """Without a version before, back means that nothing is there; also when it is done again after a crash."""
    path.unlink()
    for _ in range(2):
        swap_in(path, tmp_path / "two", "7")
    for _ in range(2):
        swap_back(path, tmp_path / "two", "7")
    assert names(path) == set()


@pytest.mark.parametrize("name", ["write", "fsync_file", "link", "rename"])
def test_a_swap_that_the_disk_refuses_leaves_nothing_staged(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Whichever call fails, the old file stands; the way back and the next tidying leave it alone in its folder."""
    failing(monkeypatch, name)
    with pytest.raises(OSError, match="the disk"):
        swap_in(path, tmp_path / "two", "7")
    assert path.read_text() == "one"
    swap_back(path, tmp_path / "two", "7")
    keep_old(path)
    assert (path.read_text(), names(path)) == ("one", {"shop"})


@pytest.mark.parametrize("name", ["undo", "old"])
def test_a_second_name_that_this_program_gave_is_no_reason_to_refuse(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A swap that ended before its rename leaves the old file with two names, and those may be put in order."""
    with monkeypatch.context() as patch:
        failing(patch, "rename")
        with pytest.raises(OSError, match="the disk"):
            swap_in(path, tmp_path / "two", "7")
    if name == "old":
        keep_old(path)
    assert path.stat().st_nlink == 2
    swap_in(path, tmp_path / "two", "7")
    assert path.read_text() == "two"


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_stands_already_is_made_durable(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """A process that was killed may have left the rename without its sync."""
    link = tmp_path / "current"
    publish_link(link, tmp_path / "bin")
    synced: list[str] = []
    monkeypatch.setattr(effects, "fsync_dir", lambda folder: synced.append(folder.name))
    if kind == "file":
        swap_in(path, tmp_path / "one", "7")
    else:
        publish_link(link, tmp_path / "bin")
    assert synced == ["bin" if kind == "file" else tmp_path.name]


def test_what_is_no_link_stays(path: Path, tmp_path: Path) -> None:
    """Somebody's folder under the link's name is not taken away."""
    (tmp_path / "current").mkdir()
    with pytest.raises(AgentError, match="is no link"):
        publish_link(tmp_path / "current", tmp_path / "bin")


def within_seconds(work: Any) -> BaseException | None:
    """Return what ``work`` raises; it MUST NOT hang."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except (AgentError, OSError) as error:
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(10.0)
    assert not thread.is_alive(), "it waits for a writer that never comes"
    return raised[0] if raised else None


def test_a_pipe_a_link_or_a_socket_in_a_files_place_is_refused_and_never_waited_for(path: Path, tmp_path: Path) -> None:
    """Whoever can write into the folder could hold a product's updates up for ever."""
    path.unlink()
    os.mkfifo(path)
    for one in (path, tmp_path / "link", tmp_path / "socket"):
        if one.name == "link":
            one.symlink_to(tmp_path / "one")
        if one.name == "socket":
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(str(one))
        refused = within_seconds(lambda one=one: same_bytes(one, tmp_path / "one"))
        assert isinstance(refused, AgentError)
        assert f"{one} is no plain file" in str(refused)


def test_a_source_that_became_a_pipe_is_refused_and_nothing_staged_is_left(path: Path, tmp_path: Path) -> None:
    """Between the check of a slot and the copy somebody may have replaced it."""
    path.unlink()
    os.mkfifo(tmp_path / "pipe")
    assert isinstance(within_seconds(lambda: swap_in(path, tmp_path / "pipe", "7")), AgentError)
    assert names(path) == set()
