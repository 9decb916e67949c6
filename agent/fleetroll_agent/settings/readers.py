"""What a key's value may be: readers from plain values to the agent's own, each with the words that the reference uses.

A reader raises :class:`Unfit` for what a key can't have; the line and the key are added by whoever reads the table.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fleetroll_agent.settings.faults import Unfit
from fleetroll_agent.settings.product import AutoUpdate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from enum import Enum

MAX_ARGUMENTS = 64
MAX_ARGUMENT_CHARS = 4096
MAX_PATH_CHARS = 1024
"""The shortest limit of the systems that an agent runs on."""
MAX_PATTERNS = 32
MAX_PATTERN_CHARS = 200
"""Each line of a command's output goes through every pattern."""


@dataclass(frozen=True, slots=True)
class Reader:
    """How one value is read.

    Attributes:
        words: what it may be, for the reference; no full stop.
        read: returns the agent's value, or raises :class:`Unfit`.
    """

    words: str
    read: Callable[[object], Any]


def truth() -> Reader:
    """Return the reader of true and false."""

    def read(value: object) -> bool:
        if not isinstance(value, bool):
            raise Unfit("is neither true nor false", "write true or false, without quotes")
        return value

    return Reader("`true` or `false`", read)


def number(low: float, high: float, *, above: bool = False) -> Reader:
    """Return the reader of a number from ``low``, or above it, to ``high``, with or without a fraction."""
    bounds = f"above {low:g} and at most {high:g}" if above else f"{low:g} to {high:g}"

    def read(value: object) -> float:
        # No infinity, and nothing that is no number: neither is below infinity. A huge whole number is.
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < math.inf:
            raise Unfit("is not a number", f"write a number, {bounds}, without quotes")
        if not low <= value <= high or (above and value == low):
            raise Unfit(f"is not {bounds}", f"write a number, {bounds}")
        return float(value)

    return Reader(f"number, {bounds}", read)


