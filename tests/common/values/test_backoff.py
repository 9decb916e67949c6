"""Full jitter, after the cap."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetroll_common.values.backoff import full_jitter


@given(st.integers(0, 10**9), st.floats(0.001, 10), st.floats(10, 3600), st.floats(0, 1, exclude_max=True))
def test_a_wait_is_never_negative_and_never_above_the_cap(
    attempt: int, base: float, cap: float, random01: float
) -> None:
    assert 0 <= full_jitter(attempt, base, cap, random01) <= cap


def test_ceilings_double_until_the_cap() -> None:
    assert [full_jitter(attempt, 1, 10, 0.5) * 2 for attempt in range(6)] == [1, 2, 4, 8, 10, 10]


def test_at_the_cap_the_waiting_hosts_still_spread_over_the_whole_interval() -> None:
    waits = [full_jitter(50, 1, 60, share / 100) for share in range(100)]
    assert waits == pytest.approx([60 * share / 100 for share in range(100)])
