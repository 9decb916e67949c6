"""A small explicit-state explorer: every state within the bounds, the shortest way to a broken rule.

A model gives its first states, the steps out of a state, and what is wrong with a state. Steps call the project's real
pure functions; what is a model is only the world around them: networks that lose and delay, disks, crashes.

A step that itself shows a broken rule (a verdict that must never be) leads to a :class:`Broken` instead of a state.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator

S = TypeVar("S", bound="Hashable")


SHOWN_CHARS = 600
"""Of a state in a counterexample: its beginning says where it is."""


@dataclass(frozen=True)
class Broken:
    """What a step showed to be wrong, in words."""

    rule: str


@dataclass(frozen=True)
class Counterexample(Generic[S]):
    """The shortest way to something that must not be.

    Attributes:
        rule: what is broken.
        steps: names of the steps, from a first state on.
        state: the last state that was still good.
    """

    rule: str
    steps: tuple[str, ...]
    state: S

    def __str__(self) -> str:
        """Return the way, one step a line."""
        ways = "\n".join(f"  {number}. {step}" for number, step in enumerate(self.steps, 1))
        return f"{self.rule}\n{ways}\n  in {str(self.state)[:SHOWN_CHARS]}"


@dataclass(frozen=True)
class Explored(Generic[S]):
    """What an exploration found.

    Attributes:
        states: how many different ones were reached; all there are, unless a counterexample ended the search.
        steps: how many steps were taken between them.
        counterexample: None when every rule holds everywhere.
    """

    states: int
    steps: int
    counterexample: Counterexample[S] | None

    def holds(self, name: str) -> None:
        """Print the numbers; fail when there is a counterexample."""
        print(f"model {name}: {self.states} states, {self.steps} steps")
        if self.counterexample is not None:
            raise AssertionError(f"{name}: {self.counterexample}")

    def fails(self, name: str, rule: str) -> None:
        """Print the counterexample; fail when there is none, or when it breaks another rule than ``rule``."""
        if self.counterexample is None:
            raise AssertionError(f"{name}: no counterexample in {self.states} states: the clause is not needed here")
        print(f"model {name}: {self.counterexample}")
        if rule not in self.counterexample.rule:
            raise AssertionError(f"{name}: breaks {self.counterexample.rule!r}, not {rule!r}")


class TooLargeError(Exception):
    """The states are more than the bound that the model states; no result may be drawn from a part."""


def explore(
    first: Iterable[S],
    steps: Callable[[S], Iterable[tuple[str, S | Broken]]],
    *,
    wrong: Callable[[S], str | None] = lambda _state: None,
    goal: Callable[[S], bool] | None = None,
    limit: int = 2_000_000,
) -> Explored[S]:
    """Visit every state that can be reached.

    Args:
        first: where it begins.
        steps: (name, next state or what the step broke) for every step out of a state.
        wrong: what is broken in a state; None for nothing.
        goal: where given, a good state from which no goal can be reached any more is a counterexample: somebody is
        stuck.
        limit: the bound that the model states; more is an error.

    Raises:
        TooLargeError: there are more than ``limit`` states.
    """
    search = _Search(steps, wrong, limit, ways=goal is not None)
    counterexample = search.run(first)
    if counterexample is None and goal is not None:
        counterexample = search.stuck(goal)
    return Explored(len(search.parents), search.taken, counterexample)


class _Search(Generic[S]):
    """The states seen so far and how each was reached first."""

    def __init__(
        self,
        steps: Callable[[S], Iterable[tuple[str, S | Broken]]],
        wrong: Callable[[S], str | None],
        limit: int,
        *,
        ways: bool,
    ) -> None:
        """``ways``: keep what leads to each state; :meth:`stuck` needs it."""
        self._steps = steps
        self._wrong = wrong
        self._limit = limit
        self._before: dict[S, list[S]] | None = {} if ways else None
        self.parents: dict[S, tuple[S, str] | None] = {}
        self.taken = 0

    def run(self, first: Iterable[S]) -> Counterexample[S] | None:
        """Search breadth first; return the first broken rule."""
        waiting: deque[S] = deque()
        for state in first:
            if state not in self.parents:
                self.parents[state] = None
                waiting.append(state)
        while waiting:
            state = waiting.popleft()
            rule = self._wrong(state)
            if rule is not None:
                return Counterexample(rule, tuple(self._way(state)), state)
            for name, after in self._steps(state):
                self.taken += 1
                if isinstance(after, Broken):
                    return Counterexample(after.rule, (*self._way(state), name), state)
                if self._before is not None:
                    self._before.setdefault(after, []).append(state)
                if after not in self.parents:
                    self.parents[after] = (state, name)
                    waiting.append(after)
            if len(self.parents) > self._limit:
                raise TooLargeError(f"more than {self._limit} states")
        return None

    def stuck(self, goal: Callable[[S], bool]) -> Counterexample[S] | None:
        """Return a way to a state from which no goal can be reached."""
        before = self._before or {}
        reaching = deque(state for state in self.parents if goal(state))
        good = set(reaching)
        while reaching:
            for state in before.get(reaching.popleft(), ()):
                if state not in good:
                    good.add(state)
                    reaching.append(state)
        lost = next((state for state in self.parents if state not in good), None)
        return None if lost is None else Counterexample("no goal can be reached", tuple(self._way(lost)), lost)

    def _way(self, state: S) -> list[str]:
        """Return the names of the steps to ``state``."""
        return list(reversed(list(self._back(state))))

    def _back(self, state: S) -> Iterator[str]:
        """Yield the names of the steps from ``state`` back to the first."""
        while (parent := self.parents[state]) is not None:
            state, name = parent
            yield name
