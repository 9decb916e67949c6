"""Label selectors in the syntax of Kubernetes: ``a=b,c!=d,e in (x,y),f notin (z),g,!h``. Pure.

All requirements of a selector must hold. ``!=`` and ``notin`` hold for hosts without the label too, as there: who wants
them left out adds the bare key. A key or value may hold any character but blanks and ``, = ! ( )``; labels whose values
hold these are matched by equality alone, outside of a selector.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, NoReturn

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_SELECTOR_CHARS = 2000
MAX_REQUIREMENTS = 32
"""As many as a person can read; each host is asked each of them."""
MAX_VALUES = 100
"""Of one ``in (…)``."""
MAX_KEY_CHARS = 63
MAX_VALUE_CHARS = 255
"""Longer ones are refused for labels themselves: such a requirement could never match."""

_VALUE = re.compile(r"[^\s,=!()\x00-\x1f\x7f]+")
_KEY = re.compile(r"[^\s,=!()<>\x00-\x1f\x7f]+")
"""Without the signs that other readers of this syntax compare numbers by: no name is made of a mistake."""
_BLANK = re.compile(r"[ \t]*")


class Operator(str, Enum):
    """How a requirement compares."""

    EQUALS = "="
    NOT_EQUALS = "!="
    IN = "in"
    NOT_IN = "notin"
    EXISTS = "exists"
    ABSENT = "!"


@dataclass(frozen=True, slots=True)
class Requirement:
    """One part of a selector.

    Attributes:
        key: the label's name, 1 to 63 characters.
        operator: how ``values`` are compared.
        values: one for EQUALS and NOT_EQUALS, one or more for IN and NOT_IN, none else.
    """

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Tell whether a host with these labels fulfils it."""
        if self.operator is Operator.EXISTS:
            return self.key in labels
        if self.operator is Operator.ABSENT:
            return self.key not in labels
        has = labels.get(self.key) in self.values
        return has if self.operator in {Operator.EQUALS, Operator.IN} else not has

    def __str__(self) -> str:
        """Return it as it is written."""
        match self.operator:
            case Operator.EXISTS:
                return self.key
            case Operator.ABSENT:
                return f"!{self.key}"
            case Operator.IN | Operator.NOT_IN:
                return f"{self.key} {self.operator.value} ({','.join(self.values)})"
            case _:
                return f"{self.key}{self.operator.value}{self.values[0]}"


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """A whole selector; ``str()`` gives a text that reads as the same one."""

    requirements: tuple[Requirement, ...]

    @classmethod
    def parse(cls, text: str, *, field: str = "label_selector") -> LabelSelector:
        """Read a selector.

        Raises:
            RequestError: INVALID_ARGUMENT: empty, too long, or not written like that; the message names the position,
                from 1, and what stands there (caller's fault).
        """
        return cls(_Reader(text, field).read())

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Tell whether a host with these labels fulfils every requirement."""
        return all(requirement.matches(labels) for requirement in self.requirements)

    def __str__(self) -> str:
        """Return the text."""
        return ",".join(map(str, self.requirements))


class _Reader:
    """Reads one text from left to right."""

    def __init__(self, text: str, field: str) -> None:
        self._text, self._field, self._at = text, field, 0

    def read(self) -> tuple[Requirement, ...]:
        """Return the requirements in their order."""
        if len(self._text) > MAX_SELECTOR_CHARS:
            self._refuse(f"{len(self._text)} characters", f"write at most {MAX_SELECTOR_CHARS}", at=MAX_SELECTOR_CHARS)
        found = [self._requirement()]
        while self._take(","):
            if len(found) == MAX_REQUIREMENTS:
                self._refuse(f"more than {MAX_REQUIREMENTS} requirements", "write fewer")
            found.append(self._requirement())
        if self._at < len(self._text):
            self._refuse(f"{self._rest()} is not expected here", "write a comma between requirements")
        return tuple(found)

    def _requirement(self) -> Requirement:
        """Read one."""
        if self._take("!"):
            return Requirement(self._key(), Operator.ABSENT)
        key = self._key()
        if self._take("!="):
            return Requirement(key, Operator.NOT_EQUALS, (self._value(empty=True),))
        if self._take("==") or self._take("="):
            return Requirement(key, Operator.EQUALS, (self._value(empty=True),))
        if self._ends():
            return Requirement(key, Operator.EXISTS)
        at = self._at
        word = self._word(_KEY)
        if word not in {Operator.IN.value, Operator.NOT_IN.value}:
            self._refuse(f"{self._rest(at)} is no operator", "write =, !=, in (…) or notin (…)", at=at)
        return Requirement(key, Operator(word), self._values())

    def _values(self) -> tuple[str, ...]:
        """Read the list of ``in`` and ``notin``."""
        if not self._take("("):
            self._refuse(f"{self._rest()} where a list begins", "write the values in brackets, such as in (a,b)")
        found = [self._value()]
        while self._take(","):
            if len(found) == MAX_VALUES:
                self._refuse(f"more than {MAX_VALUES} values", "write fewer")
            found.append(self._value())
        if not self._take(")"):
            self._refuse(f"{self._rest()} in a list", "close the list with )")
        return tuple(found)

    def _key(self) -> str:
        """Read the name of a label."""
        at, key = self._at, self._word(_KEY)
        if not 1 <= len(key) <= MAX_KEY_CHARS:
            what = (
                f"{self._rest(at)} where a label's name is expected" if not key else f"a name of {len(key)} characters"
            )
            self._refuse(what, f"write the name of a label, 1 to {MAX_KEY_CHARS} characters", at=at)
        return key

    def _value(self, *, empty: bool = False) -> str:
        """Read a value; ``empty`` ones are those behind an equals sign."""
        at, value = self._at, self._word(_VALUE)
        if not value and not (empty and self._ends()):
            self._refuse(
                f"{self._rest(at)} where a value is expected", "write a value without blanks and , = ! ( )", at=at
            )
        if len(value) > MAX_VALUE_CHARS:
            self._refuse(f"a value of {len(value)} characters", f"write at most {MAX_VALUE_CHARS}", at=at)
        return value

    def _word(self, kind: re.Pattern[str]) -> str:
        """Take the word that is next; empty where none is."""
        self._skip()
        match = kind.match(self._text, self._at)
        if match is None:
            return ""
        self._at = match.end()
        self._skip()
        return match.group()

    def _take(self, sign: str) -> bool:
        """Take ``sign`` if it is next."""
        self._skip()
        if not self._text.startswith(sign, self._at):
            return False
        self._at += len(sign)
        self._skip()
        return True

    def _ends(self) -> bool:
        """Tell whether a requirement ends here."""
        return self._at == len(self._text) or self._text[self._at] == ","

    def _skip(self) -> None:
        """Go over blanks."""
        match = _BLANK.match(self._text, self._at)
        self._at = match.end() if match else self._at

    def _rest(self, at: int | None = None) -> str:
        """Return what stands here, for a message."""
        rest = self._text[self._at if at is None else at :]
        return repr(rest[:20]) if rest else "the end"

    def _refuse(self, what: str, remedy: str, *, at: int | None = None) -> NoReturn:
        """Refuse the text."""
        position = (self._at if at is None else at) + 1
        message = f"{self._field}: {what}, at position {position} of {self._text[:80]!r}"
        raise RequestError(
            message, code=Code.INVALID_ARGUMENT, remedy=remedy, field=self._field, position=str(position)
        )
