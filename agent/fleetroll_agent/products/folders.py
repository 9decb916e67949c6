"""The way to the folder that a product is in: gone once, held open, and nobody else's to bend.

The agent is root, and below the folder of a product's own user that user decides what a name means: between two calls
a folder becomes a link to somebody else's. So the way is gone part by part, each opened in the one before without
following a link; what then happens in the last folder happens by its handle. A link on the way is followed only where
nobody but root, or the account that this process runs as, can have made it and can change it: /opt may lead to
/data/opt, a user's folder may not lead to /etc.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from fleetroll_common.durable.held import Folder
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Seen = Callable[[Path, os.stat_result], None]

MAX_LINKS = 40
"""On one way, as many as the kernel follows."""
_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_PASS = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""For a folder on the way: to go through it, it need not be readable."""
_READ = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_BENT = frozenset({errno.ENOTDIR, errno.ELOOP})


@contextlib.contextmanager
def held(path: Path, own: int | None = None) -> Iterator[Folder]:
    """Give the folder ``path`` held open; an ``OSError`` of the block names the whole path.

    Args:
        path: absolute.
        own: the account that is trusted beside root; None = that of this process.

    Raises:
        AgentError: PERMISSION_DENIED: a link on the way is not root's alone, so it is not followed.
        OSError: there is no such folder, or the host refused.
    """
    handle = _walk(path, _trusted(own), lambda _at, _facts: None)
    try:
        yield Folder(handle, path)
    except OSError as error:
        # A call in a held folder knows the bare name alone.
        error.filename, error.filename2 = _whole(path, error.filename), _whole(path, error.filename2)
        raise
    finally:
        os.close(handle)


def weak_spots(path: Path, own: int | None = None) -> list[str]:
    """Return in words which folders on the way to ``path``, itself among them, others than root or ``own`` can change.

    In a sticky folder others can change no name of root's, so that one counts only where it is the last.

    Raises:
        AgentError, OSError: as for :func:`held`.
    """
    way: list[tuple[Path, os.stat_result]] = []
    trusted = _trusted(own)
    os.close(_walk(path, trusted, lambda at, facts: way.append((at, facts))))
    below = [*(facts for _at, facts in way[1:]), None]
    return [
        f"{at} {why}"
        for (at, facts), following in zip(way, below, strict=True)
        if (why := _can_be_changed(facts, trusted)) and not _kept_by_sticky(facts, following, trusted)
    ]


def owner_of(facts: os.stat_result) -> str:
    """Return whose a file is, in words."""
    try:
        return f"{pwd.getpwuid(facts.st_uid).pw_name} (uid {facts.st_uid})"
    except KeyError:
        return f"uid {facts.st_uid}"


def _walk(path: Path, trusted: frozenset[int], seen: Seen) -> int:
    """Return a handle of the folder ``path``; ``seen`` is told of each folder on the way, in order."""
    if not path.is_absolute():
        text = f"{path} is no absolute path"
        raise AgentError(text, code=Code.INVALID_ARGUMENT, remedy="write it in full in agent.toml")
    todo, at, links = _parts(path), Path("/"), 0
    here = os.open("/", _PASS)
    try:
        seen(at, os.fstat(here))
        while todo:
            part = todo.pop()
            facts = os.stat(part, dir_fd=here, follow_symlinks=False)
            step, inside = part, at / part
            if stat.S_ISLNK(facts.st_mode):
                links += 1
                target = _target(here, at / part, facts, trusted, links)
                todo += _parts(target)
                if not target.is_absolute():
                    continue
                step, inside = "/", Path("/")
            there = _open(here, step, inside)
            os.close(here)
            here, at = there, inside
            seen(at, os.fstat(here))
        return os.open(".", _READ, dir_fd=here)
    except OSError as error:
        error.filename = _whole(at, error.filename)
        raise
    finally:
        os.close(here)


def _parts(path: Path) -> list[str]:
    """Return the parts of a path below its root, the first one last."""
    return list(reversed(path.parts[1:] if path.is_absolute() else path.parts))


def _open(here: int, step: str, inside: Path) -> int:
    """Open a folder in the folder ``here``: what was a folder a moment ago may be anything by now."""
    try:
        return os.open(step, _PASS, dir_fd=here)
    except OSError as error:
        if error.errno not in _BENT:
            raise
        facts = os.stat(step, dir_fd=here, follow_symlinks=False)
        text = f"{inside} of {owner_of(facts)} is no folder"
        if stat.S_ISLNK(facts.st_mode):
            text = f"{inside} became a link while it was opened, and belongs to {owner_of(facts)}"
        remedy = "name the folder itself in agent.toml, and find out who changed it"
        raise AgentError(text, code=Code.PERMISSION_DENIED, remedy=remedy) from error


def _target(here: int, link: Path, facts: os.stat_result, trusted: frozenset[int], links: int) -> Path:
    """Return where a link on the way leads, the ``links``-th, if it may be followed."""
    if links > MAX_LINKS:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), link.name)
    folder = _can_be_changed(os.fstat(here), trusted)
    why = f"its folder {folder}" if folder else ""
    if facts.st_uid not in trusted:
        why = f"it belongs to {owner_of(facts)}"
    if why:
        text = f"{link} is a link on the way, and is not followed: {why}"
        remedy = (
            f"name the folder itself in agent.toml, or let root alone own the link and its folder: "
            f"chown -h root {link}; chown root {link.parent}; chmod go-w {link.parent}"
        )
        raise AgentError(text, code=Code.PERMISSION_DENIED, remedy=remedy)
    return Path(os.readlink(link.name, dir_fd=here))


def _can_be_changed(facts: os.stat_result, trusted: frozenset[int]) -> str:
    """Return who else can change the names in a folder, in words; empty = nobody."""
    if facts.st_uid not in trusted:
        return f"belongs to {owner_of(facts)}"
    mode = stat.S_IMODE(facts.st_mode)
    return f"can be written to by others than its owner (mode {mode:04o})" if mode & _OTHERS else ""


def _kept_by_sticky(facts: os.stat_result, following: os.stat_result | None, trusted: frozenset[int]) -> bool:
    """Tell whether only root can rename what is next on the way, though others can make names beside it."""
    sticky = facts.st_uid in trusted and bool(facts.st_mode & stat.S_ISVTX)
    return sticky and following is not None and following.st_uid in trusted


def _trusted(own: int | None) -> frozenset[int]:
    return frozenset({0, os.geteuid() if own is None else own})


def _whole(folder: Path, name: object) -> str | None:
    return str(folder / os.fsdecode(name)) if isinstance(name, (str, bytes, os.PathLike)) else None
