"""Windows of maintenance: cases by hand."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest

from fleetroll_agent.settings import formats
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.windows import Window, find_opening, is_open, longest_seconds, next_opening
from fleetroll_common.values.zones import find_zone

BERLIN = "Europe/Berlin"


def windows(*texts: str) -> tuple[Window, ...]:
    return tuple(formats.window(text) for text in texts)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def opening(text: str, since: str, *more: str) -> str:
    """The opening in which work of a second may begin first, in UTC."""
    found = find_opening(windows(text, *more), utc(since), "UTC", 1)
    return f"{found.begins:%a %d %H:%M} - {found.ends:%a %d %H:%M}"


@pytest.mark.parametrize(
    ("text", "since", "found"),
    [
        ("mon-fri 22:00-05:00 Europe/Berlin", "2024-01-07", "Mon 08 21:00 - Tue 09 04:00"),
        ("sun 00:00-24:00 UTC", "2024-01-06", "Sun 07 00:00 - Mon 08 00:00"),
        ("sun 23:00-00:00 UTC", "2024-01-06", "Sun 07 23:00 - Mon 08 00:00"),
        ("sun 08:00-09:00 Asia/Kolkata", "2024-01-06", "Sun 07 02:30 - Sun 07 03:30"),
        # Clocks are put forward from 02:00 to 03:00, on the 31st of March.
        ("sun 02:30-03:30 Europe/Berlin", "2024-03-30", "Sun 31 01:00 - Sun 31 01:30"),
        ("sun 01:30-02:30 Europe/Berlin", "2024-03-30", "Sun 31 00:30 - Sun 31 01:00"),
        ("sat,sun 23:00-05:00 Europe/Berlin", "2024-03-30", "Sat 30 22:00 - Sun 31 03:00"),
        # They are put back from 03:00 to 02:00, on the 27th of October.
        ("sun 02:30-03:30 Europe/Berlin", "2024-10-26", "Sun 27 00:30 - Sun 27 02:30"),
        ("sun 01:30-02:30 Europe/Berlin", "2024-10-26", "Sat 26 23:30 - Sun 27 00:30"),
        ("sun 02:00-03:00 Europe/Berlin", "2024-10-26", "Sun 27 00:00 - Sun 27 02:00"),
        ("sat,sun 23:00-05:00 Europe/Berlin", "2024-10-26", "Sat 26 21:00 - Sun 27 04:00"),
        # Half an hour on Lord Howe.
        ("sun 01:45-02:15 Australia/Lord_Howe", "2024-10-05", "Sat 05 15:15 - Sat 05 15:30"),
        ("sun 01:45-02:15 Australia/Lord_Howe", "2024-04-06", "Sat 06 14:45 - Sat 06 15:45"),
        # In Havana midnight itself is left out.
        ("sat 23:00-24:00 America/Havana", "2024-03-09", "Sun 10 04:00 - Sun 10 05:00"),
        ("sun 00:30-02:00 America/Havana", "2024-03-09", "Sun 10 05:00 - Sun 10 06:00"),
        # Samoa left a Friday out: its window begins with the day after.
        ("fri 22:00-05:00 Pacific/Apia", "2011-12-29", "Fri 30 10:00 - Fri 30 15:00"),
    ],
)
def test_an_opening_has_the_length_that_passes_in_it(text: str, since: str, found: str) -> None:
    """Also where clocks are changed within it, or one of its bounds is left out or comes twice."""
    assert opening(text, since) == found


@pytest.mark.parametrize("text", ["sun 02:00-03:00 Europe/Berlin", "sun 02:15-02:45 Europe/Berlin"])
def test_a_window_whose_times_are_all_left_out_opens_the_next_time(text: str) -> None:
    """There is no such time on that day, and no other one stands in for it."""
    assert opening(text, "2024-03-30").startswith("Sun 07 00:")


def test_windows_that_adjoin_or_overlap_are_one_opening() -> None:
    """Work that ends in the second one may begin in the first, across zones too."""
    assert opening("mon 22:00-24:00 UTC", "2024-01-06", "tue 00:00-05:00 UTC") == "Mon 08 22:00 - Tue 09 05:00"
    assert opening("mon 22:00-02:00 UTC", "2024-01-06", "tue 01:00-01:30 UTC") == "Mon 08 22:00 - Tue 09 02:00"
    assert opening("mon 23:00-24:00 UTC", "2024-01-06", "tue 05:30-07:00 Asia/Kolkata") == "Mon 08 23:00 - Tue 09 01:30"
    assert opening("mon 22:00-23:59 UTC", "2024-01-06", "tue 00:00-05:00 UTC") == "Mon 08 22:00 - Mon 08 23:59"
    assert opening("sat 23:00-24:00 America/Havana", "2024-03-09", "sun 00:00-02:00 America/Havana") == (
        "Sun 10 04:00 - Sun 10 06:00"
    )


def test_work_begins_while_enough_time_is_left() -> None:
    """To the second: as much as it needs is enough."""
    night = windows("mon 22:00-23:00 UTC")
    late = utc("2024-01-08T22:50:00")
    assert is_open(night, late, "UTC", 600)
    assert not is_open(night, late, "UTC", 601)
    assert not is_open(night, late + timedelta(microseconds=1), "UTC", 600)
    assert next_opening(night, late, "UTC", 600) == late
    assert next_opening(night, late, "UTC", 601) == utc("2024-01-15T22:00:00")
    assert not is_open(night, utc("2024-01-08T23:00:00"), "UTC", 0)
    assert not is_open(night, utc("2024-01-08T21:59:59"), "UTC", 0)


def test_without_windows_it_is_always_open() -> None:
    """Nothing was said, so nothing is held back."""
    now = utc("2024-01-08")
    assert is_open((), now, "UTC", 1e9)
    assert next_opening((), now, "UTC", 1e9) == now
    assert longest_seconds((), now, "UTC") == math.inf


def test_days_without_a_gap_never_close() -> None:
    """Not at midnight, and not when clocks change."""
    always = windows("mon-sun 00:00-24:00 Europe/Berlin")
    for day in ("2024-03-31T00:59:59", "2024-10-27T00:30:00", "2024-06-30T22:00:00"):
        assert is_open(always, utc(day), "UTC", 7 * 86400)
    assert longest_seconds(always, utc("2024-01-01"), "UTC") == math.inf


def test_an_instant_of_another_zone_is_the_same_instant() -> None:
    """Callers need not convert."""
    night = windows("mon 22:00-23:00 UTC")
    there = utc("2024-01-08T22:30:00").astimezone(find_zone("Asia/Kolkata"))
    assert is_open(night, there, "UTC", 60)
    assert next_opening(night, there, "UTC", 60) == there


def test_a_window_without_a_zone_of_its_own_goes_by_the_hosts() -> None:
    """The same file opens at another instant in another country."""
    night = windows("mon 22:00-23:00 local")
    assert next_opening(night, utc("2024-01-06"), BERLIN, 60) == utc("2024-01-08T21:00:00")
    assert next_opening(night, utc("2024-01-06"), "Asia/Kolkata", 60) == utc("2024-01-08T16:30:00")


def test_the_longest_opening_goes_by_days_on_which_no_clock_is_changed() -> None:
    """Joined as they are opened, over the end of the week too; the long night of autumn does not count."""
    autumn = utc("2024-10-26")
    assert longest_seconds(windows("sun 02:30-03:30 Europe/Berlin"), autumn, "UTC") == 3600
    assert longest_seconds(windows("sun 22:00-24:00 UTC", "mon 00:00-05:00 UTC"), autumn, "UTC") == 7 * 3600
    assert longest_seconds(windows("sun 22:00-23:00 UTC", "mon 00:00-05:00 UTC"), autumn, "UTC") == 5 * 3600
    assert longest_seconds(windows("mon-sat 00:00-24:00 UTC"), autumn, "UTC") == 6 * 86400
    assert longest_seconds(windows("mon 22:00-24:00 local", "tue 00:00-01:00 UTC"), autumn, "UTC") == 3 * 3600
    assert longest_seconds(windows("mon 22:00-24:00 local", "tue 00:00-01:00 UTC"), autumn, BERLIN) == 2 * 3600


def test_work_that_fits_nowhere_finds_no_opening() -> None:
    """The search has an end; the one long night of the year is found when it comes."""
    short = windows("sun 02:30-03:30 Europe/Berlin")
    assert next_opening(short, utc("2024-01-01"), "UTC", 7201) is None
    assert next_opening(short, utc("2024-01-01"), "UTC", 7200) == utc("2024-10-27T00:30:00")
    assert not is_open(short, utc("2024-10-27T00:30:01"), "UTC", 7200)


@pytest.mark.parametrize("now", ["0001-01-01", "9999-12-31T23:59:59"])
def test_a_clock_at_the_end_of_the_calendar_finds_none(now: str) -> None:
    """It is wrong, and ends nothing."""
    always = windows("mon-sun 00:00-24:00 local")
    assert next_opening(always, utc(now), BERLIN, 1) is None


@pytest.mark.parametrize(("text", "local"), [("mon 22:00-23:00 Europe/Brelin", "UTC"), ("mon 22:00-23:00 local", "")])
def test_an_unknown_zone_is_named_whichever_window_would_be_next(text: str, local: str) -> None:
    """Nobody has to guess why a host waits."""
    both = windows("mon-sun 00:00-24:00 UTC", text)
    for ask in (is_open, next_opening):
        with pytest.raises(RequestError) as caught:
            ask(both, utc("2024-01-01"), local, 60)
        assert caught.value.code == "INVALID_ARGUMENT"
        assert repr(both[1].zone_name(local)) in caught.value.message
    with pytest.raises(RequestError):
        longest_seconds(both, utc("2024-01-01"), local)
