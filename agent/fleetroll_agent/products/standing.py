"""What stands under a name in a held folder: opened once without waiting, judged and read by that handle."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleetroll_agent.products.folders import owner_of
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from fleetroll_common.durable.held import HeldName

READ_BYTES = 1024 * 1024
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Standing:
    """A plain file that is held open.

    Attributes:
        handle: for reading.
        facts: of what is open, not of what has the name by now.
    """

    handle: int
    facts: os.stat_result


@contextlib.contextmanager
def standing(place: HeldName) -> Iterator[Standing | None]:
    """Give the plain file under a name; None when there is nothing.

    Raises:
        AgentError: INTERNAL: something else stands there.
    """
    if facts_of(place) is None:
        yield None
        return
    handle = os.open(place.name, _READ, dir_fd=place.folder.handle)
    try:
        facts = os.fstat(handle)
        _require_plain(place, facts)  # again: it is another one, if somebody was quick
        yield Standing(handle, facts)
    finally:
        os.close(handle)


def facts_of(place: HeldName) -> os.stat_result | None:
    """Return the facts of a plain file; None when there is nothing.

    Raises:
        AgentError: INTERNAL: something else stands there.
    """
    try:
        facts = os.stat(place.name, dir_fd=place.folder.handle, follow_symlinks=False)
    except FileNotFoundError:
        return None
    _require_plain(place, facts)
    return facts


def require_one_name(place: HeldName, old: Standing, own: Iterable[HeldName]) -> None:
    """See that a file has no name but this one and those that this program gave it, in the same folder.

    A second name elsewhere may be somebody else's file: its owner and mode say nothing about this place.

    Raises:
        AgentError: PERMISSION_DENIED: it has.
    """
    names = 1 + sum(found is not None and same_file(found, old.facts) for found in map(facts_of, own))
    if old.facts.st_nlink > names:
        text = f"{place} of {owner_of(old.facts)} has {old.facts.st_nlink} names (hard links), so it is left as it is"
        remedy = f"find the others: find / -xdev -inum {old.facts.st_ino}; then put a copy of its own there"
        raise AgentError(text, code=Code.PERMISSION_DENIED, remedy=remedy)


def same_file(one: os.stat_result, other: os.stat_result) -> bool:
    """Tell whether these are facts of one file."""
    return (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)


def holds_bytes_of(old: Standing, source: Path) -> bool:
    """Tell whether an open file holds the bytes of the plain file ``source``; one that is not there differs."""
    try:
        return _digest(old.handle) == _digest_of(source)
    except FileNotFoundError:
        return False


def same_bytes(one: Path, other: Path) -> bool:
    """Tell whether two plain files hold the same bytes; one that is not there differs from every other.

    Raises:
        AgentError: INTERNAL: something that is no plain file stands there; a writer of a pipe is never waited for.
        OSError: one can't be read.
    """
    try:
        return _digest_of(one) == _digest_of(other)
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def plain_file(path: Path) -> Iterator[int]:
    """Give a plain file, open for reading, by its path.

    Raises:
        AgentError: INTERNAL: something else stands there.
        OSError: it can't be read, or is not there.
    """
    _require_plain(path, path.lstat())  # what is none may do something when it is opened
    handle = os.open(path, _READ)
    try:
        _require_plain(path, os.fstat(handle))  # again: it is another one, if somebody was quick
        yield handle
    finally:
        os.close(handle)


def _require_plain(place: HeldName | Path, facts: os.stat_result) -> None:
    if not stat.S_ISREG(facts.st_mode):
        text = f"{place} is no plain file, so it is left as it is"
        raise AgentError(text, code=Code.INTERNAL, remedy="name the file itself in agent.toml")


def _digest_of(path: Path) -> bytes:
    with plain_file(path) as handle:
        return _digest(handle)


def _digest(handle: int) -> bytes:
    """Return the digest of a whole open file, wherever it was read to."""
    digest, offset = hashlib.sha256(), 0
    while piece := os.pread(handle, READ_BYTES, offset):
        digest.update(piece)
        offset += len(piece)
    return digest.digest()
