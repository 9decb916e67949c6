"""One word of a filter: text, or a field and what it has to be."""

from __future__ import annotations

import re
from collections.abc import Callable
from difflib import get_close_matches
from fnmatch import translate
from typing import TYPE_CHECKING, Any, NamedTuple

from fleetroll_tui.model.fields import Kind
from fleetroll_tui.model.versions import parsed

if TYPE_CHECKING:
    from fleetroll_common.values.version import Version
    from fleetroll_tui.model.fields import Field, Fields

Test = Callable[[Any, float], bool]
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"([0-9]{1,9})([smhd])", re.ASCII)
_SIGN = re.compile(r"(<=|>=|<|>|=)?(.*)", re.DOTALL)
_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "=": lambda a, b: a == b,
}


class FilterError(ValueError):
    """A filter that can't be read.

    Attributes:
        at: where, counted in characters from 0.
        message: why, in words.
    """

    def __init__(self, at: int, message: str) -> None:
        """Keep the parts."""
        super().__init__(message)
        self.at = at
        self.message = message


class Term(NamedTuple):
    """A word that was read: its test, whether the answer changes by time alone, and of how many tests it is made."""

    test: Test
    timed: bool = False
    size: int = 1


def term(at: int, text: str, fields: Fields[Any], *, quoted: bool = False) -> Term:
    """Read one word.

    Raises:
        FilterError: there is no such field, or the value does not fit it (the writer's fault).
    """
    if quoted:
        return Term(_text(text, fields))
    name, colon, _ = text.partition(":")
    if not colon or "|" in name:
        parts = [part for part in text.split("|") if part]
        if not parts:
            raise FilterError(at, "there is nothing beside this |")
        return Term(_either([_text(part, fields) for part in parts]), size=len(parts))
    field = fields.by_name.get(name)
    if field is None:
        near = get_close_matches(name, fields.by_name, 1, 0.5)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(fields.by_name))}"
        raise FilterError(at, f"there is no field {name!r}: {hint} (as plain text: quote it)")
    found: list[Test] = []
    start = at + len(name) + 1
    for part in text[len(name) + 1 :].split("|"):
        if not part:
            raise FilterError(start, f"{name}: needs a value, like {field.example}")
        found.append(_READERS[field.kind](start, part, field))
        start += len(part) + 1
    return Term(_either(found), field.kind is Kind.AGE, len(found))


def _either(tests: list[Test]) -> Test:
    return tests[0] if len(tests) == 1 else lambda row, now: any(test(row, now) for test in tests)


def _text(text: str, fields: Fields[Any]) -> Test:
    wanted = text.casefold()
    texts = fields.texts
    return lambda row, _now: any(wanted in each.casefold() for each in texts(row))


def _glob(pattern: str) -> Callable[[str], bool]:
    """Return a test of text: with ``*`` and ``?`` the whole has to match, without them it has to be equal."""
    wanted = pattern.casefold()
    if "*" not in wanted and "?" not in wanted:
        return lambda text: text.casefold() == wanted
    matches = re.compile(translate(wanted.replace("[", "[[]"))).match
    return lambda text: matches(text.casefold()) is not None


def _word(_at: int, value: str, field: Field[Any]) -> Test:
    holds, get = _glob(value), field.get
    return lambda row, _now: any(holds(each) for each in get(row))


def _choice(at: int, value: str, field: Field[Any]) -> Test:
    wanted, get = value.casefold().replace(" ", "_"), field.get
    if wanted not in field.choices:
        near = get_close_matches(wanted, field.choices, 1, 0.5)
        hint = f"did you mean {near[0]}?" if near else f"it is one of {', '.join(field.choices)}"
        raise FilterError(at, f"{field.name}: there is no {value!r}; {hint}")
    return lambda row, _now: wanted in get(row)


def _label(_at: int, value: str, field: Field[Any]) -> Test:
    name, equals, wanted = value.partition("=")
    holds, get = _glob(wanted) if equals else (lambda _text: True), field.get
    return lambda row, _now: any(key == name and holds(each) for key, each in get(row))


def _version(at: int, value: str, field: Field[Any]) -> Test:
    match = _SIGN.fullmatch(value)
    sign, text = (match[1] or "", match[2]) if match else ("", value)
    if not sign:
        return _word(at, text, field)
    wanted = _short_version(text)
    if wanted is None:
        raise FilterError(at + len(sign), f"{field.name}: {text!r} is no version; write it like {field.example}")
    order, get = _ORDERS[sign], field.get
    return lambda row, _now: any((have := parsed(each)) is not None and order(have, wanted) for each in get(row))


def _short_version(text: str) -> Version | None:
    """Read a version of which the last parts may be left out: 1.5 is 1.5.0."""
    missing = 2 - text.count(".")
    return parsed(text + ".0" * missing) if re.fullmatch(r"[0-9.]+", text) else parsed(text)


def _age(at: int, value: str, field: Field[Any]) -> Test:
    sign = value[:1]
    match = _DURATION.fullmatch(value[1:]) if sign in {"<", ">"} else None
    if match is None:
        raise FilterError(at, f"{field.name}: takes > or < and a time in s, m, h or d, like {field.example}")
    seconds, order, get = int(match[1]) * _UNITS[match[2]], _ORDERS[sign], field.get
    return lambda row, now: any(order(now - each, seconds) for each in get(row))


_READERS: dict[Kind, Callable[[int, str, Any], Test]] = {
    Kind.WORD: _word,
    Kind.CHOICE: _choice,
    Kind.LABEL: _label,
    Kind.VERSION: _version,
    Kind.AGE: _age,
}
