"""The switch of a file and of a link: at every instant one whole version, whatever is repeated or refused."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_agent.products.switching import old_of, publish_link, swap_back, swap_in
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
    """A swap keeps one file, and the way back leaves none."""
    swap_in(path, tmp_path / "two")
    assert (path.read_text(), old_of(path).read_text()) == ("two", "one")
    swap_back(path, tmp_path / "two", tmp_path / "one")
    assert (path.read_text(), names(path)) == ("one", {"shop"})


def test_a_swap_that_is_done_again_keeps_what_was_before(path: Path, tmp_path: Path) -> None:
    """The new file is never kept as the old one."""
    for _ in range(2):
        swap_in(path, tmp_path / "two")
    assert old_of(path).read_text() == "one"


def test_two_versions_of_the_same_bytes_go_back_to_those_bytes(path: Path, tmp_path: Path) -> None:
    """What is kept is older than both, and stays where it is."""
    swap_in(path, tmp_path / "two")
    (tmp_path / "three").write_text("two")
    swap_in(path, tmp_path / "three")
    swap_back(path, tmp_path / "three", tmp_path / "two")
    assert (path.read_text(), old_of(path).read_text()) == ("two", "one")


def test_a_file_that_was_not_there_goes_again(path: Path, tmp_path: Path) -> None:
    """Without a version before, back means that nothing is there."""
    path.unlink()
    swap_in(path, tmp_path / "two")
    swap_back(path, tmp_path / "two")
    assert names(path) == set()


@pytest.mark.parametrize(("name", "nth"), [("write", 1), ("fsync_file", 1), ("link", 1), ("rename", 1), ("rename", 2)])
def test_a_swap_that_the_disk_refuses_leaves_nothing_staged(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, nth: int
) -> None:
    """Whichever call fails, the old file stands and no staged name is left beside it."""
    failing(monkeypatch, name, nth)
    with pytest.raises(OSError, match="the disk"):
        swap_in(path, tmp_path / "two")
    assert path.read_text() == "one"
    assert names(path) <= {"shop", "shop.old"}


def test_a_swap_cut_off_between_its_renames_leaves_no_second_name(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then both kept names are of one file, and a rename of the one over the other does nothing."""
    with monkeypatch.context() as patch:
        failing(patch, "rename", 2)
        with pytest.raises(OSError, match="the disk"):
            swap_in(path, tmp_path / "two")
    swap_in(path, tmp_path / "two")
    assert names(path) == {"shop", "shop.old"}


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
        swap_in(path, tmp_path / "one")
    else:
        publish_link(link, tmp_path / "bin")
    assert synced == ["bin" if kind == "file" else tmp_path.name]


def test_what_is_no_link_stays(path: Path, tmp_path: Path) -> None:
    """Somebody's folder under the link's name is not taken away."""
    (tmp_path / "current").mkdir()
    with pytest.raises(AgentError, match="is no link"):
        publish_link(tmp_path / "current", tmp_path / "bin")
