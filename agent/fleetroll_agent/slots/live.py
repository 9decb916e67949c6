"""Which slots living processes use, by what /proc shows: a program that still runs from a version keeps it.

Looked at: the working folder, the program, what is mapped, what is open, and the words of the command line. What a
process has read and closed again leaves no trace; a host without /proc, or one that shows an agent without root only
its own processes, tells less.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROC = Path("/proc")
_LINKS = ("cwd", "exe")
_MOST_BYTES = 16 * 1024 * 1024
"""Of one file of /proc; a line of ``maps`` has some hundred bytes."""


def live_slots(folder: Path, proc: Path = PROC) -> frozenset[str]:
    """Return the names in ``folder``, the slots of one product, that a living process uses. Blocks; raises nothing."""
    wanted = _below(folder)
    return frozenset(name for pid in _pids(proc) for text in _texts(proc / pid) for name in wanted(text))


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


def _texts(process: Path) -> Iterator[bytes]:
    """Yield what one process shows of the places that it uses; one that ends meanwhile shows less."""
    for name in _LINKS:
        yield _link(process / name)
    for name in ("maps", "cmdline"):
        yield _content(process / name)
    try:
        handles = os.listdir(process / "fd")  # noqa: PTH208 (names are wanted)
    except OSError:
        return
    for handle in handles:
        yield _link(process / "fd" / handle)


def _link(path: Path) -> bytes:
    try:
        return os.readlink(os.fsencode(path))  # noqa: PTH115 (as bytes: a name may be no text)
    except OSError:
        return b""


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(_MOST_BYTES)
    except OSError:
        return b""
