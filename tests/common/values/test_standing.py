"""How a version stands: only what is known to be lower is behind."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetroll_common.values.standing import VersionStanding, version_standing
from fleetroll_common.values.version import Version


@pytest.mark.parametrize(
    ("running", "newest", "expected"),
    [
        ("1.0.0", "1.1.0", "behind"),
        ("1.1.0-rc.1", "1.1.0", "behind"),
        ("1.1.0", "1.1.0", "current"),
        ("1.1.0+g12ab", "1.1.0", "current"),
        ("1.2.0", "1.1.0", "newer"),
        ("0.0.0+dev", "1.1.0", "dev"),
        ("1.0.0+dirty", "1.1.0", "dev"),
        ("1.0.0+dirty", "", "dev"),
        ("", "1.1.0", "unknown"),
        ("what", "1.1.0", "unknown"),
        ("1.0.0", "", "unknown"),
        ("1.0.0", "0.0.0+dev", "unknown"),
    ],
)
def test_each_state_is_a_state_of_its_own(running: str, newest: str, expected: str) -> None:
    assert version_standing(running, newest) == expected


VERSION = st.builds(Version, st.integers(0, 3), st.integers(0, 3), st.integers(0, 3), st.sampled_from([(), ("rc",)]))


@given(VERSION, VERSION)
def test_who_is_behind_is_newer_the_other_way_round(one: Version, other: Version) -> None:
    opposite = {VersionStanding.BEHIND: VersionStanding.NEWER, VersionStanding.NEWER: VersionStanding.BEHIND}
    found = version_standing(str(one), str(other))
    assert version_standing(str(other), str(one)) is opposite.get(found, VersionStanding.CURRENT)
