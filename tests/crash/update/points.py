"""Which points of a traced update are disturbed, and who is killed there: taken from the trace, never from a list.

Points are *distinct* when they differ in role, process, phase or pattern. The phase counts the records that the process
has put in place, so each state of the attempt has its own; in the pattern, numbers and the artefact's own file names
are gone: four hundred files of one slot are written by the same lines.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from typing import TYPE_CHECKING

from tests.crash.update.world import LAUNCHER, NEW_AGENT, OLD_AGENT, STARTING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.faults.plans import Point

SEED = 20261
VICTIMS = {
    "agent": {LAUNCHER: "child", OLD_AGENT: "self", NEW_AGENT: "self", STARTING: "self"},
    "launcher": {LAUNCHER: "self", OLD_AGENT: "parent", NEW_AGENT: "parent", STARTING: "parent"},
    "both": {LAUNCHER: "self+child", OLD_AGENT: "self+parent", NEW_AGENT: "self+parent", STARTING: "self+parent"},
}
"""How the shim names a victim, by the role of the process that is at the point."""

_RECORDS = ("rename:boot.json", "rename:products/agent.json")
_LOGS = ("agent.log", "launcher.status", "launcher.lock")
"""Written at times that no run repeats; read by people only."""
_INSIDE = re.compile(r"(slots/agent/[^/]+)/(?![A-Z.]+(?:\.new)?$).+")
_NUMBERS = re.compile(r"\d+")
_DISK = frozenset({"create", "write", "fsync", "rename", "mkdir", "truncate"})


def kind(point: Point) -> str:
    """Return what sort of effect it is: ``write``, ``rename``, ``send``; a message on the pipe is a ``message``."""
    name = point.point.partition(":")[0]
    return "message" if point.point.startswith("write:pipe") else name


def pattern(point: Point) -> str:
    """Return the point's name without what differs from file to file."""
    return _NUMBERS.sub("N", _INSIDE.sub(r"\1/…", point.point))


def of_update(points: Iterable[Point]) -> list[Point]:
    """Return the points of launcher and agents that belong to the update."""
    mine = (LAUNCHER, OLD_AGENT, NEW_AGENT, STARTING)
    return [point for point in points if point.role in mine and not any(log in point.point for log in _LOGS)]


def distinct(points: Iterable[Point], seed: int = SEED) -> list[Point]:
    """Return one of each group of alike points, in the order of the trace."""
    groups: dict[tuple[str, int, int, str], list[Point]] = {}
    phases: Counter[tuple[str, int]] = Counter()
    for point in points:
        who = (point.role, point.process)
        groups.setdefault((*who, phases[who], pattern(point)), []).append(point)
        phases[who] += point.point in _RECORDS
    chance = random.Random(seed)
    return [chance.choice(group) for group in groups.values()]


def sample(points: Sequence[Point], count: int, seed: int = SEED) -> list[Point]:
    """Return ``count`` points (or all), every role and kind in turn, so that the rare ones are among them."""
    chance = random.Random(seed)
    groups: dict[tuple[str, str], list[Point]] = {}
    for point in chance.sample(list(points), len(points)):
        groups.setdefault((point.role, kind(point)), []).append(point)
    ranked = [(number, group[number]) for group in groups.values() for number in range(len(group))]
    return [point for _number, point in sorted(ranked, key=lambda pair: pair[0])][:count]


def on_disk(points: Iterable[Point]) -> list[Point]:
    """Return the agents' points at which a disk can refuse."""
    return [point for point in points if point.role in (OLD_AGENT, NEW_AGENT) and kind(point) in _DISK]


def counted(words: Iterable[str]) -> str:
    """Return how often each word came, in one line."""
    return ", ".join(f"{word} {count}" for word, count in sorted(Counter(words).items()))
