"""Label selectors: what Kubernetes reads is read alike, and what is wrong is named with its place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.selectors import (
    MAX_KEY_CHARS,
    MAX_REQUIREMENTS,
    MAX_SELECTOR_CHARS,
    MAX_VALUE_CHARS,
    MAX_VALUES,
    LabelSelector,
    Operator,
    Requirement,
)

HOSTS = {
    "web-1": {"role": "web", "site": "ams", "rack": "r1"},
    "web-2": {"role": "web", "site": "fra"},
    "db-1": {"role": "db", "site": "ams", "gpu": ""},
    "bare": {},
}


def matched(text: str) -> list[str]:
    selector = LabelSelector.parse(text)
    return [name for name, labels in HOSTS.items() if selector.matches(labels)]


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("role=web", ["web-1", "web-2"]),
        ("role==web", ["web-1", "web-2"]),
        ("role != web", ["db-1", "bare"]),
        ("role,role!=web", ["db-1"]),
        ("site in (ams, fra),role=web", ["web-1", "web-2"]),
        ("site in (ams)", ["web-1", "db-1"]),
        ("site notin (ams)", ["web-2", "bare"]),
        ("rack", ["web-1"]),
        ("!rack", ["web-2", "db-1", "bare"]),
        ("! rack , role", ["web-2", "db-1"]),
        ("gpu=", ["db-1"]),
        ("role=>1", []),
        ("gpu=,role=db", ["db-1"]),
        ("gpu!=", ["web-1", "web-2", "bare"]),
        ("role=web,site=ams,rack in (r1,r2),site notin (fra),role,!gpu", ["web-1"]),
        ("in in (x)", []),
        ("notin", []),
        ("!in", ["web-1", "web-2", "db-1", "bare"]),
    ],
)
def test_a_selector_matches_the_hosts_that_kubernetes_would_match(text: str, hosts: list[str]) -> None:
    assert matched(text) == hosts


@pytest.mark.parametrize(
    ("text", "position", "words"),
    [
        ("", 1, "the end where a label's name is expected"),
        ("a=b,", 5, "the end where a label's name is expected"),
        (",a", 1, "',a' where a label's name is expected"),
        ("a=b c", 5, "is not expected here"),
        ("a b", 3, "'b' is no operator"),
        ("a in b", 6, "'b' where a list begins"),
        ("a in ()", 7, "')' where a value is expected"),
        ("a in (b", 8, "the end in a list"),
        ("a in (b,,c)", 9, "where a value is expected"),
        ("a notin (b))", 12, "is not expected here"),
        ("a!b", 2, "is no operator"),
        ("!!a", 2, "where a label's name is expected"),
        ("a=(b)", 3, "where a value is expected"),
        ("a=b\nc", 4, "is not expected here"),
        ("a>1,b", 2, "'>1,b' is no operator"),
    ],
)
def test_what_is_wrong_is_named_with_its_place_and_a_remedy(text: str, position: int, words: str) -> None:
    with pytest.raises(RequestError) as caught:
        LabelSelector.parse(text, field="waves[1].label_selector")
    error = caught.value
    assert error.code == "INVALID_ARGUMENT"
    assert error.details == {"field": "waves[1].label_selector", "position": str(position)}
    assert words in error.message
    assert f"at position {position}" in error.message
    assert error.remedy


@pytest.mark.parametrize(
    "text",
    [
        "k=" + "v" * MAX_SELECTOR_CHARS,
        "k" * (MAX_KEY_CHARS + 1),
        "k=" + "v" * (MAX_VALUE_CHARS + 1),
        ",".join(f"k{number}" for number in range(MAX_REQUIREMENTS + 1)),
        f"k in ({','.join(map(str, range(MAX_VALUES + 1)))})",
    ],
)
def test_a_selector_has_bounds(text: str) -> None:
    with pytest.raises(RequestError) as caught:
        LabelSelector.parse(text)
    assert caught.value.code == "INVALID_ARGUMENT"


def test_what_is_just_inside_the_bounds_is_read() -> None:
    for text in (
        "k" * MAX_KEY_CHARS,
        "k=" + "v" * MAX_VALUE_CHARS,
        ",".join(f"k{number}" for number in range(MAX_REQUIREMENTS)),
        f"k in ({','.join(map(str, range(MAX_VALUES)))})",
    ):
        assert str(LabelSelector.parse(text)) == text


WORD = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters=",=!()<>"), min_size=1, max_size=8)


@st.composite
def requirements(draw: st.DrawFn) -> Requirement:
    """One requirement of any kind."""
    key, sign = draw(WORD), draw(st.sampled_from(Operator))
    if sign in {Operator.EXISTS, Operator.ABSENT}:
        return Requirement(key, sign)
    if sign in {Operator.EQUALS, Operator.NOT_EQUALS}:
        return Requirement(key, sign, (draw(st.one_of(st.just(""), WORD)),))
    return Requirement(key, sign, tuple(draw(st.lists(WORD, min_size=1, max_size=4))))


@given(st.lists(requirements(), min_size=1, max_size=6))
def test_every_selector_reads_as_itself_from_its_text(parts: list[Requirement]) -> None:
    selector = LabelSelector(tuple(parts))
    assert LabelSelector.parse(str(selector)) == selector


@given(st.text("ab=!,() innot\t\n", max_size=30))
def test_any_text_is_read_or_refused_with_a_place_inside_of_it(text: str) -> None:
    position = 0
    try:
        assert LabelSelector.parse(str(LabelSelector.parse(text))) == LabelSelector.parse(text)
    except RequestError as error:
        position = int(error.details["position"])
    assert 0 <= position <= len(text) + 1


@given(requirements(), st.dictionaries(WORD, WORD, max_size=3))
def test_each_operator_and_its_opposite_share_out_all_hosts(one: Requirement, labels: dict[str, str]) -> None:
    opposite = {
        Operator.EQUALS: Operator.NOT_EQUALS,
        Operator.NOT_EQUALS: Operator.EQUALS,
        Operator.IN: Operator.NOT_IN,
        Operator.NOT_IN: Operator.IN,
        Operator.EXISTS: Operator.ABSENT,
        Operator.ABSENT: Operator.EXISTS,
    }
    other = Requirement(one.key, opposite[one.operator], one.values)
    assert one.matches(labels) is not other.matches(labels)
