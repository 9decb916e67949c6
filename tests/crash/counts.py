"""How many cases a proof ran, of those that are distinct and of those that exist: one table for all proofs.

A case that is told apart from another one by nothing is the same run; of a real program it is a point that only another
name has. Where nobody counted what is distinct, all are.
"""

from __future__ import annotations

import os
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable, Sequence

PROPERTY = "crash-count"
"""Under this name a count travels from the test to the table."""
FULL_MINUTES = 0.0
_HEAD = ("level", "kind", "fault", "run", "distinct", "exist")


@dataclass(frozen=True)
class Count:
    """One line.

    Attributes:
        level: ``model`` (the agent's code in virtual time) or ``real`` (processes).
        kind: of the product; ``agent`` = it updates itself.
        fault: that strikes.
        run: cases.
        distinct: cases that are no run like another one's.
        exist: all cases.
    """

    level: str
    kind: str
    fault: str
    run: int
    distinct: int
    exist: int

    @classmethod
    def read(cls, words: Sequence[Any]) -> Self:
        """Return the count that travelled as ``words``."""
        return cls(*words)


class Counts:
    """Takes the counts of one test."""

    def __init__(self, properties: list[tuple[str, object]]) -> None:
        """Put them among the ``properties`` of a test's report."""
        self._properties = properties

    def add(
        self,
        level: str,
        kind: str,
        run: Counter[str],
        exist: Counter[str],
        distinct: Counter[str] | None = None,
    ) -> None:
        """Take one line for each fault that exists."""
        for fault, number in exist.items():
            count = Count(level, kind, fault, run[fault], (distinct or exist)[fault], number)
            self._properties.append((PROPERTY, list(astuple(count))))


def table(counts: Iterable[Count]) -> list[str]:
    """Return the table's lines; the last one has the sums."""
    known = sorted(counts, key=lambda one: (one.level, one.kind))
    sums = [sum(getattr(one, name) for one in known) for name in _HEAD[3:]]
    rows = [_HEAD, *(tuple(map(str, astuple(one))) for one in known), ("sum", "", "", *map(str, sums))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    return [
        "  ".join(
            word.ljust(width) if column < 3 else word.rjust(width)
            for column, (word, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def seed(otherwise: int) -> int:
    """Return the number that SEED asks for."""
    return int(os.environ.get("SEED") or otherwise)


def minutes(share: float) -> float:
    """Return the ``share`` of MINUTES, which all samples have together; 0 = everything is to be run."""
    return float(os.environ.get("MINUTES") or FULL_MINUTES) * share
