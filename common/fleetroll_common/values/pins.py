"""Pins: the part of a version that may not change. Host and server read and judge them alike."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fleetroll_common.values.version import Version


class PinKind(str, Enum):
    """How much of a version a pin holds."""

    MAJOR = "major"
    MINOR = "minor"
    PATCH = "patch"


_NUMBER = r"(?:0|[1-9][0-9]{0,8})"
_FORMS = {
    PinKind.MAJOR: re.compile(_NUMBER, re.ASCII),
    PinKind.MINOR: re.compile(rf"{_NUMBER}\.{_NUMBER}", re.ASCII),
    PinKind.PATCH: re.compile(rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}", re.ASCII),
}


@dataclass(frozen=True, slots=True)
class Pin:
    """A part of the version that may not change: 1 number for major, 2 for minor, 3 for patch."""

    kind: PinKind
    numbers: tuple[int, ...]

    def admits(self, version: Version) -> bool:
        """Tell whether ``version`` begins with the pinned numbers."""
        return (version.major, version.minor, version.patch)[: len(self.numbers)] == self.numbers

    def __str__(self) -> str:
        """Return the pin as people write it."""
        return f"{self.kind.value} {'.'.join(map(str, self.numbers))}"


def read_pin(value: str) -> Pin:
    """Read ``major 1``, ``minor 1.4`` or ``patch 1.4.2``.

    Raises:
        ValueError: it is none; the words end a sentence that begins with the field.
    """
    kind, _, numbers = value.partition(" ")
    found = next((each for each in PinKind if each.value == kind and _FORMS[each].fullmatch(numbers)), None)
    if found is None:
        raise ValueError("is no pin: major has one number, minor two, patch three")
    return Pin(found, tuple(map(int, numbers.split("."))))
