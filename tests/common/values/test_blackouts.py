"""Blackouts: how they are written, when they begin and end, and what they leave of windows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetroll_common.values.blackouts import free_spans, next_start, read_blackout
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.window_text import read_window

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
WINDOWS = ("mon-fri 22:00-05:00 Europe/Berlin", "sat 10:00-10:30 UTC")
DAYS = ("2026-12-02 UTC", "2026-12-20..2027-01-04 Europe/Berlin", "2026-12-05 Asia/Kolkata", "2026-12-24 local")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("2026-12-24", "does not have two parts"),
        ("2026-13-24 UTC", "no day such as"),
        ("24.12.2026 UTC", "no day such as"),
        ("2026-12-24..2026-12-20 UTC", "ends before it begins"),
        ("2026-01-01..2027-06-01 UTC", "longer than 366 days"),
        ("2026-12-24 nowhere", "no zone such as"),
        ("9999-12-31 UTC", "no day such as"),
    ],
)
def test_what_is_no_blackout_is_refused(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        read_blackout(text)


@pytest.mark.parametrize("text", DAYS)
def test_a_blackout_is_written_as_it_is_read(text: str) -> None:
    assert str(read_blackout(text)) == text


def test_a_blackout_is_as_long_as_its_days_by_the_clocks_of_its_zone() -> None:
    """The day on which clocks are put back has 25 hours; one whose midnight is left out begins where it should."""
    begin, end = read_blackout("2026-10-25 Europe/Berlin").span("UTC")
    assert end - begin == timedelta(hours=25)
    begin, end = read_blackout("2018-11-04 America/Sao_Paulo").span("UTC")
    assert (begin, end - begin) == (datetime(2018, 11, 4, 3, tzinfo=UTC), timedelta(hours=23))
    assert read_blackout("2026-12-24 local").span("Asia/Tokyo")[0] == datetime(2026, 12, 23, 15, tzinfo=UTC)


def test_no_work_begins_that_would_reach_into_a_blackout() -> None:
    windows, blackouts = [read_window("tue 20:00-24:00 UTC")], [read_blackout("2026-12-02 UTC")]
    late = datetime(2026, 12, 1, 23, 50, tzinfo=UTC)
    assert next_start(windows, blackouts, late, "UTC", 600) == late
    assert next_start(windows, blackouts, late, "UTC", 601) == datetime(2026, 12, 8, 20, tzinfo=UTC)
    assert next_start((), blackouts, late, "UTC", 600) == late
    assert next_start((), blackouts, late, "UTC", 601) == datetime(2026, 12, 3, tzinfo=UTC)


def test_blackouts_that_never_end_leave_nothing() -> None:
    windows = [read_window("mon 02:00-04:00 UTC")]
    blackouts = [read_blackout(f"{year}-01-01..{year}-12-31 UTC") for year in range(2026, 2029)]
    assert next_start(windows, blackouts, NOW, "UTC", 60) == datetime(2029, 1, 1, 2, tzinfo=UTC)
    assert next_start([read_window("mon 02:00-02:10 UTC")], (), NOW, "UTC", 601) is None


def test_an_unknown_zone_is_told_also_where_nothing_is_looked_for() -> None:
    with pytest.raises(RequestError, match="no time zone"):
        next_start((), [read_blackout("2026-12-24 local")], NOW, "Nowhere/Else", 60)


instants = st.datetimes(datetime(2026, 11, 30), datetime(2027, 1, 10), timezones=st.just(UTC))  # noqa: DTZ001


@given(
    at=instants,
    windows=st.lists(st.sampled_from(WINDOWS), unique=True),
    days=st.lists(st.sampled_from(DAYS), unique=True),
    needed=st.integers(0, 8 * 3600),
)
def test_between_windows_and_blackouts_no_earlier_start_is_passed_over(
    at: datetime, windows: list[str], days: list[str], needed: int
) -> None:
    """Told again by minutes: work fits where each of its minutes is in a window and in no blackout."""
    at = at.replace(second=0, microsecond=0)
    opened, shut = [read_window(text) for text in windows], [read_blackout(text) for text in days]
    zone = "America/New_York"
    found = next_start(opened, shut, at, zone, needed)
    spans = [blackout.span(zone) for blackout in shut]

    def may(begin: datetime) -> bool:
        ends = begin + timedelta(seconds=max(needed, 1))
        inside = next_start(opened, (), begin, zone, needed) == begin
        return inside and not any(begun < ends and begin < ended for begun, ended in spans)

    looked = (at + timedelta(minutes=15 * number) for number in range(4 * 24 * 3))
    first = next((begin for begin in looked if may(begin)), None)
    if found is not None:
        assert may(found)
    if first is not None:
        assert found is not None
        assert found <= first


@given(at=instants, days=st.lists(st.sampled_from(DAYS), unique=True), needed=st.integers(60, 3600))
def test_free_spans_are_where_work_may_begin(at: datetime, days: list[str], needed: int) -> None:
    opened, shut = [read_window(text) for text in WINDOWS], [read_blackout(text) for text in days]
    before = at
    for begins, ends in islice(free_spans(opened, shut, at, "UTC", needed), 6):
        assert ends is not None
        assert before <= begins < ends
        assert next_start(opened, shut, before, "UTC", needed) == begins
        assert next_start(opened, shut, ends - timedelta(seconds=needed), "UTC", needed) == ends - timedelta(
            seconds=needed
        )
        assert next_start(opened, shut, ends - timedelta(seconds=needed - 1), "UTC", needed) != ends - timedelta(
            seconds=needed - 1
        )
        before = ends


def test_without_windows_and_blackouts_it_is_free_for_ever() -> None:
    assert list(free_spans((), (), NOW, "UTC", 60)) == [(NOW, None)]
