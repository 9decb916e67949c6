"""Ranges of versions: short bounds speak of the numbers they name, whole ones of precedence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.version import Version
from fleetroll_common.values.version_range import MAX_COMPARISONS, MAX_RANGE_CHARS, VersionRange


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        (">=1.2,<2", ["1.2.0", "1.2.0-rc.1", "1.9.9"], ["1.1.9", "2.0.0", "2.0.0-rc.1"]),
        ("=1.2", ["1.2.0", "1.2.99"], ["1.3.0", "1.1.0"]),
        ("==1.2.3", ["1.2.3", "1.2.3+g12ab"], ["1.2.4", "1.2.3-rc.1"]),
        ("!=1", ["0.9.0", "2.0.0"], ["1.0.0", "1.9.9"]),
        (">1.2", ["1.3.0", "2.0.0"], ["1.2.0", "1.2.9"]),
        ("<=1.2", ["1.2.9", "0.1.0"], ["1.3.0"]),
        ("<2.0.0", ["2.0.0-rc.1", "1.0.0"], ["2.0.0"]),
        (" >= 1.0.0 , != 1.5.0 ", ["1.0.0", "1.5.1"], ["1.5.0", "0.9.0"]),
    ],
)
def test_a_range_holds_what_it_says(text: str, inside: list[str], outside: list[str]) -> None:
    found = VersionRange.parse(text)
    assert [version for version in inside + outside if found.holds(version)] == inside


@pytest.mark.parametrize("running", ["", "unknown", "1.2", "0.0.0+dev", "1.5.0+dirty"])
def test_a_development_build_and_what_is_no_version_is_in_no_range(running: str) -> None:
    assert not VersionRange.parse(">=0").holds(running)
    assert not VersionRange.parse("!=9").holds(running)


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("", 1), ("1.2", 1), (">=", 2), (">=1.2,", 7), (">=1.2,,<2", 7), (">=1.2 <2", 1), (">=1.x", 3), ("~1.2", 1),
        (">=1.2,<v2", 8), (">=01.2", 3), ("=1.2.3.4", 2), (">=1.2;<2", 3),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_place_and_a_remedy(text: str, position: int) -> None:
    with pytest.raises(RequestError) as caught:
        VersionRange.parse(text)
    error = caught.value
    assert (error.code, error.details) == (
        "INVALID_ARGUMENT",
        {"field": "version_range", "position": str(position)},
    )
    assert f"at position {position}" in error.message
    assert error.remedy


def test_a_range_has_bounds() -> None:
    assert len(VersionRange.parse(",".join([">0"] * MAX_COMPARISONS)).comparisons) == MAX_COMPARISONS
    for text in (",".join([">0"] * (MAX_COMPARISONS + 1)), ">=1" + " " * MAX_RANGE_CHARS):
        with pytest.raises(RequestError):
            VersionRange.parse(text)


NUMBER = st.integers(0, 20)
BOUND = st.one_of(
    st.builds(str, NUMBER),
    st.builds("{}.{}".format, NUMBER, NUMBER),
    st.builds("{}.{}.{}".format, NUMBER, NUMBER, NUMBER),
    st.builds("{}.{}.{}-rc.{}".format, NUMBER, NUMBER, NUMBER, NUMBER),
)
RANGE = st.lists(st.builds("{}{}".format, st.sampled_from(["=", "!=", ">", ">=", "<", "<="]), BOUND), min_size=1)
VERSION = st.builds(Version, NUMBER, NUMBER, NUMBER, st.sampled_from([(), ("rc", "1")]))


@given(RANGE.filter(lambda parts: len(parts) <= MAX_COMPARISONS))
def test_every_range_reads_as_itself_from_its_text(parts: list[str]) -> None:
    text = ",".join(parts)
    assert str(VersionRange.parse(text)) == text
    assert VersionRange.parse(str(VersionRange.parse(text))) == VersionRange.parse(text)


@given(BOUND, VERSION)
def test_each_sign_and_its_opposite_share_out_all_versions(bound: str, version: Version) -> None:
    for sign, opposite in (("=", "!="), (">", "<="), ("<", ">=")):
        held = [VersionRange.parse(f"{one}{bound}").holds(str(version)) for one in (sign, opposite)]
        assert sum(held) == 1
