"""Which points of a traced update are disturbed, and who is killed there: taken from the trace, never from a list.

Points are *distinct* when they differ in role, state or pattern. The state is what the role's record says at that
moment, so each step of the attempt has its own, and a process that was started anew finds itself in the same state; in
the pattern, numbers and the artefact's own file names are gone: four hundred files of one slot are written by the same
lines.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.crash.update.world import LAUNCHER, NEW_AGENT, OLD_AGENT, STARTING
from tests.faults.plans import Point
from tests.faults.shim_hunt import pattern

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SEED = 20261
VICTIMS = {
    "agent": {LAUNCHER: "child", OLD_AGENT: "self", NEW_AGENT: "self", STARTING: "self"},
    "launcher": {LAUNCHER: "self", OLD_AGENT: "parent", NEW_AGENT: "parent", STARTING: "parent"},
    "both": {LAUNCHER: "self+child", OLD_AGENT: "self+parent", NEW_AGENT: "self+parent", STARTING: "self+parent"},
}
"""How the shim names a victim, by the role of the process that is at the point."""

_LOGS = ("agent.log", "launcher.status", "launcher.lock")
"""Written at times that no run repeats; read by people only."""
_DISK = frozenset({"create", "write", "fsync", "rename", "mkdir", "truncate"})
_NOTHING_AFTER = frozenset({"exec", "received"})
"""After an exec there is no shim; a message that was received is one point, before the program sees it."""


@dataclass(frozen=True)
class Seen:
    """A point of the trace, and what its role's record said then."""

    point: Point
    state: str

    @property
    def key(self) -> tuple[str, str, str]:
        """Return what makes the point distinct."""
        return self.point.role, self.state, pattern(self.point.point)

    @property
    def kind(self) -> str:
        """Return what sort of effect it is: ``write``, ``rename``, ``send``; on the pipe it is a ``message``."""
        name = self.point.point.partition(":")[0]
        return "message" if self.point.point.startswith("write:pipe") else name


@dataclass(frozen=True)
class Distinct(Seen):
    """One of a group of alike points, chosen by lot: the ``nth`` of them in its process."""

    nth: int

    def deeds(self) -> tuple[str, ...]:
        """Return how a process can be killed here."""
        return ("kill-before",) if self.kind in _NOTHING_AFTER else ("kill-before", "kill-after")

    def quarry(self, do: str, victim: str = "self") -> list[object]:
        """Return the point as the hunt's list has it."""
        return [*self.key, self.nth, do, victim]


def of_update(lines: Iterable[dict[str, Any]]) -> list[Seen]:
    """Return the points of launcher and agents that belong to the update."""
    mine = (LAUNCHER, OLD_AGENT, NEW_AGENT, STARTING)
    return [
        Seen(Point(line["role"], line["process"], line["point"], line["occurrence"]), line["state"])
        for line in lines
        if line["role"] in mine and not any(log in line["point"] for log in _LOGS)
    ]


def distinct(points: Iterable[Seen], seed: int = SEED) -> list[Distinct]:
    """Return one of each group of alike points, in the order of the trace."""
    groups: dict[tuple[str, str, str], list[Seen]] = {}
    for seen in points:
        groups.setdefault(seen.key, []).append(seen)
    chance = random.Random(seed)
    chosen = [(group, chance.randrange(len(group))) for group in groups.values()]
    return [Distinct(group[number].point, group[number].state, number + 1) for group, number in chosen]


def sample(points: Sequence[Distinct], count: int, seed: int = SEED) -> list[Distinct]:
    """Return ``count`` points (or all), every role and kind in turn, so that the rare ones are among them."""
    chance = random.Random(seed)
    groups: dict[tuple[str, str], list[Distinct]] = {}
    for known in chance.sample(list(points), len(points)):
        groups.setdefault((known.point.role, known.kind), []).append(known)
    ranked = [(number, group[number]) for group in groups.values() for number in range(len(group))]
    return [known for _number, known in sorted(ranked, key=lambda pair: pair[0])][:count]


def on_disk(points: Iterable[Distinct]) -> list[Distinct]:
    """Return the agents' points at which a disk can refuse."""
    return [known for known in points if known.point.role in (OLD_AGENT, NEW_AGENT) and known.kind in _DISK]


def counted(words: Iterable[str]) -> str:
    """Return how often each word came, in one line."""
    return ", ".join(f"{word} {count}" for word, count in sorted(Counter(words).items()))
