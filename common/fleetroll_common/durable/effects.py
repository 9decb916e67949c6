"""The few system calls behind every durable write, one function each.

Callers MUST reach them as ``effects.name(...)``: a test that counts, orders or fails one of them replaces the attribute
of this module, and a copy taken by ``from … import`` would go unnoticed.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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


@contextlib.contextmanager
def create(path: Path, mode: int) -> Iterator[int]:
    """Make the new file ``path`` and give its write handle; ``FileExistsError`` when the name is taken, by a link too.

    The mode is set on the handle, so that the umask takes no part in it.
    """
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(handle, mode)
        yield handle
    finally:
        os.close(handle)


@contextlib.contextmanager
def open_or_create(path: Path, mode: int) -> Iterator[int]:
    """Give a write handle of the file ``path``, which is made, empty, when there is none; a link is refused."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
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


def rename(source: Path, target: Path) -> None:
    """Put ``source`` under the name ``target`` in one step, replacing what stood there."""
    source.replace(target)


def link(source: Path, target: Path) -> None:
    """Give ``source`` the second name ``target``; ``FileExistsError`` when it is taken."""
    target.hardlink_to(source)


def symlink(path: Path, target: Path) -> None:
    """Make the new link ``path`` that leads to ``target``; ``FileExistsError`` when the name is taken."""
    path.symlink_to(target)


def unlink(path: Path) -> None:
    """Remove the name ``path``; nothing happens when there is none."""
    path.unlink(missing_ok=True)


def fsync_dir(path: Path) -> None:
    """Return when the names directly in the directory ``path`` are durable."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
