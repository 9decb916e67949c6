"""Where keys stand in a TOML text: the readers of TOML don't say, and people look for lines.

A scan of a text that a reader has taken. It knows the shape of TOML (headers, keys, strings, arrays, inline tables) and
no values. On a text that is no TOML it finds less, and ends all the same: every turn of every loop moves on.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from fleetroll_agent.settings.faults import KeyPath

MAX_DEPTH = 20
"""Arrays in arrays; no setting has more than one in another. What lies deeper is not looked at."""

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_KEY_TEXT = re.compile(r'"(?:[^"\\\n]|\\.)*"|' + r"'[^'\n]*'")
_TEXT = re.compile(
    r'"""(?:[^\\]|\\.)*?"""(?:"{0,2})|' + r"'''.*?'''(?:'{0,2})|" + r'"(?:[^"\\\n]|\\.)*"|' + r"'[^'\n]*'", re.DOTALL
)
_SCALAR = re.compile(r"[^,\[\]{}\n#]*")


class Lines:
    """The lines of a text's keys, tables and items of arrays."""

    def __init__(self, found: dict[KeyPath, int]) -> None:
        """Keep what was found: lines from 1 on."""
        self._found = found

    def of(self, path: KeyPath) -> int:
        """Return the line of ``path``, or of the nearest table or array around it; 1 when there is none."""
        for length in range(len(path), 0, -1):
            if path[:length] in self._found:
                return self._found[path[:length]]
        return 1


def locate(text: str, read_text: Callable[[str], str]) -> Lines:
    """Return the lines of the keys of ``text``.

    Args:
        text: TOML.
        read_text: returns what a quoted key with escapes in it says; MUST NOT raise.
    """
    scan = _Scan(text, read_text)
    scan.run()
    return Lines(scan.found)


class _Scan:
    """One pass over a text; ``at`` is the place that it has come to."""

    def __init__(self, text: str, read_text: Callable[[str], str]) -> None:
        self.found: dict[KeyPath, int] = {}
        self._text, self._read_text, self._at = text, read_text, 0
        self._ends = [match.start() for match in re.finditer("\n", text)]

    def run(self) -> None:
        """Go over the statements, of which each has a line of its own."""
        table: KeyPath = ()
        while self._skip(_BLANK) < len(self._text):
            if self._here() == "[":
                table = self._header()
            else:
                self._pair(table, 0)
            end = self._text.find("\n", self._at)
            self._at = len(self._text) if end < 0 else end + 1

    def _here(self) -> str:
        return self._text[self._at : self._at + 1]

    def _skip(self, pattern: re.Pattern[str]) -> int:
        """Step over what fits, which may be nothing, and return the new place."""
        match = pattern.match(self._text, self._at)
        self._at = match.end() if match else self._at
        return self._at

    def _line(self) -> int:
        return bisect_left(self._ends, self._at) + 1

    def _header(self) -> KeyPath:
        line = self._line()
        several = self._text.startswith("[[", self._at)
        self._at += 2 if several else 1
        path = self._key()
        self._note(path, line)
        if not several:
            # The table's own header says more than the header of a table below it that came first.
            self.found[path] = line
        return path

    def _note(self, path: KeyPath, line: int, known: int = 0) -> None:
        """Write the line down for a path and what is around it, but for the first ``known`` parts."""
        for length in range(known + 1, len(path) + 1):
            self.found.setdefault(path[:length], line)

    def _key(self) -> KeyPath:
        """Step over a key with its dots; what is no key gives no parts."""
        parts: list[str] = []
        while True:
            self._skip(_SPACE)
            match = _BARE.match(self._text, self._at) or _KEY_TEXT.match(self._text, self._at)
            if match is None:
                return tuple(parts)
            self._at = match.end()
            parts.append(self._said(match.group()))
            self._skip(_SPACE)
            if self._here() != ".":
                return tuple(parts)
            self._at += 1

    def _said(self, word: str) -> str:
        if word[0] not in "\"'":
            return word
        return self._read_text(word) if "\\" in word and word[0] == '"' else word[1:-1]

    def _pair(self, around: KeyPath, depth: int) -> None:
        """Step over ``key = value``; what is none is left where it is."""
        line = self._line()
        key = self._key()
        self._note((*around, *key), line, known=len(around))
        if key and self._here() == "=":
            self._at += 1
            self._value((*around, *key), depth)

    def _value(self, path: KeyPath, depth: int) -> None:
        self._skip(_SPACE)
        first = self._here()
        if depth > MAX_DEPTH:
            self._at = len(self._text)
        elif first == "[":
            self._items(path, "]", depth + 1)
        elif first == "{":
            self._items(path, "}", depth + 1)
        else:
            begin = self._at
            if self._skip(_TEXT) == begin:
                self._skip(_SCALAR)

    def _items(self, path: KeyPath, closing: str, depth: int) -> None:
        """Step over an array or an inline table, from its bracket on."""
        self._at += 1
        place = 0
        while True:
            begin = self._skip(_BLANK)
            if self._here() == closing:
                self._at += 1
                return
            if closing == "]":
                self._note((*path, place), self._line(), known=len(path))
                self._value((*path, place), depth)
            else:
                self._pair(path, depth)
            self._skip(_BLANK)
            if self._here() == ",":
                self._at += 1
                place += 1
            if self._at == begin:
                return
