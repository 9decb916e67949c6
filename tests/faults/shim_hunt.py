"""Many kills in the life of one host: at each point that is wanted and was not yet had, once. Standard library only.

Without a hunt one run is worth one kill. With one, a process that arrives at a wanted point dies there, the host goes
on, and the next kill waits until the test has judged the last one: the file ``armed`` is there when it may come, and
whoever kills takes it away. What was had is kept in a file that all hosts of the test share, written and synced before
the kill, so that none is had twice.

A wanted point is a :class:`Quarry`: a role, what its record says at that moment, and the pattern of the point's name.
"""

# As little as possible is imported before the program: no pathlib.
# ruff: noqa: PTH118

from __future__ import annotations

import fcntl
import json
import os
import re
from collections import Counter
from typing import Any, NamedTuple

# The real calls: the module's attributes are replaced later.
_open, _read, _write, _fsync, _stat, _unlink = os.open, os.read, os.write, os.fsync, os.stat, os.unlink
_exists, _close, _lseek = os.path.exists, os.close, os.lseek

RECORD_BYTES = 1024 * 1024
NOBODY = "nobody"

_INSIDE = re.compile(r"(slots/agent/[^/]+)/(?![A-Z.]+(?:\.new)?$).+")
_NUMBERS = re.compile(r"\d+")


def pattern(name: str) -> str:
    """Return a point's name without what differs from file to file: one line of the program writes all of a slot."""
    return _NUMBERS.sub("N", _INSIDE.sub(r"\1/…", name))


class Quarry(NamedTuple):
    """A wanted kill.

    Attributes:
        number: its place in the list.
        role: of the process that is at the point.
        state: what the role's record says then.
        pattern: of the point's name.
        nth: not before the how-manieth arrival of one process, from 1.
        do: ``kill-before`` or ``kill-after``.
        victim: one of the shim's ``VICTIMS``.
    """

    number: int
    role: str
    state: str
    pattern: str
    nth: int
    do: str
    victim: str


class Records:
    """The records of a host, as they lie on disk."""

    def __init__(self, root: str, table: dict[str, dict[str, Any]]) -> None:
        """Look below ``root``; ``table`` names each role's file and the fields that make up its state."""
        self._root = root
        self._table = table
        self._mark: Any = None
        self._said = ""
        self._again = 0

    def state(self, role: str) -> str:
        """Return what the role's record says, in a few words; empty for a role without one.

        A record that was put in place since, and says the same in these words, is the next state: ``#1`` is behind it.
        """
        known = self._table.get(role)
        if known is None:
            return ""
        path = os.path.join(self._root, known["file"])
        try:
            found = _stat(path)
        except FileNotFoundError:
            return "none"
        mark = (found.st_ino, found.st_mtime_ns, found.st_size)
        if mark != self._mark:
            words = said(json.loads(_text(path))["record"], known["fields"])
            self._again = self._again + 1 if words == self._said else 0
            self._mark, self._said = mark, words
        return f"{self._said} #{self._again}" if self._again else self._said

    def all(self) -> dict[str, str]:
        """Return each record's text by its file's name."""
        names = sorted({known["file"] for known in self._table.values()})
        return {name: _text(os.path.join(self._root, name)) for name in names}


def said(record: Any, groups: list[list[str]]) -> str:
    """Return the fields of the first group whose first field is there; ``name?`` says only whether it is."""
    for group in groups:
        if _at(record, group[0].rstrip("?")) is not None:
            return " ".join(str(bool(_at(record, at[:-1])) if at[-1] == "?" else _at(record, at)) for at in group)
    return "none"


def _at(record: Any, path: str) -> Any:
    for part in path.split("."):
        if isinstance(record, list):
            record = record[int(part)] if record else None
        else:
            record = record.get(part) if isinstance(record, dict) else None
    return record


def _text(path: str) -> str:
    try:
        handle = _open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return ""
    try:
        return _read(handle, RECORD_BYTES).decode()
    finally:
        _close(handle)


class Hunt:
    """What is left to hunt for one process."""

    def __init__(self, plan: dict[str, Any], folder: str, role: str) -> None:
        """Read the list; the host's own files are in ``folder``."""
        self._had = plan["had"]
        self._armed = os.path.join(folder, "armed")
        self._claims = os.path.join(folder, "claims")
        self._log = os.path.join(folder, "kills.jsonl")
        self._wanted: dict[tuple[str, str], list[Quarry]] = {}
        self._arrivals: Counter[tuple[str, str]] = Counter()
        for number, words in enumerate(json.loads(_text(plan["wanted"]))):
            quarry = Quarry(number, *words)
            if quarry.role == role:
                self._wanted.setdefault((quarry.state, quarry.pattern), []).append(quarry)

    def at(self, state: str, name: str, victims: Any) -> Quarry | None:
        """Return what is to be killed at this arrival, which is then had; ``victims(who)`` lists the pids.

        Where there is nobody to kill the quarry is had as well, and named so.
        """
        key = (state, pattern(name))
        here = self._wanted.get(key)
        if not here:
            return None
        self._arrivals[key] += 1
        for quarry in here:
            if self._arrivals[key] >= quarry.nth and _exists(self._armed):
                if not victims(quarry.victim):
                    self._take(quarry, NOBODY)
                elif self._take(quarry):
                    return quarry
        return None

    def note(self, facts: dict[str, Any]) -> None:
        """Write down who is about to be killed where."""
        _append(self._log, json.dumps(facts))

    def _take(self, quarry: Quarry, how: str = "kill") -> bool:
        """Make the quarry had, unless another process was faster; a kill takes the permit with it."""
        handle = _open(self._had, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if quarry.number in numbers_had(_read(handle, RECORD_BYTES).decode()):
                return False
            if how != NOBODY:
                _unlink(self._armed)
                _append(self._claims, str(quarry.number))
            _write(handle, f"{quarry.number} {how}\n".encode())
            _fsync(handle)
        except FileNotFoundError:
            return False
        else:
            return True
        finally:
            _close(handle)


def _append(path: str, line: str) -> None:
    handle = _open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    _write(handle, f"{line}\n".encode())
    _fsync(handle)
    _close(handle)


def numbers_had(text: str) -> dict[int, str]:
    """Return how each quarry was had; one that was given back is wanted again."""
    had: dict[int, str] = {}
    for line in text.split("\n")[:-1]:
        number, how = line.split(" ")
        had[int(number)] = how
    return {number: how for number, how in had.items() if how != "back"}
