"""From a text to plain values, by a reader of TOML: the standard library's, or the one that hosts with 3.10 get."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

from fleetroll_agent.settings.faults import refused, shown_text

if TYPE_CHECKING:
    from fleetroll_common.values.errors import RequestError

MAX_TEXT_CHARS = 256 * 1024
"""63 products with every key and a lot of comments have a fifth of it."""

_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)\Z")
_LONG_NUMBER = re.compile(r"[0-9][0-9_]{4000}")
"""Python reads 4300 digits at most, unless somebody allowed more, and does not say where they are."""
_TOO_DEEP = 100
_REMEDY = "write it as TOML has it: [table], key = value, text in quotes"


def load(text: str) -> dict[str, Any]:
    """Return what ``text`` says.

    Raises:
        RequestError: INVALID_ARGUMENT, naming the line: it is no TOML, or too long (the fault of whoever wrote it).
    """
    if len(text) > MAX_TEXT_CHARS:
        said = f"the file has {len(text)} characters, {MAX_TEXT_CHARS} are allowed"
        raise refused(0, said, "make it shorter")
    try:
        return _loads(text)
    except ValueError as error:
        raise _unreadable(text, *_fault_of(text, str(error))) from error
    except RecursionError as error:
        raise _unreadable(text, _line_of_depth(text), "too many brackets stand in each other") from error


def _unreadable(text: str, line: int, fault: str) -> RequestError:
    """Return the error of a line, with the line itself: it has the key and the value."""
    row = shown_text(text.split("\n")[line - 1].strip())
    return refused(line, f"{row} can't be read: {fault}", _REMEDY, value=row)


def read_quoted(word: str) -> str:
    """Return what a quoted text says; the word itself where it can't be read."""
    try:
        return str(_loads(f"word = {word}")["word"])
    except ValueError:
        return word


def _loads(text: str) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib as reader  # noqa: PLC0415 (3.10 has none)
    else:
        import tomli as reader  # noqa: PLC0415 (3.10 alone has it)
    values: dict[str, Any] = reader.loads(text)
    return values


def _fault_of(text: str, said: str) -> tuple[int, str]:
    """Return line and fault from a reader's words; what it finds at the end counts for the last line with something."""
    place = _PLACE.search(said)
    if place is None:
        digits = _LONG_NUMBER.search(text)
        return (text.count("\n", 0, digits.start()) + 1 if digits else 1), "a number has too many digits"
    fault = said[: place.start()]
    line = int(place.group(1)) if place.group(1) else text.rstrip().count("\n") + 1
    return line, f"{fault[:1].lower()}{fault[1:]}"


def _line_of_depth(text: str) -> int:
    """Return the line on which brackets lie too deep, by their count alone; 1 where that shows nothing."""
    depth = 0
    for place, letter in enumerate(text):
        depth = max(0, depth + (letter in "[{") - (letter in "]}"))
        if depth > _TOO_DEEP:
            return text.count("\n", 0, place) + 1
    return 1
