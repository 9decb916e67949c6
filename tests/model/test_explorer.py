"""The explorer itself: it sees every state, finds the shortest way, and knows when somebody is stuck."""

from __future__ import annotations

import pytest

from tests.model.explorer import Broken, Counterexample, TooLargeError, explore

State = tuple[int, int]


def _jugs(state: State) -> list[tuple[str, State | Broken]]:
    """Two jugs of three and five litres: the old riddle of measuring four."""
    small, big = state
    down, up = min(small, 5 - big), min(big, 3 - small)
    return [
        ("fill small", (3, big)),
        ("fill big", (small, 5)),
        ("empty small", (0, big)),
        ("empty big", (small, 0)),
        ("small to big", (small - down, big + down)),
        ("big to small", (small + up, big - up)),
    ]


def test_every_state_is_visited_once() -> None:
    found = explore([(0, 0)], _jugs)
    assert (found.states, found.steps, found.counterexample) == (16, 96, None)


def test_the_way_to_a_broken_rule_is_the_shortest() -> None:
    found = explore([(0, 0)], _jugs, wrong=lambda state: "four litres" if state[1] == 4 else None)
    steps = ("fill big", "big to small", "empty small", "big to small", "fill big", "big to small")
    assert found.counterexample == Counterexample("four litres", steps, (3, 4))
    with pytest.raises(AssertionError, match="four litres"):
        found.holds("jugs")
    found.fails("jugs", "four")
    with pytest.raises(AssertionError, match="not 'five'"):
        found.fails("jugs", "five")


def test_a_step_can_be_what_is_broken() -> None:
    found = explore([0], lambda number: [("up", number + 1 if number < 2 else Broken("too high"))])
    assert found.counterexample == Counterexample("too high", ("up", "up", "up"), 2)


def test_without_a_counterexample_a_removed_clause_is_told_to_be_unneeded() -> None:
    with pytest.raises(AssertionError, match="not needed"):
        explore([(0, 0)], _jugs).fails("jugs", "")


def test_a_state_that_can_not_reach_a_goal_any_more_is_found() -> None:
    ways = {0: [1, 2], 1: [0], 2: [3], 3: [2]}
    found = explore(
        [0], lambda number: [(f"to {after}", after) for after in ways[number]], goal=lambda number: number == 0
    )
    assert found.counterexample == Counterexample("no goal can be reached", ("to 2",), 2)
    ways[3] = [0]
    assert (
        explore([0], lambda number: [("", after) for after in ways[number]], goal=lambda n: n == 0).counterexample
        is None
    )


def test_more_states_than_the_bound_are_an_error_and_no_result() -> None:
    with pytest.raises(TooLargeError):
        explore([0], lambda number: [("up", number + 1)], limit=100)
