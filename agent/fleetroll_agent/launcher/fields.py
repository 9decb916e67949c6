"""Strict reading of JSON objects: every value is checked, the wrong one is named."""

from enum import Enum
from typing import Any, Callable, Dict, Iterable, List, Pattern, Type, TypeVar

E = TypeVar("E", bound=Enum)

_LARGEST = 1e15
"""More than any count of seconds; keeps NaN and the infinities out."""


class Fields:
    """One JSON object whose members are taken out by kind.

    Every method raises what ``error`` makes of a sentence; the party at fault is the caller's to say.
    """

    def __init__(self, body: Dict[str, Any], where: str, error: Callable[[str], Exception]) -> None:
        """Read ``body``; ``where`` names it in sentences."""
        self._body = body
        self._where = where
        self._error = error

    def names(self) -> Iterable[str]:
        """Return the names of the members."""
        return self._body.keys()

    def absent(self, key: str) -> bool:
        """Return whether the member is missing or null."""
        return self._body.get(key) is None

    def text(self, key: str) -> str:
        """Return a string, possibly empty."""
        return self._text(self._body.get(key), key)

    def matching(self, key: str, pattern: "Pattern[str]") -> str:
        """Return a string that ``pattern`` matches to its end."""
        value = self.text(key)
        if not pattern.match(value):
            raise self._wrong(key, value)
        return value

    def texts(self, key: str) -> List[str]:
        """Return a list of strings."""
        return [self._text(item, key) for item in self._list(key)]

    def integer(self, key: str, low: int) -> int:
        """Return a whole number >= ``low``."""
        value = self._body.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or value < low:
            raise self._wrong(key, value)
        return value

    def number(self, key: str, low: float) -> float:
        """Return a finite number >= ``low``."""
        value = self._number(self._body.get(key), key)
        if value < low:
            raise self._wrong(key, value)
        return value

    def numbers(self, key: str) -> List[float]:
        """Return a list of finite numbers."""
        return [self._number(item, key) for item in self._list(key)]

    def boolean(self, key: str) -> bool:
        """Return true or false."""
        value = self._body.get(key)
        if not isinstance(value, bool):
            raise self._wrong(key, value)
        return value

    def choice(self, key: str, kind: Type[E]) -> E:
        """Return the member of ``kind`` with this value."""
        value = self.text(key)
        try:
            return kind(value)
        except ValueError as error:
            raise self._wrong(key, value) from error

    def inner(self, key: str) -> "Fields":
        """Return an object inside this one."""
        return self._inner(self._body.get(key), key)

    def inner_list(self, key: str) -> "List[Fields]":
        """Return a list of objects."""
        return [self._inner(item, key) for item in self._list(key)]

    def _inner(self, value: object, key: str) -> "Fields":
        if not isinstance(value, dict):
            raise self._wrong(key, value)
        return Fields(value, "{}.{}".format(self._where, key), self._error)

    def _list(self, key: str) -> List[Any]:
        value = self._body.get(key)
        if not isinstance(value, list):
            raise self._wrong(key, value)
        return value

    def _text(self, value: object, key: str) -> str:
        if not isinstance(value, str):
            raise self._wrong(key, value)
        return value

    def _number(self, value: object, key: str) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not -_LARGEST < value < _LARGEST:
            raise self._wrong(key, value)
        return float(value)

    def _wrong(self, key: str, value: object) -> Exception:
        return self._error("{}.{} is {!r}".format(self._where, key, value)[:300])
