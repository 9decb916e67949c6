"""Which slots living processes use, by what /proc shows: a program that still runs from a version keeps it.

Looked at: the working folder, the program, what is mapped, what is open, and the words of the command line. What a
process has read and closed again leaves no trace; a host without /proc, or one that shows an agent without root only
its own processes, tells less. Words prove nothing, and anybody may say them: those of other accounts than root, the
agent's own and the product's do not count.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import stat
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROC = Path("/proc")
_LINKS = ("cwd", "exe")
_MOST_BYTES = 16 * 1024 * 1024
"""Of one file of /proc; a line of ``maps`` has some hundred bytes."""
LOOK_SECONDS = 10.0
"""For all of /proc: a process that waits for a dead disk may never show what it has mapped."""


def live_slots(folder: Path, user: str = "", proc: Path = PROC) -> frozenset[str]:
    """Return the names in ``folder``, the slots of one product, that a living process uses. Blocks; raises nothing."""
    return frozenset(slot_users(folder, user, proc))


def slot_users(folder: Path, user: str = "", proc: Path = PROC) -> dict[str, int]:
    """Return the names in ``folder`` that living processes use, each with the pid of one. Blocks; raises nothing.

    Args:
        folder: the slots of one product.
        user: whose command lines count beside root's and the agent's own; empty = nobody's.
        proc: of the host.
    """
    wanted, believed = _below(folder), _believed(user)
    found: dict[str, int] = {}
    for pid in _pids(proc):
        for text in _texts(proc / pid, believed):
            for name in wanted(text):
                found.setdefault(name, int(pid))
    return found


class Lookout:
    """Looks with a deadline: a look that hangs is left behind, and nobody begins a second one before it has ended."""

    def __init__(self, look: Callable[[Path, str], frozenset[str]] = live_slots, seconds: float = LOOK_SECONDS) -> None:
        """Wait ``seconds`` for ``look``."""
        self._look = look
        self._seconds = seconds
        self._thread: threading.Thread | None = None

    def live(self, folder: Path, user: str) -> frozenset[str] | None:
        """Return what :func:`live_slots` does; None when that can't be said in time: then everything is kept."""
        if self._thread is not None and self._thread.is_alive():
            return None
        found: list[frozenset[str]] = []
        self._thread = threading.Thread(target=lambda: found.append(self._look(folder, user)), daemon=True)
        self._thread.start()
        self._thread.join(self._seconds)
        return found[0] if found else None


def _believed(user: str) -> frozenset[int]:
    """Return the user ids whose command lines count."""
    ids = {0, os.geteuid()}
    if user:
        with contextlib.suppress(KeyError, ValueError):  # one that the host does not know has no processes
            ids.add(pwd.getpwnam(user).pw_uid)
    return frozenset(ids)


def _below(folder: Path) -> Callable[[bytes], Iterator[str]]:
    """Return what finds the names below ``folder`` in a text."""
    places = {os.fsencode(folder), os.fsencode(os.path.realpath(folder))}
    pattern = re.compile(b"(?:%s)/([^/\\0\\n]+)" % b"|".join(re.escape(place) for place in sorted(places)))

    def names(text: bytes) -> Iterator[str]:
        # A folder that was removed while it is in use is shown with these words behind its name.
        return (os.fsdecode(found).removesuffix(" (deleted)") for found in pattern.findall(text))

    return names


def _pids(proc: Path) -> list[str]:
    try:
        return [name for name in os.listdir(proc) if name.isdecimal()]  # noqa: PTH208 (names are wanted)
    except OSError:
        return []


def _texts(process: Path, believed: frozenset[int]) -> Iterator[bytes]:
    """Yield what one process shows of the places that it uses; one that ends meanwhile shows less."""
    for name in _LINKS:
        yield _link(process / name)
    yield _content(process / "maps")
    if _owner(process) in believed:
        yield _content(process / "cmdline")
    try:
        handles = os.listdir(process / "fd")  # noqa: PTH208 (names are wanted)
    except OSError:
        return
    for handle in handles:
        yield _link(process / "fd" / handle)


def _owner(process: Path) -> int:
    """Return the user id of a process; -1 for one that is gone."""
    try:
        return process.stat().st_uid
    except OSError:
        return -1


def _link(path: Path) -> bytes:
    try:
        return os.readlink(os.fsencode(path))  # noqa: PTH115 (as bytes: a name may be no text)
    except OSError:
        return b""


def _content(path: Path) -> bytes:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as stream:
            return stream.read(_MOST_BYTES) if stat.S_ISREG(os.fstat(handle).st_mode) else b""
    except OSError:
        return b""
