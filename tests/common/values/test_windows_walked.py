"""Windows against a walk that reads the clock minute by minute."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from fleetroll_common.values.windows import Window, is_open, longest_seconds, next_opening
from tests.common.values.window_walk import DAY, openness, runs

WALKED = 12 * DAY
"""Two days in which work asks, a week until any window opens again, a day for the work, and some."""
CHANGES = {
    "Europe/Berlin": ("2024-03-31", "2024-10-27"),
    "America/New_York": ("2024-03-10", "2024-11-03"),
    "Australia/Lord_Howe": ("2024-04-07", "2024-10-06"),
    "America/Havana": ("2024-03-10", "2024-11-03"),
    "Africa/Casablanca": ("2024-03-10", "2024-04-14"),
    "Pacific/Apia": ("2011-12-30", "2012-04-01"),
    "America/Sao_Paulo": ("2018-11-04", "2019-02-17"),
    "Asia/Kolkata": ("2024-06-01",),
}
BEGINS = sorted(
    {
        int((datetime.fromisoformat(day).replace(tzinfo=UTC) - timedelta(days=ahead)).timestamp())
        for days in CHANGES.values()
        for day in days
        for ahead in (1, 4)
    }
)
ZONES = sorted(CHANGES)

minutes = st.one_of(st.integers(0, DAY - 1), st.sampled_from([0, 60, 90, 120, 135, 150, 180, 210, 1380, 1410, DAY - 1]))


@st.composite
def a_window(draw: st.DrawFn) -> Window:
    begin = draw(minutes)
    end = draw(st.one_of(minutes, st.just(DAY)).filter(lambda end: end != begin))
    days = draw(st.sets(st.integers(0, 6), min_size=1))
    return Window(tuple(sorted(days)), begin, end, draw(st.sampled_from([*ZONES, "local", "local"])))


some_windows = st.lists(a_window(), min_size=1, max_size=3)
needs = st.one_of(st.integers(0, 90_000), st.sampled_from([0, 60, 1800, 3600, 5400, 7200]))


@settings(max_examples=120, deadline=None)
@given(
    some_windows,
    st.sampled_from(ZONES),
    st.sampled_from(BEGINS),
    st.integers(0, 2 * DAY),
    st.sampled_from([0, 0, 1, 59]),
    needs,
)
def test_windows_are_open_when_the_walk_says_so(
    windows: list[Window], local: str, begin: int, minute: int, second: int, needed: int
) -> None:
    """Whether work may begin now, and if not, when: to the second, over changes of the clock."""
    now = begin + minute * 60 + second
    left = [
        (begin + first * 60, begin + (first + length) * 60)
        for first, length in runs(openness(windows, local, begin, WALKED))
    ]
    expected = next(
        (max(now, opens) for opens, closes in left if closes > now and closes - max(now, opens) >= needed), None
    )
    instant = datetime.fromtimestamp(now, UTC)
    assert is_open(windows, instant, local, needed) == (expected == now)
    found = next_opening(windows, instant, local, needed)
    if expected is None:
        assert found is None or found.timestamp() > begin + WALKED * 60 - needed
    else:
        assert found.timestamp() == expected


@settings(max_examples=100, deadline=None)
@given(some_windows, st.sampled_from(["Asia/Kolkata", "UTC", "Asia/Tokyo"]), needs)
def test_what_is_as_long_as_the_longest_opening_fits_and_what_is_longer_does_not(
    windows: list[Window], local: str, needed: int
) -> None:
    """Where no clock is changed, the longest opening and the search for one agree."""
    steady = [Window(window.days, window.from_minutes, window.to_minutes, "local") for window in windows]
    now = datetime(2024, 6, 1, tzinfo=UTC)
    fits = next_opening(steady, now, local, needed) is not None
    assert fits == (needed <= longest_seconds(steady, now, local))
