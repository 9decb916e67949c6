"""Semantic versions: reading, order, builds that are no releases."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.version import MAX_VERSION_CHARS, UNSTAMPED, Version

V = Version.parse

numbers = st.integers(0, 999_999_999).map(str)
words = st.from_regex(r"[0-9]{0,3}[A-Za-z-][0-9A-Za-z-]{0,5}", fullmatch=True)
pre = st.lists(st.one_of(st.integers(0, 9999).map(str), words), max_size=3).map(".".join)
build = st.lists(st.from_regex(r"[0-9A-Za-z-]{1,6}", fullmatch=True), max_size=2).map(".".join)


@st.composite
def texts(draw: st.DrawFn) -> str:
    core = ".".join(draw(st.tuples(numbers, numbers, numbers)))
    tail, metadata = draw(pre), draw(build)
    return core + (f"-{tail}" if tail else "") + (f"+{metadata}" if metadata else "")


small = st.builds(
    lambda core, tail: core + (f"-{tail}" if tail else ""),
    st.sampled_from(["1.0.0", "1.0.1", "1.10.0", "2.0.0"]),
    st.sampled_from(["", "0", "1", "10", "a", "a.1", "a.b", "rc.2", "rc.10", "-"]),
)


@given(texts())
def test_every_text_survives_reading_and_writing(text: str) -> None:
    if len(text) <= MAX_VERSION_CHARS:
        assert str(V(text)) == text


def test_precedence_is_that_of_the_standard() -> None:
    order = "1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta 1.0.0-beta.2 1.0.0-beta.11 1.0.0-rc.1 1.0.0"
    more = "1.0.1-0 1.0.1 1.9.0 1.10.0 1.11.0 2.0.0-1 2.0.0"
    versions = [V(text) for text in f"{order} {more}".split()]
    for (at, one), (place, other) in itertools.product(enumerate(versions), repeat=2):
        assert (one < other) == (at < place)
        assert (one == other) == (at == place)


def test_numbers_come_before_words_and_are_compared_as_numbers() -> None:
    assert V("1.0.0-999") < V("1.0.0-a")
    assert V("1.0.0-9") < V("1.0.0-10")
    assert V("1.0.0-a9") > V("1.0.0-a10")


@given(small, small, small)
def test_the_order_is_total(one: str, two: str, three: str) -> None:
    a, b, c = V(one), V(two), V(three)
    assert (a < b) + (a == b) + (a > b) == 1
    if a <= b <= c:
        assert a <= c
    assert (a == b) == (hash(a) == hash(b) and not a < b and not b < a)


@given(texts(), build)
def test_build_metadata_changes_neither_order_nor_equality(text: str, metadata: str) -> None:
    plain = text.split("+", maxsplit=1)[0]
    other = plain + (f"+{metadata}" if metadata else "")
    if max(len(text), len(other)) <= MAX_VERSION_CHARS:
        assert V(text) == V(other)
        assert hash(V(text)) == hash(V(other))


BAD = [
    "", "1", "1.2", "1.2.3.4", "v1.2.3", "01.2.3", "1.02.3", "1.2.03", "1.2.3-", "1.2.3+", "1.2.3-01", "1.2.3-a..b",
    "1.2.3-a_b", "1.2.3+a+b", "-1.2.3", "1.2.-3", " 1.2.3", "1.2.3 ", "1.2.3\n", "1.2.x", "\u0661.2.3", "1.2.3-ä",
    "1234567890.0.0", "../../etc", "1.2.3/../x",
]  # fmt: skip


@pytest.mark.parametrize("text", BAD)
def test_anything_else_is_refused_with_the_field_and_the_value(text: str) -> None:
    with pytest.raises(RequestError) as caught:
        Version.parse(text, field="supported_from")
    assert caught.value.code == "INVALID_ARGUMENT"
    assert caught.value.details == {"field": "supported_from"}
    assert repr(text) in caught.value.message


def test_a_version_of_64_characters_is_the_longest() -> None:
    longest = "1.0.0-" + "a" * 58
    assert str(V(longest)) == longest
    with pytest.raises(RequestError):
        V(longest + "a")


@pytest.mark.parametrize(
    ("text", "dev"),
    [
        ("0.0.0+dev", True),
        ("1.1.0+dirty", True),
        ("1.1.0+g12.dirty", True),
        ("1.1.0-dev", False),
        ("1.1.0", False),
        ("1.1.0+g12ab", False),
    ],
)
def test_unstamped_and_dirty_builds_are_no_releases(text: str, *, dev: bool) -> None:
    assert V(text).is_dev is dev


def test_an_unstamped_program_calls_itself_so() -> None:
    assert str(UNSTAMPED) == "0.0.0+dev"


def test_a_version_is_not_equal_to_its_text() -> None:
    assert V("1.0.0") != "1.0.0"
