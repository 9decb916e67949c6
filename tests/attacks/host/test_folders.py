"""The folder of a product is its user's: whatever he makes of it, root changes nothing elsewhere."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from typing import TYPE_CHECKING

import pytest

from fleetroll_agent.products import folders, standing
from fleetroll_agent.products.standing import same_bytes
from fleetroll_agent.products.switching import keep_old, publish_link, swap_back, swap_in
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError
from tests.attacks.host.conftest import ATTACKER, attacking, before_effect

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.attacks.host.conftest import Ground


def _swap(ground: Ground) -> None:
    swap_in(ground.path, ground.source, "7")


def _empty(ground: Ground) -> None:
    ground.path.unlink()


def _back(ground: Ground) -> None:
    swap_back(ground.path, ground.source, "7")


def _keep(ground: Ground) -> None:
    keep_old(ground.path)


def _link(ground: Ground) -> None:
    publish_link(ground.bin / "current", ground.source.parent)


def _no_link(ground: Ground) -> None:
    publish_link(ground.bin / "current", None)


ACTIONS: dict[str, tuple[Callable[[Ground], None], ...]] = {
    "a swap": (_swap,),
    "a first file": (_empty, _swap),
    "a way back": (_swap, _back),
    "a way back to nothing": (_empty, _swap, _back),
    "the old file": (_swap, _keep),
    "a link": (_link,),
    "no link": (_link, _no_link),
}
"""What is attacked comes last; what was done before it."""


def _prepared(ground: Ground, name: str) -> Callable[[Ground], None]:
    ground.make()
    *before, action = ACTIONS[name]
    for done in before:
        done(ground)
    return action


def _points(ground: Ground, name: str) -> list[str]:
    """Return the effects of the action when nobody interferes."""
    action = _prepared(ground, name)
    with pytest.MonkeyPatch.context() as patch:
        points = before_effect(patch, 0, lambda: None)
        action(ground)
    assert len(points) > 1
    return points


@pytest.mark.parametrize("name", ACTIONS)
def test_a_folder_that_becomes_a_link_before_any_effect_leads_nowhere(ground: Ground, name: str) -> None:
    """All is done in the folder that was opened, wherever that is by then; the next call refuses the link by name."""
    points = _points(ground, name)
    for number in range(1, len(points) + 1):
        action = _prepared(ground, name)
        untouched = ground.seen()
        with pytest.MonkeyPatch.context() as patch:
            before_effect(patch, number, ground.bend)
            action(ground)
        assert ground.seen() == untouched, (number, points)
        with pytest.raises(AgentError, match="app/bin is a link on the way, and is not followed: it belongs to"):
            _swap(ground)
        assert ground.seen() == untouched


@pytest.mark.parametrize("name", ACTIONS)
def test_names_that_become_links_before_any_effect_lead_nowhere(ground: Ground, name: str) -> None:
    """The draft, the kept file and the product itself: none is followed, whether the call ends well or not."""
    for number in range(1, len(_points(ground, name)) + 1):
        action = _prepared(ground, name)
        untouched = ground.seen()
        with pytest.MonkeyPatch.context() as patch, contextlib.suppress(AgentError):
            points = before_effect(patch, number, ground.bend_names)
            action(ground)
        assert ground.seen() == untouched, (number, points)


@pytest.mark.parametrize("name", ACTIONS)
def test_a_link_that_stands_already_is_refused_with_its_owner(ground: Ground, name: str) -> None:
    """With and without a file of the product's name behind it."""
    action = _prepared(ground, name)
    ground.bend()
    for behind in (None, "a file"):
        if behind:
            (ground.precious / "shop").write_text(behind)
        untouched = ground.seen()
        with pytest.raises(AgentError) as refused:
            action(ground)
        assert (refused.value.code, ground.seen()) == (Code.PERMISSION_DENIED, untouched)
        assert f"{ground.bin} is a link on the way" in str(refused.value)
        assert f"uid {ATTACKER}" in str(refused.value)
        assert f"chown -h root {ground.bin}" in refused.value.remedy


