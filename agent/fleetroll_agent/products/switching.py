"""The switch of the kinds that this program switches itself. All of it blocks, and may be done again after a crash.

``slots``: the product's record says which version is active; a symlink for the rest of the world is made from it, by a
new link that is renamed over the old one. Nothing here ever reads that link to decide anything.

``file``: the new file is staged beside the old one, synced, and renamed over it. What was there is kept under a name
that belongs to the attempt, so that its way back undoes this switch and no other; once the new one is kept it is
``<name>.old``. Mode, owner and labels are those of the old file, set-id bits never. Whoever opens the name at any
instant finds one whole file; a program that runs goes on with the file that it has open.

The folder may belong to somebody who means ill to root: it is opened once, and every name is one in that folder.
"""

from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING

from fleetroll_agent.products.folders import held
from fleetroll_agent.products.standing import (
    READ_BYTES,
    facts_of,
    holds_bytes_of,
    plain_file,
    require_one_name,
    same_file,
    standing,
)
from fleetroll_common.durable import effects
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fleetroll_agent.products.standing import Standing
    from fleetroll_common.durable.held import Folder, HeldName

NEW_MODE = 0o755
"""Of a file that was not there before."""
_SET_ID = stat.S_ISUID | stat.S_ISGID


def publish_link(link: Path, target: Path | None) -> None:
    """Let ``link`` lead to the folder ``target``; None removes it.

    Raises:
        AgentError: INTERNAL: something that is no link stands there, and stays. PERMISSION_DENIED: the way to its
            folder can be bent by others.
        OSError: the disk refused; the link is the old one or the new one.
    """
    with held(link.parent) as folder:
        place, fresh = folder.entry(link.name), folder.entry(f".{link.name}.new")
        old = _led(place)
        effects.unlink(fresh)
        if target is None:
            effects.unlink(place)
        elif old != os.fspath(target):
            with _removed_on_failure(fresh):
                effects.symlink(fresh, target)
                effects.rename(fresh, place)
        # Also where the link is right: a process that was killed may have left it, and not its durability.
        effects.fsync_dir(folder)


def leads_to(link: Path, target: Path) -> bool:
    """Tell whether ``link`` is a link to ``target``: what its health means where nothing else is asked."""
    return link.is_symlink() and link.readlink() == target


def require_replaceable(path: Path, own: int | None = None) -> None:
    """See that nothing about ``path`` and the way to it would make :func:`swap_in` refuse; it changes nothing.

    Raises:
        AgentError, OSError: as for :func:`swap_in`; ``own`` as for :func:`held`.
    """
    with held(path.parent, own) as folder, standing(folder.entry(path.name)) as old:
        if old is not None:
            require_one_name(folder.entry(path.name), old, _kept(folder, path))


def swap_in(path: Path, source: Path, attempt: str = "") -> None:
    """Put a copy of ``source`` under the name ``path``; what stood there is kept for the way back of ``attempt``.

    A file that has these bytes already stays, and its way back leaves it too.

    Raises:
        AgentError: INTERNAL: something that is no plain file stands there, and stays. PERMISSION_DENIED: the way to
            its folder can be bent by others, or the old file has names elsewhere.
        OSError: the disk refused; ``path`` is the old file or the new one, and nothing staged is left.
    """
    with held(path.parent) as folder, standing(folder.entry(path.name)) as old:
        if old is not None and holds_bytes_of(old, source):
            effects.fsync_dir(folder)  # what is there may be the work of a process that was killed before this call
            return
        place, staged = folder.entry(path.name), _staged(folder, path)
        if old is not None:
            require_one_name(place, old, _kept(folder, path))
        effects.unlink(staged)  # a process that was killed left it
        with _removed_on_failure(staged):
            _copy(source, staged, old)
            if old is None:
                _note_absence(folder.entry(absent_of(path, attempt).name))
            else:
                _keep(place, folder.entry(undo_of(path, attempt).name))
            effects.rename(staged, place)
            effects.fsync_dir(folder)


def swap_back(path: Path, source: Path, attempt: str = "") -> None:
    """Take what :func:`swap_in` did for ``attempt`` back: what was kept comes back, a file that was not there goes.

    What was not done is not undone: without a trace of this attempt ``path`` stays.

    Raises:
        AgentError: as for :func:`swap_in`.
        OSError: the disk refused; ``path`` is the old file or the new one.
    """
    with held(path.parent) as folder:
        effects.unlink(_staged(folder, path))
        place = folder.entry(path.name)
        undo, absent = (folder.entry(of(path, attempt).name) for of in (undo_of, absent_of))
        kept = facts_of(undo)
        if kept is not None:
            there = _facts(place)
            if there is not None and same_file(there, kept):
                effects.unlink(undo)  # two names of one file: a rename would leave both
            else:
                effects.rename(undo, place)
        elif facts_of(absent) is not None:
            with standing(place) as new:
                if new is not None and holds_bytes_of(new, source):
                    effects.unlink(place)
            effects.unlink(absent)
        effects.fsync_dir(folder)


