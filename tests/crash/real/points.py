"""Which points of a traced life are disturbed, and who is killed there: taken from the trace, never from a list.

Points are *distinct* when they differ in role, state or pattern. The state is what the role's record says at that
moment, so each step of the attempt has its own, and a process that was started anew finds itself in the same state; in
the pattern, numbers and the artefact's own file names are gone: four hundred files of one slot are written by the same
lines.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from tests.crash.real.host import LAUNCHER
from tests.faults.plans import Point
from tests.faults.shim_hunt import pattern

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

_Case = TypeVar("_Case")
SEED = 20261
EVERY_AFTER = 6
VICTIMS = ("agent", "launcher", "both")
_OF_LAUNCHER = {"agent": "child", "launcher": "self", "both": "self+child"}
_OF_AGENT = {"agent": "self", "launcher": "parent", "both": "self+parent"}

_LOGS = ("agent.log", "launcher.status", "launcher.lock")
"""Written at times that no run repeats; read by people only."""
_DRAFTING = frozenset({"unlink", "create", "write", "fsync", "truncate"})
_ADDED_TO = (".log", ".part", ".note")
_MANY_ALIKE = ("trust", "trust/root_history")
_BY_CHANCE = (".heartbeat", ".ack", ".log_lines", ":beat")
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

    def shim_name(self, victim: str) -> str:
        """Return how the shim names one of ``VICTIMS`` here; the agent's starting process is an agent."""
        return (_OF_LAUNCHER if self.point.role == LAUNCHER else _OF_AGENT)[victim]


def of_roles(lines: Iterable[dict[str, Any]], roles: Collection[str]) -> list[Seen]:
    """Return the points of processes of those roles."""
    return [
        Seen(Point(line["role"], line["process"], line["point"], line["occurrence"]), line["state"])
        for line in lines
        if line["role"] in roles and not any(log in line["point"] for log in _LOGS)
    ]


def one_each(known: Iterable[Distinct]) -> list[list[object]]:
    """Return one kill of whoever is at the point, for each point; one in ``EVERY_AFTER`` comes after the call."""
    return [
        at.quarry(at.deeds()[-1 if number % EVERY_AFTER == EVERY_AFTER - 1 else 0]) for number, at in enumerate(known)
    ]


def every_victim(known: Iterable[Distinct]) -> list[list[object]]:
    """Return every kill: before and after, of the agent, the launcher, and both."""
    return [at.quarry(do, at.shim_name(who)) for at in known for do in at.deeds() for who in VICTIMS]


def distinct(points: Iterable[Seen], seed: int = SEED) -> list[Distinct]:
    """Return one of each group of alike points, in the order of the trace."""
    groups: dict[tuple[str, str, str], list[Seen]] = {}
    for seen in points:
        groups.setdefault(seen.key, []).append(seen)
    chance = random.Random(seed)
    chosen = [(group, chance.randrange(len(group))) for group in groups.values()]
    return [Distinct(group[number].point, group[number].state, number + 1) for group, number in chosen]


def mixed(cases: Iterable[_Case], seed: int) -> list[_Case]:
    """Return cases in an order by lot: a sample of any length has no repeats."""
    known = list(cases)
    random.Random(seed).shuffle(known)
    return known


def one_of_each_effect(points: Iterable[Distinct], seed: int = SEED) -> list[Distinct]:
    """Return one point of those that lie before the same effect, chosen by lot, in the order of the trace.

    While a file is drafted, or added to and not yet synced, a kill leaves the same host; and what comes when chance
    wants, as a heartbeat does, comes in no state of its own.
    """
    groups: dict[tuple[str, str, str], list[Distinct]] = {}
    for known in points:
        groups.setdefault(_effect(*known.key), []).append(known)
    chance = random.Random(seed)
    return [chance.choice(group) for group in groups.values()]


def _effect(role: str, state: str, name: str) -> tuple[str, str, str]:
    if name.endswith(_BY_CHANCE):
        return role, "", name
    kind, _, file = name.partition(":")
    folder = file.rpartition("/")[0]
    if kind == "mkdir":
        return role, state, kind
    if kind in _DRAFTING and file.endswith(".new"):
        return role, state, f"draft:{folder}"
    if kind in _DRAFTING and file.endswith(_ADDED_TO):
        return role, state, f"append:{folder}"
    return role, state, f"{kind}:{folder if folder in _MANY_ALIKE else file}"


def fault_of(role: str, do: str, victim: str) -> str:
    """Return how the table calls a kill."""
    known = _OF_LAUNCHER if role == LAUNCHER else _OF_AGENT
    who = next(name for name, shim_name in known.items() if shim_name == victim)
    return f"SIGKILL {who} {do.removeprefix('kill-')}"


def faults_of(quarries: Iterable[Sequence[Any]]) -> Counter[str]:
    """Return how many quarries there are of each kill."""
    return Counter(fault_of(words[0], words[-2], words[-1]) for words in quarries)


def sample(points: Sequence[Distinct], count: int, seed: int = SEED) -> list[Distinct]:
    """Return ``count`` points (or all), every role and kind in turn, so that the rare ones are among them."""
    chance = random.Random(seed)
    groups: dict[tuple[str, str], list[Distinct]] = {}
    for known in chance.sample(list(points), len(points)):
        groups.setdefault((known.point.role, known.kind), []).append(known)
    ranked = [(number, group[number]) for group in groups.values() for number in range(len(group))]
    return [known for _number, known in sorted(ranked, key=lambda pair: pair[0])][:count]


def on_disk(points: Iterable[Distinct], agents: Collection[str]) -> list[Distinct]:
    """Return the agents' points at which a disk can refuse."""
    return [known for known in points if known.point.role in agents and known.kind in _DISK]


def counted(words: Iterable[str]) -> str:
    """Return how often each word came, in one line."""
    return ", ".join(f"{word} {count}" for word, count in sorted(Counter(words).items()))
