"""What is wrong in ``agent.toml``: collected while it is read, told with line, key, value and remedy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fleetroll_agent.settings.lines import Lines

SETTINGS_NAME = "agent.toml"
MAX_SHOWN_CHARS = 80
MAX_SHOWN_ITEMS = 4
_MOST_SHOWN = 10**18
"""Python refuses to write numbers of thousands of digits, which hexadecimal ones may have."""

KeyPath = tuple[str | int, ...]
"""Where something stands: names of tables and keys, and places in arrays from 0 on."""


class Unfit(Exception):  # noqa: N818 (what the value is; it becomes a Fault at once)
    """A value that a key can't have.

    Attributes:
        fault: end of a sentence that begins with the key and the value, such as ``is not a number``.
        remedy: what to write instead.
        at: where in the value the fault is, when it is an array or a table.
    """

    def __init__(self, fault: str, remedy: str, at: KeyPath = ()) -> None:
        """Keep the parts."""
        super().__init__(fault)
        self.fault, self.remedy, self.at = fault, remedy, at


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong.

    Attributes:
        path: where.
        fault: end of a sentence that begins with the key, and the value where there is one.
        remedy: what to do about it.
        value: as it is shown; empty where the key is missing.
    """

    path: KeyPath
    fault: str
    remedy: str
    value: str = ""


def first_error(faults: Iterable[Fault], lines: Lines) -> RequestError:
    """Return the error for the fault that stands first in the file; there MUST be one."""
    fault = min(faults, key=lambda each: lines.of(each.path))
    key = dotted(fault.path)
    said = f"{key} = {fault.value} {fault.fault}" if fault.value else f"{key} {fault.fault}"
    return refused(lines.of(fault.path), said, fault.remedy, key=key, value=fault.value)


def refused(line: int, said: str, remedy: str, **details: str) -> RequestError:
    """Return the error of one line, counted from 1; 0 = of the file."""
    where = f"{SETTINGS_NAME}, line {line}" if line else SETTINGS_NAME
    facts = {"file": SETTINGS_NAME, **({"line": str(line)} if line else {}), **details}
    return RequestError(f"{where}: {said}", code=Code.INVALID_ARGUMENT, remedy=remedy, **facts)


def dotted(path: KeyPath) -> str:
    """Return a path as people write it, such as ``products.shop.windows[1]``."""
    shown = ""
    for part in path:
        if isinstance(part, int):
            shown += f"[{part}]"
        else:
            shown += f".{_name(part)}" if shown else _name(part)
    return shown


def _name(part: str) -> str:
    """Return a key as it is, or quoted where it is no plain word."""
    plain = part.isascii() and part.replace("-", "_").replace("_", "a").isalnum() and len(part) <= MAX_SHOWN_CHARS
    return part if plain else shown_text(part)


def shown_text(text: str) -> str:
    """Return a text in quotes, cut where it is long, with nothing in it that a terminal could obey."""
    return repr(text) if len(text) <= MAX_SHOWN_CHARS else f"{text[:MAX_SHOWN_CHARS]!r}…"


def shown_value(value: object) -> str:
    """Return a value as the file has it, more or less: short enough for a line."""
    if isinstance(value, str):
        return shown_text(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and not -_MOST_SHOWN < value < _MOST_SHOWN:
        return "a number of more than 18 digits"
    if isinstance(value, dict):
        return "{…}" if value else "{}"
    if isinstance(value, list):
        return _shown_list(value)
    return str(value)


def _shown_list(items: list[object]) -> str:
    """Return the first items of an array."""
    parts = ["[…]" if isinstance(item, list) else shown_value(item) for item in items[:MAX_SHOWN_ITEMS]]
    return f"[{', '.join([*parts, '…'] if len(items) > MAX_SHOWN_ITEMS else parts)}]"