def whole(low: int, high: int) -> Reader:
    """Return the reader of a whole number from ``low`` to ``high``."""

    def read(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise Unfit("is not a whole number", f"write a whole number, {low} to {high}, without quotes")
        if not low <= value <= high:
            raise Unfit(f"is not {low} to {high}", f"write a whole number, {low} to {high}")
        return value

    return Reader(f"whole number, {low} to {high}", read)


def choice(kind: type[Enum]) -> Reader:
    """Return the reader of one of an enumeration's values."""
    known = [str(member.value) for member in kind]
    listed = ", ".join(f'"{name}"' for name in known)

    def read(value: object) -> Enum:
        if value not in known:
            raise Unfit("is not known here", f"write one of {listed}")
        return kind(value)

    quoted = [f'`"{name}"`' for name in known]
    return Reader(f"{', '.join(quoted[:-1])} or {quoted[-1]}", read)


def auto_update() -> Reader:
    """Return the reader of ``auto_update``: false, true, or never."""

    def read(value: object) -> AutoUpdate:
        if isinstance(value, bool):
            return AutoUpdate.ALWAYS if value else AutoUpdate.ASKED
        if value != "never":
            raise Unfit("is not known here", 'write false, true or "never"')
        return AutoUpdate.NEVER

    return Reader('`false`, `true` or `"never"`', read)


def text(words: str, limit: int, form: Callable[[str], Any], example: str) -> Reader:
    """Return the reader of a text of 1 to ``limit`` characters.

    Args:
        words: what it is, such as ``name of a unit``.
        limit: of characters.
        form: takes the text and returns the value; raises ValueError, whose words end a sentence, when it has no form.
        example: of a good one, for the remedy.
    """

    def read(value: object) -> Any:  # noqa: ANN401 (the form decides)
        if not isinstance(value, str):
            raise Unfit("is not a text", f"write it in quotes, like {example}")
        if not 1 <= len(value) <= limit:
            raise Unfit(f"has {len(value)} characters, not 1 to {limit}", f"write it like {example}")
        try:
            return form(value)
        except ValueError as error:
            raise Unfit(str(error), f"write it like {example}") from error

    return Reader(words, read)


def several(item: Reader, most: int, plural: str, *, least: int = 0) -> Reader:
    """Return the reader of an array of ``least`` to ``most`` different items."""

    def read(value: object) -> tuple[Any, ...]:
        items = _array(value, plural)
        if not least <= len(items) <= most:
            raise Unfit(f"has {len(items)} items, not {least} to {most}", f"list {least} to {most} {plural}")
        found: list[Any] = []
        for place, each in enumerate(items):
            one = _within(item, each, place)
            if one in found:
                raise Unfit("stands there twice", "list it once", (place,))
            found.append(one)
        return tuple(found)

    return Reader(f"array of {plural}, {least or 'at'} {'to' if least else 'most'} {most}", read)


def command() -> Reader:
    """Return the reader of a command: an array of texts, the first of them the absolute path of a program."""

    def read(value: object) -> tuple[str, ...]:
        items = _array(value, "texts")
        if not 1 <= len(items) <= MAX_ARGUMENTS:
            said = f"has {len(items)} items, not 1 to {MAX_ARGUMENTS}"
            raise Unfit(said, 'write the program and its arguments, like ["/usr/local/bin/tool", "--check"]')
        for place, item in enumerate(items):
            _argument(item, place)
        return tuple(items)

    return Reader(f"array of texts, 1 to {MAX_ARGUMENTS}, the first an absolute path", read)


def absolute_path() -> Reader:
    """Return the reader of the absolute path of a file or link."""
    return text("absolute path", MAX_PATH_CHARS, _path, '"/usr/local/bin/tool"')


def patterns() -> Reader:
    """Return the reader of regular expressions."""
    one = text("regular expression", MAX_PATTERN_CHARS, _pattern, r"'password=\S+'")
    return several(one, MAX_PATTERNS, f"regular expressions of at most {MAX_PATTERN_CHARS} characters")


def _array(value: object, plural: str) -> list[Any]:
    if not isinstance(value, list):
        raise Unfit("is not an array", f"write {plural} in square brackets")
    return value


def _within(item: Reader, value: object, place: int) -> Any:  # noqa: ANN401 (the item's reader decides)
    """Read an item; what is wrong with it gets its place."""
    try:
        return item.read(value)
    except Unfit as unfit:
        raise Unfit(unfit.fault, unfit.remedy, (place, *unfit.at)) from unfit


def _argument(item: object, place: int) -> None:
    if not isinstance(item, str):
        raise Unfit("is not a text", "write every argument in quotes", (place,))
    if "\0" in item or len(item) > MAX_ARGUMENT_CHARS:
        said = f"holds a NUL, or has more than {MAX_ARGUMENT_CHARS} characters"
        raise Unfit(said, "write a shorter argument, or put it into a script", (place,))
    try:
        place or _path(item)
    except ValueError as error:
        raise Unfit(str(error), "name the program by its absolute path", (place,)) from error


def _path(value: str) -> str:
    """Return a path that means one place wherever it is read."""
    if not value.startswith("/"):
        raise ValueError("is not an absolute path")
    if "\0" in value or len(value) > MAX_PATH_CHARS:
        raise ValueError(f"holds a NUL, or has more than {MAX_PATH_CHARS} characters")
    if not _is_straight(value[1:].split("/")):
        raise ValueError("has an empty, '.' or '..' part")
    return value


def _is_straight(parts: Sequence[str]) -> bool:
    return not {"", ".", ".."} & set(parts)


def _pattern(value: str) -> re.Pattern[str]:
    """Return a compiled pattern; what may mean something else in a newer Python is refused with what means nothing."""
    import warnings  # noqa: PLC0415 (the name is the package's own elsewhere)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            pattern = re.compile(value)
        except (re.error, OverflowError, RecursionError, Warning) as error:
            raise ValueError(f"is no regular expression: {error}") from error
    if pattern.search("") is not None:
        raise ValueError("fits an empty text, and so every place of a line")
    return pattern