def keep_old(path: Path, but: str = "") -> None:
    """Make what ended attempts have kept the one old file, and forget their notes; ``but`` is the attempt that runs.

    Raises:
        AgentError: PERMISSION_DENIED: the way to its folder can be bent by others.
        OSError: the disk refused.
    """
    with contextlib.ExitStack() as stack:
        try:
            folder = stack.enter_context(held(path.parent))
        except FileNotFoundError:
            return
        mine = {undo_of(path, but).name, absent_of(path, but).name} if but else set()
        left = [(facts.st_ctime, one) for one in _own(folder, path) if one.name not in mine and (facts := _facts(one))]
        for _changed, one in sorted(left, key=lambda found: found[0]):
            if one.name.startswith(f"{_prefix(path)}undo-"):
                effects.rename(one, folder.entry(old_of(path).name))
                effects.unlink(one)  # where both were names of one file, the rename did nothing
            elif one.name.startswith(f"{_prefix(path)}absent-") or (one == _staged(folder, path) and not but):
                effects.unlink(one)
        if left:
            effects.fsync_dir(folder)


def undo_of(path: Path, attempt: str) -> Path:
    """Return where an attempt keeps what was there before it."""
    return path.with_name(f"{_prefix(path)}undo-{attempt}")


def absent_of(path: Path, attempt: str) -> Path:
    """Return where an attempt notes that nothing was there before it."""
    return path.with_name(f"{_prefix(path)}absent-{attempt}")


def old_of(path: Path) -> Path:
    """Return where the file before is kept."""
    return path.with_name(f"{path.name}.old")


def _prefix(path: Path) -> str:
    return f".{path.name}.fleetroll-"


def _staged(folder: Folder, path: Path) -> HeldName:
    return folder.entry(f"{_prefix(path)}new")


def _own(folder: Folder, path: Path) -> list[HeldName]:
    """Return every name that this program may have made beside ``path``, but the old file's."""
    names = os.listdir(folder.handle)  # noqa: PTH208 (a path may lead elsewhere by now)
    return [folder.entry(name) for name in names if name.startswith(_prefix(path))]


def _kept(folder: Folder, path: Path) -> list[HeldName]:
    """Return the names under which a file that was there before may be kept."""
    undo = undo_of(path, "").name
    return [*(one for one in _own(folder, path) if one.name.startswith(undo)), folder.entry(old_of(path).name)]


def _facts(place: HeldName) -> os.stat_result | None:
    """Return the facts of whatever stands there."""
    with contextlib.suppress(FileNotFoundError):
        return os.stat(place.name, dir_fd=place.folder.handle, follow_symlinks=False)
    return None


def _led(place: HeldName) -> str:
    """Return where a link leads; empty when there is nothing.

    Raises:
        AgentError: INTERNAL: something else stands there.
    """
    facts = _facts(place)
    if facts is None:
        return ""
    if not stat.S_ISLNK(facts.st_mode):
        text = f"{place} is no link, so it is left as it is"
        raise AgentError(text, code=Code.INTERNAL, remedy="move it away, or name another link in agent.toml")
    return os.readlink(place.name, dir_fd=place.folder.handle)


def _copy(source: Path, staged: HeldName, old: Standing | None) -> None:
    """Copy the bytes durably, with mode, owner and labels of what stood there; set-id bits were given to its bytes."""
    with effects.create(staged, 0o600) as handle:
        with plain_file(source) as stream:
            while piece := os.read(stream, READ_BYTES):
                effects.write(handle, piece)
        if old is not None:
            os.fchown(handle, old.facts.st_uid, old.facts.st_gid)
            _copy_labels(old.handle, handle)
        os.fchmod(handle, NEW_MODE if old is None else stat.S_IMODE(old.facts.st_mode) & ~_SET_ID)
        effects.fsync_file(handle)


def _copy_labels(old: int, handle: int) -> None:
    """Carry security labels over; a file system without any, or one that lets nobody set them, has its own rule."""
    with contextlib.suppress(OSError, AttributeError):
        for name in os.listxattr(old):
            with contextlib.suppress(OSError):
                os.setxattr(handle, name, os.getxattr(old, name))


def _keep(place: HeldName, undo: HeldName) -> None:
    """Give what stands at ``place`` the second name ``undo``; one that is there already is of the same attempt."""
    if facts_of(undo) is None:
        effects.link(place, undo)
        effects.fsync_dir(place.folder)


def _note_absence(absent: HeldName) -> None:
    """Note durably that nothing stood there."""
    if facts_of(absent) is None:
        with effects.create(absent, 0o600) as handle:
            effects.fsync_file(handle)
        effects.fsync_dir(absent.folder)


@contextlib.contextmanager
def _removed_on_failure(staged: HeldName) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            effects.unlink(staged)
        raise
