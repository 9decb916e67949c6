"""The switch of the kinds that this program switches itself. All of it blocks, and may be done again after a crash.

``slots``: the product's record says which version is active; a symlink for the rest of the world is made from it, by a
new link that is renamed over the old one. Nothing here ever reads that link to decide anything.

``file``: the new file is staged beside the old one, synced, and renamed over it; the old one is kept under
``<name>.old``. Mode, owner and labels are those of the old file. Whoever opens the name at any instant finds one whole
file; a program that runs goes on with the file that it has open.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from typing import TYPE_CHECKING

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


def swap_in(path: Path, source: Path) -> None:
    """Put a copy of ``source`` under the name ``path`` and keep what stood there under ``<name>.old``.

    Raises:
        AgentError: INTERNAL: something that is no plain file stands there, and stays.
        OSError: the disk refused; ``path`` is the old file or the new one, and nothing staged is left.
    """
    old = _plain_file(path)
    _forget_staged(path)
    if old is not None and same_bytes(path, source):
        effects.fsync_dir(path.parent)  # what is there may be the work of a process that was killed before this call
        return
    staged = _staged_new(path)
    with _removed_on_failure(staged):
        _copy(source, staged, old, path)
        if old is not None:
            _keep(path, old_of(path))
            effects.fsync_dir(path.parent)  # the new file must not outlive a power cut that the kept one did not
        effects.rename(staged, path)
        effects.fsync_dir(path.parent)


def swap_back(path: Path, source: Path, before: Path | None = None) -> None:
    """Take :func:`swap_in` back, if it was done: what was kept comes back, and a file that was not there goes.

    Whether it was done is seen by the bytes: what was kept may be of an earlier update. Where nothing was kept although
    there was a version before, its slot has the bytes.

    Args:
        path: of the product.
        source: what was to come.
        before: the file of the version before, where it is known: two versions may have the same bytes, and then
            nothing was done, and what is kept is older than both.

    Raises:
        OSError: the disk refused; ``path`` is the old file or the new one.
    """
    _forget_staged(path)
    is_back = before is not None and same_bytes(path, before)
    if not is_back and _plain_file(path) is not None and same_bytes(path, source):
        _bring_back(path, before)
    effects.fsync_dir(path.parent)


def _bring_back(path: Path, before: Path | None) -> None:
    """Put what was kept, or else a copy of ``before``, under the name; what was kept stays until that is durable."""
    old, staged = old_of(path), _staged_new(path)
    if _plain_file(old) is not None:
        _keep(old, path)
        effects.fsync_dir(path.parent)
        effects.unlink(old)
    elif before is not None:
        with _removed_on_failure(staged):
            _copy(before, staged, _plain_file(path), path)
            effects.rename(staged, path)
    else:
        effects.unlink(path)


def old_of(path: Path) -> Path:
    """Return where the file before is kept."""
    return path.with_name(f"{path.name}.old")


def same_bytes(one: Path, other: Path) -> bool:
    """Tell whether two plain files hold the same bytes; one that is not there differs from every other."""
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
        text = f"{path} is no plain file, so it is left as it is"
        raise AgentError(text, code=Code.INTERNAL, remedy="name the file itself in agent.toml")
    return facts


def _copy(source: Path, staged: Path, old: os.stat_result | None, path: Path) -> None:
    """Copy the bytes durably, with mode, owner and labels of what stood there."""
    mode = NEW_MODE if old is None else stat.S_IMODE(old.st_mode)
    with effects.create(staged, 0o600) as handle:
        with source.open("rb", buffering=0) as stream:
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


def _keep(path: Path, name: Path) -> None:
    """Give what stands under ``path`` the second name ``name``, replacing in one step what stood there."""
    second = _staged_second(path)
    with _removed_on_failure(second):
        effects.link(path, second)
        effects.rename(second, name)
    effects.unlink(second)  # where both are names of one file, after a crash, the rename does nothing


def _digest(path: Path) -> bytes:
    digest = hashlib.sha256()
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb", buffering=0) as stream:
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


def _staged_new(path: Path) -> Path:
    return path.with_name(f".{path.name}.fleetroll-new")


def _staged_second(path: Path) -> Path:
    return path.with_name(f".{path.name}.fleetroll-old")


def _forget_staged(path: Path) -> None:
    """Remove what a process left that was killed, or a machine that went dark."""
    for staged in (_staged_new(path), _staged_second(path), _staged_second(old_of(path))):
        effects.unlink(staged)
