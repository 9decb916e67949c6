"""The number of the next assignment: above both sides', never an attempt's twice, and within the host's reach."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetroll_common.values.generations import MAX_JUMP
from fleetroll_server.domain.generations import MAX_GENERATION_SHOWN, is_out_of_reach, next_generation


@given(st.integers(0, MAX_GENERATION_SHOWN + 2**39), st.integers(-(2**63), 2**63 - 1))
def test_the_next_generation_is_above_both_unless_the_host_shows_nonsense(stored: int, highest: int) -> None:
    found = next_generation(stored, highest)
    assert stored < found < 2**63
    assert found > highest or highest > MAX_GENERATION_SHOWN


def test_the_generation_of_a_host_that_is_still_believed() -> None:
    assert next_generation(3, 7) == 8
    assert next_generation(7, 3) == 8
    assert next_generation(0, 2**33) == 2**33 + 1
    assert next_generation(0, MAX_GENERATION_SHOWN) == MAX_GENERATION_SHOWN + 1
    assert next_generation(0, MAX_GENERATION_SHOWN + 1) == 1
    assert next_generation(MAX_GENERATION_SHOWN + 5, MAX_GENERATION_SHOWN + 5) == MAX_GENERATION_SHOWN + 6


@given(st.integers(0, 20), st.integers(0, 20), st.sets(st.integers(0, 25)))
def test_it_is_the_lowest_free_one(stored: int, highest: int, used: set[int]) -> None:
    found = next_generation(stored, highest, used)
    between = set(range(max(stored, highest) + 1, found))
    assert found > max(stored, highest)
    assert found not in used
    assert between <= used


def test_an_attempt_at_the_end_of_the_hosts_reach_hides_no_free_number() -> None:
    assert next_generation(0, 1, {1 + MAX_JUMP}) == 2
    assert next_generation(0, 1, {2, 3, 1 + MAX_JUMP}) == 4


@pytest.mark.parametrize("shown", [0, 1, 7, 2**33])
def test_out_of_reach_is_what_a_host_would_refuse(shown: int) -> None:
    assert not is_out_of_reach(shown, shown)
    assert not is_out_of_reach(0, shown)
    assert not is_out_of_reach(shown + MAX_JUMP, shown)
    assert is_out_of_reach(shown + MAX_JUMP + 1, shown)


def test_a_number_below_zero_counts_as_none() -> None:
    assert not is_out_of_reach(MAX_JUMP, -(2**63))
    assert is_out_of_reach(MAX_JUMP + 1, -(2**63))
