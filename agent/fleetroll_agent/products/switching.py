"""The switch of the kinds that this program switches itself. All of it blocks, and may be done again after a crash.

``slots``: the product's record says which version is active; a symlink for the rest of the world is made from it, by a
new link that is renamed over the old one. Nothing here ever reads that link to decide anything.

``file``: the new file is staged beside the old one, synced, and renamed over it. What was there is kept under a name
that belongs to the attempt, so that its way back undoes this switch and no other; once the new one is kept it is
``<name>.old``. Mode, owner and labels are those of the old file. Whoever opens the name at any instant finds one whole
file; a program that runs goes on with the file that it has open.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from typing import TYPE_CHECKING, BinaryIO, cast

from fleetroll_common.durable import effects
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NEW_MODE = 0o755
"""Of a file that was not there before."""
_READ_BYTES = 1024 * 1024


def publish_link(link: Path, target: Path | None) -> None:
    """Let ``link`` lead to the folder ``target``; None removes it.

    Raises:
        AgentError: INTERNAL: something that is no link stands there, and stays.
        OSError: the disk refused; the link is the old one or the new one.
    """
    if os.path.lexists(link) and not link.is_symlink():
        text = f"{link} is no link, so it is left as it is"
        raise AgentError(text, code=Code.INTERNAL, remedy="move it away, or name another link in agent.toml")
    fresh = link.with_name(f".{link.name}.new")
    effects.unlink(fresh)
    if target is None:
        effects.unlink(link)
    elif not link.is_symlink() or link.readlink() != target:
        with _removed_on_failure(fresh):
            effects.symlink(fresh, target)
            effects.rename(fresh, link)
    # Also where the link is right: a process that was killed may have left it, and not its durability.
    effects.fsync_dir(link.parent)


def leads_to(link: Path, target: Path) -> bool:
    """Tell whether ``link`` is a link to ``target``: what its health means where nothing else is asked."""
    return link.is_symlink() and link.readlink() == target


def swap_in(path: Path, source: Path, attempt: str = "") -> None:
    """Put a copy of ``source`` under the name ``path``; what stood there is kept for the way back of ``attempt``.

    A file that has these bytes already stays, and its way back leaves it too.

    Raises:
        AgentError: INTERNAL: something that is no plain file stands there, and stays.
        OSError: the disk refused; ``path`` is the old file or the new one, and nothing staged is left.
    """
    old = _plain_file(path)
    if old is not None and same_bytes(path, source):
        effects.fsync_dir(path.parent)  # what is there may be the work of a process that was killed before this call
        return
    staged = _staged(path)
    effects.unlink(staged)  # a process that was killed left it
    with _removed_on_failure(staged):
        _copy(source, staged, old, path)
        if old is None:
            _note_absence(absent_of(path, attempt))
        else:
            _keep(path, undo_of(path, attempt))
        effects.rename(staged, path)
        effects.fsync_dir(path.parent)


def swap_back(path: Path, source: Path, attempt: str = "") -> None:
    """Take what :func:`swap_in` did for ``attempt`` back: what was kept comes back, a file that was not there goes.

    What was not done is not undone: without a trace of this attempt ``path`` stays.

    Raises:
        OSError: the disk refused; ``path`` is the old file or the new one.
    """
    effects.unlink(_staged(path))
    undo, absent = undo_of(path, attempt), absent_of(path, attempt)
    if _plain_file(undo) is not None:
        if path.exists() and undo.samefile(path):
            effects.unlink(undo)  # two names of one file: a rename would leave both
        else:
            effects.rename(undo, path)
    elif _plain_file(absent) is not None:
        if _plain_file(path) is not None and same_bytes(path, source):
            effects.unlink(path)
        effects.unlink(absent)
    effects.fsync_dir(path.parent)


def keep_old(path: Path, but: str = "") -> None:
    """Make what ended attempts have kept the one old file, and forget their notes; ``but`` is the attempt that runs.

    Raises:
        OSError: the disk refused.
    """
    prefix = f".{path.name}.fleetroll-"
    mine = {undo_of(path, but), absent_of(path, but)} if but else set()
    left = [one for one in path.parent.glob(f"{prefix}*") if one not in mine]
    for one in sorted(left, key=lambda found: found.lstat().st_ctime):
        if one.name.startswith(f"{prefix}undo-"):
            effects.rename(one, old_of(path))
            effects.unlink(one)  # where both were names of one file, the rename did nothing
        elif one.name.startswith(f"{prefix}absent-") or (one == _staged(path) and not but):
            effects.unlink(one)
    if left:
        effects.fsync_dir(path.parent)


def undo_of(path: Path, attempt: str) -> Path:
    """Return where an attempt keeps what was there before it."""
    return path.with_name(f".{path.name}.fleetroll-undo-{attempt}")


def absent_of(path: Path, attempt: str) -> Path:
    """Return where an attempt notes that nothing was there before it."""
    return path.with_name(f".{path.name}.fleetroll-absent-{attempt}")


def old_of(path: Path) -> Path:
    """Return where the file before is kept."""
    return path.with_name(f"{path.name}.old")


def same_bytes(one: Path, other: Path) -> bool:
    """Tell whether two plain files hold the same bytes; one that is not there differs from every other.

    Raises:
        AgentError: INTERNAL: something that is no plain file stands there.
        OSError: one can't be read.
    """
    try:
        return _digest(one) == _digest(other)
    except FileNotFoundError:
        return False


def _plain_file(path: Path) -> os.stat_result | None:
    """Return the facts of a plain file; None when there is nothing.

    Raises:
        AgentError: INTERNAL: something else stands there.
    """
    try:
        facts = path.lstat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(facts.st_mode):
        raise _no_plain_file(path)
    return facts


def _no_plain_file(path: Path) -> AgentError:
    text = f"{path} is no plain file, so it is left as it is"
    return AgentError(text, code=Code.INTERNAL, remedy="name the file itself in agent.toml")


def _open_plain(path: Path) -> BinaryIO:
    """Open a plain file for reading. A pipe that stands there now, without a writer, is not waited for.

    Raises:
        AgentError: INTERNAL: something else stands there.
        OSError: it can't be read, or is not there.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise _no_plain_file(path) from error
        raise
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise _no_plain_file(path)
    return cast("BinaryIO", os.fdopen(handle, "rb", buffering=0))


