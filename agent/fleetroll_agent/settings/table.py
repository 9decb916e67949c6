"""What a table of ``agent.toml`` may hold: how a key is read, its unit, its meaning. Reader and reference go by it.

Defaults stand in the values. Bounds are wide: they catch slips of the pen, such as milliseconds for seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleetroll_agent.settings.product import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fleetroll_agent.settings.readers import Reader

DAY_SECONDS = 86400
EVERY = frozenset(Kind)
MANAGED = EVERY - {Kind.AGENT}
PLACED = frozenset({Kind.SLOTS, Kind.FILE})
"""What the agent itself unpacks, switches and takes back."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key.

    Attributes:
        name: as the file has it.
        reader: of its value.
        meaning: for the reference, one or two sentences; the unit stands apart.
        unit: of the number; empty where there is none.
        kinds: of products that may have it.
        default: for the reference, where the value's own default does not say it.
    """

    name: str
    reader: Reader
    meaning: str
    unit: str = ""
    kinds: frozenset[Kind] = EVERY
    default: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """One table.

    Attributes:
        name: for people, such as ``products.NAME.health``.
        about: for the reference.
        keys: it has.
        values: classes whose fields have the defaults of the keys.
        prefix: of those fields' names.
        parts: tables in it by their names.
        kinds: of products that may have it.
        brief: reads the table where it is written as an array; None = it can't be.
    """

    name: str
    about: str
    keys: tuple[Key, ...]
    values: tuple[type, ...] = ()
    prefix: str = ""
    parts: Mapping[str, Section] | None = None
    kinds: frozenset[Kind] = EVERY
    brief: Reader | None = None

    def key(self, name: str) -> Key | None:
        """Return the key with this name."""
        return next((key for key in self.keys if key.name == name), None)

    def part(self, name: str) -> Section | None:
        """Return the table with this name."""
        return (self.parts or {}).get(name)

    @property
    def names(self) -> tuple[str, ...]:
        """Return what the table may hold."""
        return (*(key.name for key in self.keys), *(self.parts or {}))
