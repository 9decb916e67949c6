"""Files that are either the old one or the new one, whatever happens in between.

The order is what survives a power cut: content into a temporary file in the same directory, content synced, name moved
in one step, directory synced. Without the first sync the name may point at an empty file; without the second the old
name may come back after the writer has already told somebody about the new one.

Errors are ``OSError`` as the system gives them: only the caller knows whose disk it is. After an error of the *last*
sync the file may hold either content; before it the old one stands untouched.

Not done here: locks. One path has one writer; two at a time may take each other's temporary file away.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from fleetroll_common.durable import effects

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


ASIDE_NAMES = 9
"""Damaged files that are kept of one name."""


def write_durably(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replace (or make) the file ``path`` by ``data`` and return when that survives a power cut.

    Args:
        path: a file in an existing directory.
        data: the whole content.
        mode: permission bits of the new file, whatever the umask and the old file's bits.

    Raises:
        OSError: the disk refused (the fault of the machine); no temporary file is left where that could be helped.
    """
    stream_durably(path, (data,), mode)


def stream_durably(path: Path, pieces: Iterable[bytes], mode: int = 0o600) -> None:
    """Do the same with a content that comes in pieces; what their source raises leaves the old file untouched.

    Raises:
        OSError: as for :func:`write_durably`.
    """
    with _staged(path, pieces, mode) as staged:
        effects.rename(staged, path)
    effects.fsync_dir(path.parent)


def create_durably(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Make the new file ``path``, complete from the first moment, and return when that survives a power cut.

    Raises:
        FileExistsError: the name is taken, by a link too; what stands there is unchanged.
        OSError: the disk refused (the fault of the machine).
    """
    with _staged(path, (data,), mode) as staged:
        effects.link(staged, path)
        effects.unlink(staged)
    effects.fsync_dir(path.parent)


def free_name(path: Path) -> Path:
    """Return where a damaged file is put aside: ``path``, or where that is taken ``path-2``, ``path-3`` and so on.

    What was put aside earlier is the older evidence and stays. There are at most :data:`ASIDE_NAMES` of them, the last
    of which is replaced: damage without end MUST NOT fill the disk.
    """
    names = (path, *(path.with_name(f"{path.name}-{number}") for number in range(2, ASIDE_NAMES + 1)))
    return next((name for name in names if not os.path.lexists(name)), names[-1])


def sync_dir(path: Path) -> None:
    """Return when the names directly in the directory ``path`` are durable; what is inside the named things may not be.

    Raises:
        OSError: the disk refused, or ``path`` is no directory.
    """
    effects.fsync_dir(path)


def sync_tree(path: Path) -> None:
    """Make every file and directory below ``path`` durable, ``path`` itself last. Its own name is its parent's affair.

    Links are not followed; anything but files and directories is passed over.

    Raises:
        OSError: the disk refused, or ``path`` is no directory.
    """
    for entry in sorted(os.scandir(path), key=lambda found: found.name):
        if entry.is_dir(follow_symlinks=False):
            sync_tree(Path(entry.path))
        elif entry.is_file(follow_symlinks=False):
            handle = os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                effects.fsync_file(handle)
            finally:
                os.close(handle)
    effects.fsync_dir(path)


def temporary_name(path: Path) -> Path:
    """Return where ``path`` is staged: always the same name, so that crashes leave one stray file, not many."""
    return path.with_name(f".{path.name}.new")


@contextlib.contextmanager
def _staged(path: Path, pieces: Iterable[bytes], mode: int) -> Iterator[Path]:
    """Give a synced temporary file beside ``path``; take it away when the block fails.

    A stray one of an earlier crash is removed, never reused: it may be a second name of a file that is in use.
    """
    staged = temporary_name(path)
    effects.unlink(staged)
    try:
        with effects.create(staged, mode) as handle:
            for piece in pieces:
                effects.write(handle, piece)
            effects.fsync_file(handle)
        yield staged
    except BaseException:
        with contextlib.suppress(OSError):
            effects.unlink(staged)
        raise