def _copy(source: Path, staged: Path, old: os.stat_result | None, path: Path) -> None:
    """Copy the bytes durably, with mode, owner and labels of what stood there."""
    mode = NEW_MODE if old is None else stat.S_IMODE(old.st_mode)
    with effects.create(staged, 0o600) as handle:
        with _open_plain(source) as stream:
            while piece := stream.read(_READ_BYTES):
                effects.write(handle, piece)
        if old is not None:
            os.fchown(handle, old.st_uid, old.st_gid)
            _copy_labels(path, handle)
        os.fchmod(handle, mode)  # after the owner: a change of owner takes set-id bits away
        effects.fsync_file(handle)


def _copy_labels(path: Path, handle: int) -> None:
    """Carry security labels over; a file system without any, or one that lets nobody set them, has its own rule."""
    with contextlib.suppress(OSError, AttributeError):
        for name in os.listxattr(path, follow_symlinks=False):
            with contextlib.suppress(OSError):
                os.setxattr(handle, name, os.getxattr(path, name, follow_symlinks=False))


def _keep(path: Path, undo: Path) -> None:
    """Give what stands under ``path`` the second name ``undo``; one that is there already is of the same attempt."""
    if _plain_file(undo) is None:
        effects.link(path, undo)
        effects.fsync_dir(path.parent)


def _note_absence(absent: Path) -> None:
    """Note durably that nothing stood there."""
    if _plain_file(absent) is None:
        with effects.create(absent, 0o600) as handle:
            effects.fsync_file(handle)
        effects.fsync_dir(absent.parent)


def _digest(path: Path) -> bytes:
    digest = hashlib.sha256()
    with _open_plain(path) as stream:
        while piece := stream.read(_READ_BYTES):
            digest.update(piece)
    return digest.digest()


@contextlib.contextmanager
def _removed_on_failure(staged: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            effects.unlink(staged)
        raise


def _staged(path: Path) -> Path:
    return path.with_name(f".{path.name}.fleetroll-new")
