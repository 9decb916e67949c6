"""Ranges of versions: ``>=1.2,<2``. Pure.

Rules:

1. All comparisons must hold: ``=`` (or ``==``), ``!=``, ``>``, ``>=``, ``<``, ``<=``.
2. A whole version is compared by precedence, pre-releases included: ``2.0.0-rc.1`` is below ``2.0.0``.
3. A version with fewer numbers is compared in these numbers alone: ``<2`` is every version whose first number is below
   2, so that ``2.0.0-rc.1`` is not in it; ``=1.2`` is every 1.2.x.
4. A development build, and what is no version, is in no range: nobody knows what it is.
"""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.version import Version

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_RANGE_CHARS = 500
MAX_COMPARISONS = 16
_REMEDY = "write it like >=1.2,<2 with =, !=, >, >=, < or <="
_PART = re.compile(r"\s*(==|=|!=|>=|<=|>|<)\s*(\S+)\s*")
_NUMBERS = re.compile(r"(0|[1-9][0-9]{0,8})(?:\.(0|[1-9][0-9]{0,8}))?", re.ASCII)
_HOLDS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """One part of a range; ``bound`` is a whole version, or its first one or two numbers."""

    sign: str
    bound: Version | tuple[int, ...]

    def holds(self, version: Version) -> bool:
        """Tell whether ``version`` fulfils it."""
        if isinstance(self.bound, Version):
            return _HOLDS[self.sign](version, self.bound)
        numbers = (version.major, version.minor, version.patch)
        return _HOLDS[self.sign](numbers[: len(self.bound)], self.bound)

    def __str__(self) -> str:
        """Return it as it is written."""
        bound = str(self.bound) if isinstance(self.bound, Version) else ".".join(map(str, self.bound))
        return f"{self.sign}{bound}"


@dataclass(frozen=True, slots=True)
class VersionRange:
    """A whole range; ``str()`` gives a text that reads as the same one."""

    comparisons: tuple[Comparison, ...]

    @classmethod
    def parse(cls, text: str, *, field: str = "version_range") -> VersionRange:
        """Read a range.

        Raises:
            RequestError: INVALID_ARGUMENT: empty, too long, or a part is no comparison; the message names the part and
                its position, from 1 (caller's fault).
        """
        if len(text) > MAX_RANGE_CHARS:
            raise _refusal(field, f"{len(text)} characters", f"write at most {MAX_RANGE_CHARS}", MAX_RANGE_CHARS)
        parts = text.split(",")
        if len(parts) > MAX_COMPARISONS:
            at = len(",".join(parts[:MAX_COMPARISONS])) + 1
            raise _refusal(field, f"{len(parts)} comparisons", f"write at most {MAX_COMPARISONS}", at)
        found, at = [], 0
        for part in parts:
            found.append(_comparison(field, part, at))
            at += len(part) + 1
        return cls(tuple(found))

    def holds(self, running: str) -> bool:
        """Tell whether the version ``running`` is in the range."""
        try:
            version = Version.parse(running)
        except RequestError:
            return False
        return not version.is_dev and all(comparison.holds(version) for comparison in self.comparisons)

    def __str__(self) -> str:
        """Return the text."""
        return ",".join(map(str, self.comparisons))


def _comparison(field: str, part: str, at: int) -> Comparison:
    """Read one part that begins behind ``at`` characters."""
    match = _PART.fullmatch(part)
    if match is None:
        what = f"{part[:40]!r} is no comparison" if part.strip() else "a comparison is missing"
        raise _refusal(field, what, _REMEDY, at)
    sign, bound = match.groups()
    sign = "=" if sign == "==" else sign
    numbers = _NUMBERS.fullmatch(bound)
    if numbers is not None:
        return Comparison(sign, tuple(int(number) for number in numbers.groups() if number is not None))
    try:
        return Comparison(sign, Version.parse(bound))
    except RequestError:
        raise _refusal(field, f"{bound[:64]!r} is no version", _REMEDY, at + match.start(2)) from None


def _refusal(field: str, what: str, remedy: str, at: int) -> RequestError:
    """Return the caller's error."""
    return RequestError(
        f"{field}: {what}, at position {at + 1}",
        code=Code.INVALID_ARGUMENT,
        remedy=remedy,
        field=field,
        position=str(at + 1),
    )
