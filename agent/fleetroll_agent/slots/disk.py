"""The file system as slots see it: every effect is one call of a small port.

Why a port: the order of writes, syncs and renames is what survives a power cut, and only a model that may lose what was
not synced can show a missing sync. Such a model implements :class:`Disk`; the host uses :class:`RealDisk`.

What the calls promise, and nothing more:

- ``write_file``, ``make_dir``, ``rename``, ``unlink``, ``remove_dir``, ``chmod`` are visible at once and *not* durable.
- ``fsync_file`` makes the file's content durable, not its name.
- ``fsync_dir`` makes the names directly in that directory durable, not what is inside the named things.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from enum import Enum
from typing import TYPE_CHECKING, Protocol

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_DENIED = "let the agent write there: ls -ld shows owner and mode, lsattr -d what chattr -i lifts"
_REMEDIES = {
    errno.EACCES: _DENIED,
    errno.EPERM: _DENIED,
    errno.EROFS: "find out why it is mounted read-only (dmesg), then: mount -o remount,rw on that file system",
    errno.EBUSY: "something is mounted on that very name: mount the folder around it instead",
    **dict.fromkeys(_FULL, "free space below the state folder; the update tries again by itself"),
}


class Kind(str, Enum):
    """What stands under a name. Links are never followed."""

    FILE = "file"
    DIRECTORY = "directory"
    OTHER = "other"
    ABSENT = "absent"


class Disk(Protocol):
    """Every file-system call that slots make. Errors are ``OSError`` as the system gives them."""

    def write_file(self, path: Path, data: bytes, mode: int = 0o600) -> None:
        """Make the new file ``path`` with ``data``; ``FileExistsError`` when the name is taken, by a link too."""

    def make_dir(self, path: Path, mode: int = 0o700) -> None:
        """Make the directory ``path``; ``FileExistsError`` when the name is taken."""

    def rename(self, source: Path, target: Path) -> None:
        """Move ``source`` to ``target`` in one step; replaces a file, never a directory with content."""

    def unlink(self, path: Path) -> None:
        """Remove the file or link ``path``."""

    def remove_dir(self, path: Path) -> None:
        """Remove the empty directory ``path``."""

    def chmod(self, path: Path, mode: int) -> None:
        """Set the permission bits of ``path``, which is no link."""

    def fsync_file(self, path: Path) -> None:
        """Return when the content of ``path`` is durable."""

    def fsync_dir(self, path: Path) -> None:
        """Return when the names in ``path`` are durable."""

    def read_file(self, path: Path) -> bytes:
        """Return the content of ``path``, which is no link."""

    def list_dir(self, path: Path) -> tuple[str, ...]:
        """Return the names in ``path``, sorted."""

    def kind(self, path: Path) -> Kind:
        """Tell what ``path`` is."""

    def mode(self, path: Path) -> int:
        """Return the permission bits of ``path``."""


class RealDisk:
    """This host's file system."""

    def write_file(self, path: Path, data: bytes, mode: int = 0o600) -> None:
        """Make the new file ``path`` with ``data``, whatever the umask."""
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.fchmod(handle, mode)
            view = memoryview(data)
            while view:
                view = view[os.write(handle, view) :]
        finally:
            os.close(handle)

    def make_dir(self, path: Path, mode: int = 0o700) -> None:
        """Make the directory ``path``, whatever the umask."""
        path.mkdir(0o700)
        path.chmod(mode)

    def rename(self, source: Path, target: Path) -> None:
        """Move ``source`` to ``target``."""
        source.replace(target)

    def unlink(self, path: Path) -> None:
        """Remove ``path``."""
        path.unlink()

    def remove_dir(self, path: Path) -> None:
        """Remove the empty directory ``path``."""
        path.rmdir()

    def chmod(self, path: Path, mode: int) -> None:
        """Set the permission bits through a handle, so that a link is refused, not followed."""
        with _opened(path) as handle:
            os.fchmod(handle, mode)

    def fsync_file(self, path: Path) -> None:
        """Sync the content of ``path``."""
        with _opened(path) as handle:
            os.fsync(handle)

    def fsync_dir(self, path: Path) -> None:
        """Sync the names in ``path``."""
        with _opened(path, os.O_DIRECTORY) as handle:
            os.fsync(handle)

    def read_file(self, path: Path) -> bytes:
        """Return the content of ``path``."""
        with _opened(path) as handle, os.fdopen(handle, "rb", closefd=False) as stream:
            return stream.read()

    def list_dir(self, path: Path) -> tuple[str, ...]:
        """Return the names in ``path``."""
        return tuple(sorted(child.name for child in path.iterdir()))

    def kind(self, path: Path) -> Kind:
        """Look at ``path`` without following a link."""
        try:
            bits = path.lstat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            return Kind.ABSENT
        if stat.S_ISREG(bits):
            return Kind.FILE
        return Kind.DIRECTORY if stat.S_ISDIR(bits) else Kind.OTHER

    def mode(self, path: Path) -> int:
        """Return the permission bits, set-id bits included."""
        return stat.S_IMODE(path.lstat().st_mode)


@contextlib.contextmanager
def _opened(path: Path, flags: int = 0) -> Iterator[int]:
    """Give a read handle of ``path``, refusing a link and what is neither file nor folder: no pipe is waited for.

    Raises:
        OSError: it can't be opened, or is neither.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | flags)
    try:
        bits = os.fstat(handle).st_mode
        if not (stat.S_ISREG(bits) or stat.S_ISDIR(bits)):
            raise OSError(errno.EINVAL, "neither a plain file nor a folder", str(path))
        yield handle
    finally:
        os.close(handle)


@contextlib.contextmanager
def typed_disk_errors(doing: str) -> Iterator[None]:
    """Turn an ``OSError`` in the block into an :class:`AgentError` that says what was being done.

    Raises:
        AgentError: DISK_FULL when the host has no room (or no quota) left; INTERNAL for any other fault of its disk.
    """
    try:
        yield
    except OSError as error:
        remedy = disk_remedy(error)
        if error.errno in _FULL:
            message = f"{doing}: the host has no space left"
            raise AgentError(message, code=Code.DISK_FULL, remedy=remedy) from error
        name = errno.errorcode.get(error.errno or 0, "unknown error")
        # Of two names the second is the place that something should be put in.
        place = error.filename if error.filename2 is None else error.filename2
        where = f" for {place}" if isinstance(place, (str, os.PathLike)) else ""
        message = f"{doing}: the disk answered {name}{where}"
        raise AgentError(message, code=Code.INTERNAL, remedy=remedy, errno=name) from error


def disk_remedy(error: OSError) -> str:
    """Return what a person can do about a disk that refused."""
    return _REMEDIES.get(error.errno or 0, "look at the host's kernel log")


def remove_tree(disk: Disk, path: Path) -> None:
    """Remove ``path`` and all below it, following no link; read-only directories are opened first."""
    kind = disk.kind(path)
    if kind is Kind.ABSENT:
        return
    if kind is not Kind.DIRECTORY:
        disk.unlink(path)
        return
    disk.chmod(path, 0o700)
    for name in disk.list_dir(path):
        remove_tree(disk, path / name)
    disk.remove_dir(path)


def sync_tree(disk: Disk, path: Path) -> None:
    """Make every file and every directory below ``path`` durable, ``path`` itself last (not its own name)."""
    for name in disk.list_dir(path):
        child = path / name
        if disk.kind(child) is Kind.DIRECTORY:
            sync_tree(disk, child)
        else:
            disk.fsync_file(child)
    disk.fsync_dir(path)
