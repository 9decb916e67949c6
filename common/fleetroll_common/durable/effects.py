"""The few system calls behind every durable write, one function each.

Callers MUST reach them as ``effects.name(...)``: a test that counts, orders or fails one of them replaces the attribute
of this module, and a copy taken by ``from … import`` would go unnoticed.

A name is a path, or a :class:`HeldName`: one in a folder that is held open, so that nobody leads it elsewhere.
The last part of a name is never followed when it is a link.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from fleetroll_common.durable.held import Folder, HeldName

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    Name = Path | HeldName

POINTS = (
    "create",
    "open_or_create",
    "truncate",
    "write",
    "fsync_file",
    "rename",
    "link",
    "symlink",
    "unlink",
    "fsync_dir",
)
"""Names of the functions here that change a disk, in the order in which a write can meet them."""
_PLAIN = os.O_NOFOLLOW | os.O_CLOEXEC


@contextlib.contextmanager
def create(path: Name, mode: int) -> Iterator[int]:
    """Make the new file ``path`` and give its write handle; ``FileExistsError`` when the name is taken, by a link too.

    The mode is set on the handle, so that the umask takes no part in it.
    """
    handle = os.open(_name(path), os.O_WRONLY | os.O_CREAT | os.O_EXCL | _PLAIN, 0o600, dir_fd=_at(path))
    try:
        os.fchmod(handle, mode)
        yield handle
    finally:
        os.close(handle)


@contextlib.contextmanager
def open_or_create(path: Name, mode: int) -> Iterator[int]:
    """Give a write handle of the file ``path``, which is made, empty, when there is none; a link is refused."""
    handle = os.open(_name(path), os.O_WRONLY | os.O_CREAT | _PLAIN, mode, dir_fd=_at(path))
    try:
        yield handle
    finally:
        os.close(handle)


def truncate(handle: int, size: int) -> None:
    """Cut what is behind ``handle`` to ``size`` bytes, >= 0."""
    os.ftruncate(handle, size)


def write(handle: int, data: bytes) -> None:
    """Write all of ``data``; a disk may take a part at a time."""
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


def fsync_file(handle: int) -> None:
    """Return when the content behind ``handle`` is durable."""
    os.fsync(handle)


def rename(source: Name, target: Name) -> None:
    """Put ``source`` under the name ``target`` in one step, replacing what stood there."""
    os.replace(_name(source), _name(target), src_dir_fd=_at(source), dst_dir_fd=_at(target))


def link(source: Name, target: Name) -> None:
    """Give ``source`` the second name ``target``; ``FileExistsError`` when it is taken."""
    places = {"src_dir_fd": _at(source), "dst_dir_fd": _at(target)}
    os.link(_name(source), _name(target), **places, follow_symlinks=False)


def symlink(path: Name, target: Path) -> None:
    """Make the new link ``path`` that leads to ``target``; ``FileExistsError`` when the name is taken."""
    os.symlink(target, _name(path), dir_fd=_at(path))


def unlink(path: Name) -> None:
    """Remove the name ``path``; nothing happens when there is none."""
    if not isinstance(path, HeldName):
        path.unlink(missing_ok=True)
        return
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path.name, dir_fd=path.folder.handle)


def fsync_dir(path: Path | Folder) -> None:
    """Return when the names directly in the directory ``path`` are durable."""
    if isinstance(path, Folder):
        os.fsync(path.handle)
        return
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _name(name: Name) -> Path | str:
    return name.name if isinstance(name, HeldName) else name


def _at(name: Name) -> int | None:
    return name.folder.handle if isinstance(name, HeldName) else None