def test_a_folder_that_becomes_a_link_while_it_is_opened_is_refused(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look and the opening."""
    real, untouched = folders._open, ground.seen()

    def late(here: int, step: str, inside: Path) -> int:
        if step == "bin":
            ground.bend()
        return real(here, step, inside)

    monkeypatch.setattr(folders, "_open", late)
    with pytest.raises(AgentError, match="app/bin became a link while it was opened"):
        _swap(ground)
    assert ground.seen() == untouched


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o1777])
def test_a_link_of_roots_is_followed_only_where_nobody_else_writes(ground: Ground, mode: int) -> None:
    """/opt may lead to /data/opt; in a folder of everybody's nobody can tell who replaced it, sticky or not."""
    ways = ground.base / "ways"
    ways.mkdir(mode=0o755)
    for way, target in (("whole", ground.bin), ("short", "../app/bin")):
        (ways / way).symlink_to(target)
        swap_in(ways / way / "shop", ground.source, "7")
        assert ground.path.read_text() == "two"
        ground.path.write_text("one")
        keep_old(ground.path)
    ways.chmod(mode)
    with pytest.raises(AgentError, match=f"its folder can be written to by others than its owner \\(mode {mode:04o}"):
        swap_in(ways / "whole" / "shop", ground.source, "8")
    assert ground.path.read_text() == "one"


def test_links_without_end_are_refused(ground: Ground) -> None:
    """Root made them; the way has an end all the same."""
    (ground.base / "round").symlink_to(ground.base / "round")
    with pytest.raises(OSError, match="levels of symbolic links"):
        swap_in(ground.base / "round" / "shop", ground.source, "7")


@pytest.mark.parametrize("more", [(), (".shop.fleetroll-undo-7",), ("shop.old", ".shop.fleetroll-undo-6")])
def test_an_old_file_with_another_name_elsewhere_is_refused(ground: Ground, more: tuple[str, ...]) -> None:
    """Its owner and mode are those of somebody else's file; names like this program's own beside it hide nothing."""
    ground.path.unlink()
    for name in ("shop", *more):
        (ground.bin / name).hardlink_to(ground.precious / "keep")
    untouched = ground.seen()
    with pytest.raises(AgentError, match=r"app/bin/shop of root \(uid 0\) has \d names \(hard links\)"):
        _swap(ground)
    assert ground.seen() == untouched
    assert {one.name for one in ground.bin.iterdir()} == {"shop", *more}


def _fifo(path: Path) -> None:
    with attacking():
        os.mkfifo(path)


def _device(path: Path) -> None:
    os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 3))


def _socket(path: Path) -> None:
    with attacking(), socket.socket(socket.AF_UNIX) as door:
        door.bind(str(path))


def _symlink(path: Path) -> None:
    with attacking():
        path.symlink_to(path.parents[2] / "precious" / "keep")


@pytest.mark.parametrize("make", [_fifo, _device, _socket, _symlink])
@pytest.mark.parametrize("name", ["shop", ".shop.fleetroll-undo-7"])
def test_what_is_no_file_is_refused_by_name_and_never_waited_for(
    ground: Ground, make: Callable[[Path], None], name: str
) -> None:
    """A pipe nobody writes to would keep its reader for ever."""
    (ground.bin / name).unlink(missing_ok=True)
    make(ground.bin / name)
    untouched, before = ground.seen(), (ground.bin / name).lstat()
    with pytest.raises(AgentError, match=f"{name} is no plain file, so it is left as it is"):
        _swap(ground)
    now = (ground.bin / name).lstat()
    assert (now.st_ino, now.st_mode, now.st_uid) == (before.st_ino, before.st_mode, before.st_uid)
    assert ground.seen() == untouched
    if name == "shop":
        with pytest.raises(AgentError, match="no plain file"):
            same_bytes(ground.path, ground.source)


def test_a_file_that_becomes_a_pipe_while_it_is_opened_is_refused(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look and the opening."""
    facts = ground.path.lstat()
    ground.path.unlink()
    _fifo(ground.path)
    monkeypatch.setattr(standing, "facts_of", lambda _place: facts)
    with pytest.raises(AgentError, match="shop is no plain file"):
        _swap(ground)


def test_the_owner_and_mode_of_a_file_are_kept_without_its_set_id_bits(ground: Ground) -> None:
    """They were given to other bytes. A first file is root's own."""
    ground.path.chmod(0o6775)
    _swap(ground)
    facts = ground.path.stat()
    assert (facts.st_uid, facts.st_gid, stat.S_IMODE(facts.st_mode)) == (ATTACKER, ATTACKER, 0o775)
    ground.make()
    _empty(ground)
    _swap(ground)
    facts = ground.path.stat()
    assert (facts.st_uid, facts.st_gid, stat.S_IMODE(facts.st_mode)) == (0, 0, 0o755)
