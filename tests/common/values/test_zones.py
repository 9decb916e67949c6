"""Zones: from the pinned data alone, and the first instant at which their clocks show something."""

from __future__ import annotations

import contextlib
import importlib.resources
import os
import subprocess
import sys
import zoneinfo
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.zones import find_zone, first_instant

if TYPE_CHECKING:
    from pathlib import Path

SHOWN = "find_zone('Europe/Berlin').utcoffset(datetime(2024, 7, 1)).total_seconds()"


def shown(text: str) -> datetime:
    """What a clock shows, without a zone."""
    return datetime.fromisoformat(text)


times = st.datetimes(shown("2010-01-01"), shown("2030-01-01"))


def forged(folder: Path) -> Path:
    """Return a database in which Berlin goes by UTC, and in which there is a zone that is nowhere else."""
    (folder / "Europe").mkdir()
    data = importlib.resources.files("tzdata").joinpath("zoneinfo", "UTC").read_bytes()
    for name in ("Berlin", "Nowhere"):
        (folder / "Europe" / name).write_bytes(data)
    return folder


def test_nothing_of_the_operating_systems_zones_is_read(tmp_path: Path) -> None:
    """Neither its folders nor a variable of the environment lead to another database."""
    code = (
        "import zoneinfo\nfrom datetime import datetime\nzoneinfo.ZoneInfo('Europe/Nowhere')\n"
        "early = zoneinfo.ZoneInfo('Europe/Berlin').utcoffset(datetime(2024, 7, 1)).total_seconds()\n"
        "from fleetroll_common.values.zones import find_zone\n"
        f"print(early, {SHOWN}, zoneinfo.TZPATH)\nfind_zone('Europe/Nowhere')"
    )
    env = {**os.environ, "PYTHONTZPATH": str(forged(tmp_path))}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.stdout == "0.0 7200.0 ()\n"
    assert "INVALID_ARGUMENT" in done.stderr


def test_every_zone_of_the_database_is_known() -> None:
    """The list that the data itself has, old names included."""
    names = importlib.resources.files("tzdata").joinpath("zones").read_text("ascii").split()
    assert len(names) > 500
    assert [find_zone(name).key for name in names] == names
    assert zoneinfo.TZPATH == ()


NONE = """
 . / Europe Europe/ Europe//Berlin Europe/Brelin europe/berlin /etc/localtime ../UTC Europe/../UTC zone.tab tzdata.zi
 __init__.py a.b/c Zürich
"""


@pytest.mark.parametrize("name", ["", "UTC ", "a\0b", "\ud800", *NONE.split()])
def test_what_is_no_zone_is_refused_by_name(name: str) -> None:
    """The sentence has the name, in letters that can be shown."""
    with pytest.raises(RequestError) as caught:
        find_zone(name)
    assert caught.value.code == "INVALID_ARGUMENT"
    assert repr(name[:64]) in str(caught.value)
    assert "Europe/Berlin" in str(caught.value)


def test_a_name_without_end_is_cut() -> None:
    """Hosts name zones, too."""
    with pytest.raises(RequestError, match=r"^zone: 'x{64}' is no time zone"):
        find_zone("x" * 1_000_000)


@given(st.text())
def test_whatever_is_asked_for_is_a_zone_or_refused(name: str) -> None:
    """No name ends in another error."""
    with contextlib.suppress(RequestError):
        assert find_zone(name).key == name


@pytest.mark.parametrize(
    ("zone", "local", "instant"),
    [
        ("Europe/Berlin", "2024-01-01T12:00", "2024-01-01T11:00"),
        ("Europe/Berlin", "2024-03-31T01:59", "2024-03-31T00:59"),
        # 02:00 to 03:00 is left out.
        ("Europe/Berlin", "2024-03-31T02:00", "2024-03-31T01:00"),
        ("Europe/Berlin", "2024-03-31T02:59", "2024-03-31T01:00"),
        ("Europe/Berlin", "2024-03-31T03:00", "2024-03-31T01:00"),
        # 02:00 to 03:00 comes twice.
        ("Europe/Berlin", "2024-10-27T02:30", "2024-10-27T00:30"),
        ("Europe/Berlin", "2024-10-27T03:00", "2024-10-27T02:00"),
        # Half an hour.
        ("Australia/Lord_Howe", "2024-10-06T02:10", "2024-10-05T15:30"),
        ("Australia/Lord_Howe", "2024-04-07T01:45", "2024-04-06T14:45"),
        # At midnight.
        ("America/Havana", "2024-03-10T00:30", "2024-03-10T05:00"),
        # A whole day, when Samoa went over the date line.
        ("Pacific/Apia", "2011-12-30T12:00", "2011-12-30T10:00"),
        ("Pacific/Apia", "2011-12-31T00:00", "2011-12-30T10:00"),
    ],
)
def test_a_time_is_the_first_instant_at_which_clocks_show_it_or_a_later_one(
    zone: str, local: str, instant: str
) -> None:
    """What is left out shifts forward, what comes twice is its first occurrence."""
    assert first_instant(shown(local), find_zone(zone)) == shown(instant).replace(tzinfo=UTC)


@given(
    st.sampled_from(["Europe/Berlin", "Africa/Casablanca", "Australia/Lord_Howe", "America/Havana", "Pacific/Apia"]),
    times,
    times,
)
def test_a_later_time_is_never_an_earlier_instant(zone: str, one: datetime, other: datetime) -> None:
    """So no window ends before it begins."""
    early, late = sorted((one, other))
    assert first_instant(early, find_zone(zone)) <= first_instant(late, find_zone(zone))
