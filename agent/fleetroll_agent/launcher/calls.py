"""The few system calls behind every durable write, one function each.

Callers MUST reach them as ``calls.name(...)``: tests that count, fail, kill at or forget one of them replace the
attribute of this module.
"""

import os

POINTS = ("create", "write", "fsync_file", "rename", "unlink", "fsync_dir")
"""Names of the functions here that change a disk or make a change durable."""


def create(path: str, mode: int) -> int:
    """Return a write handle of the new file ``path``; ``FileExistsError`` when the name is taken, by a link too."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    return os.open(path, flags, mode)


def write(handle: int, data: bytes) -> None:
    """Write all of ``data``; a disk may take a part at a time."""
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


def fsync_file(handle: int) -> None:
    """Return when the content behind ``handle`` is durable."""
    os.fsync(handle)


def rename(source: str, target: str) -> None:
    """Put ``source`` under the name ``target`` in one step, replacing what stood there."""
    os.replace(source, target)


def unlink(path: str) -> None:
    """Remove the name ``path``; nothing happens when there is none."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


def fsync_dir(path: str) -> None:
    """Return when the names directly in the directory ``path`` are durable."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0))
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
