"""The filter language: what it finds, and what it says of a filter that it can't read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetroll_tui.model.fields import EVENT_FIELDS, HOST_FIELDS, MEMBER_FIELDS, ROLLOUT_FIELDS
from fleetroll_tui.model.filters import MAX_CHARS, MAX_TERMS, compile_filter, split
from fleetroll_tui.model.terms import FilterError
from fleetroll_tui.model.values import Attempt, Happening, Host, Member, Product, Rollout

NOW = 10_000.0


def host(name: str = "edge-1.ams", **values: object) -> Host:
    product = Product(
        "web",
        str(values.pop("current", "1.4.2")),
        str(values.pop("target", "")),
        str(values.pop("state", "")),
        Attempt(code=str(values.pop("code", ""))),
    )
    facts = {"fleet_id": "eu-edge", "labels": {"site": "ams"}, "online": True} | values
    return Host("ag-1", name=name, products=(product,), **facts)  # type: ignore[arg-type]


def found(text: str, row: Host) -> bool:
    return compile_filter(text, HOST_FIELDS).holds(row, NOW)


@pytest.mark.parametrize(
    ("text", "row", "expected"),
    [
        ("", host(), True),
        ("edge", host(), True),
        ("EDGE", host(), True),
        ("nothing", host(), False),
        ("edge ams", host(), True),
        ("edge fra", host(), False),
        ("edge | fra", host(), True),
        ("fra|ams", host(), True),
        ("fra | lon", host(), False),
        ("!fra", host(), True),
        ("! fra", host(), True),
        ("!!edge", host(), True),
        ("!edge", host(), False),
        ("edge !ams | name:edge-1.ams", host(), True),
        ("state:failed", host(state="failed"), True),
        ("state:failed", host(state="lost"), False),
        ("state:failed|lost", host(state="lost"), True),
        ("state:none", host(), True),
        ("!state:failed", host(state="failed"), False),
        ("fleet:eu-*", host(), True),
        ("fleet:eu", host(), False),
        ("fleet:us-*", host(), False),
        ("name:edge-?.ams", host(), True),
        ("label:site=ams", host(), True),
        ("label:site=a*", host(), True),
        ("label:site", host(), True),
        ("label:site=fra", host(), False),
        ("label:rack", host(), False),
        ("version:1.4.2", host(), True),
        ("version:1.4.*", host(), True),
        ("version:<1.5", host(), True),
        ("version:<1.4.2", host(), False),
        ("version:<=1.4.2", host(), True),
        ("version:>=1.5", host(current="1.10.0"), True),
        ("version:<1.5", host(current=""), False),
        ("updates:behind", host(target="1.5.0"), True),
        ("updates:behind", host(target="1.4.2"), False),
        ("updates:behind", host(target="1.4.1"), False),
        ("is:offline", host(online=False), True),
        ("is:offline", host(), False),
        ("is:quarantined", host(quarantined=True), True),
        ("seen:>5m", host(online=False, last_seen_at=NOW - 301), True),
        ("seen:>5m", host(online=False, last_seen_at=NOW - 299), False),
        ("seen:<1h", host(online=False, last_seen_at=NOW - 299), True),
        ("code:HEALTH_*", host(code="HEALTH_TIMEOUT"), True),
        ('"state:failed"', host(), False),
        ('"a b"', host("a b"), True),
        ("name:[x]", host("[x]"), True),
    ],
)
def test_what_a_filter_finds(text: str, row: Host, expected: bool) -> None:
    assert found(text, row) is expected


@pytest.mark.parametrize(
    ("text", "at", "said"),
    [
        ("edge state:failde", 11, "did you mean failed?"),
        ("edge stat:failed", 5, "did you mean state?"),
        ("zzzz:1", 0, "there are"),
        ("state:", 6, "needs a value, like state:failed"),
        ("state:failed|", 13, "needs a value"),
        ("version:<x", 9, "'x' is no version"),
        ("seen:5m", 5, "seen:>5m"),
        ("seen:>5", 5, "seen:>5m"),
        ("a |", 2, "nothing after"),
        ("| a", 0, "nothing before"),
        ("a | | b", 4, "nothing before"),
        ("a !", 2, "before a word"),
        ("!| a", 0, "before a word"),
        ('a "b', 2, "has no end"),
        ("x" * (MAX_CHARS + 1), MAX_CHARS, "at most"),
        (" | ".join(["!a"] * 200), 5 * MAX_TERMS + 1, f"at most {MAX_TERMS} terms"),
        ("a " * MAX_TERMS + "b", 2 * MAX_TERMS, f"at most {MAX_TERMS} terms"),
        ("a|" * MAX_TERMS + "b", 0, f"at most {MAX_TERMS} terms"),
        ("a name:" + "a|" * MAX_TERMS + "b", 2, f"at most {MAX_TERMS} terms"),
    ],
)
def test_an_error_points_at_the_place(text: str, at: int, said: str) -> None:
    with pytest.raises(FilterError) as caught:
        compile_filter(text, HOST_FIELDS)
    assert caught.value.at == at
    assert said in caught.value.message


def test_as_many_terms_as_there_may_be_are_read() -> None:
    for text in (" | ".join(["!a"] * MAX_TERMS), "name:" + "|".join(["a*"] * MAX_TERMS), "| ".join(["a|b "] * 20)):
        assert not compile_filter(text, HOST_FIELDS).empty


def test_rows_of_other_kinds_have_fields_of_their_own() -> None:
    member = Member("ag-1", "edge-1", 3, Attempt(state="failed", code="LOST", from_version="1.4.2"), changed_at=NOW)
    assert compile_filter("wave:3 state:failed changed:<1m from:<1.5 is:offline", MEMBER_FIELDS).holds(member, NOW)
    rollout = Rollout("ro-1", "eu", "web", "1.5.0", "halted")
    assert compile_filter("state:halted version:>=1.5", ROLLOUT_FIELDS).holds(rollout, NOW)
    happening = Happening("ev-1", NOW - 10, "attempt.state", state="failed")
    assert compile_filter("kind:attempt.* state:failed at:<1h", EVENT_FIELDS).holds(happening, NOW)


def test_only_ages_make_a_filter_depend_on_the_time() -> None:
    assert compile_filter("edge | seen:>5m", HOST_FIELDS).timed
    assert not compile_filter("edge version:<1.5", HOST_FIELDS).timed


FILTERS = st.text(alphabet=st.sampled_from('ab1.<>=:|!" \\*?[]é\u202e'), max_size=30) | st.text(max_size=30)


@given(FILTERS)
def test_any_text_is_a_filter_or_a_fault_with_its_place(text: str) -> None:
    fault = None
    try:
        assert compile_filter(text, HOST_FIELDS).holds(host(), NOW) in {True, False}
    except FilterError as error:
        fault = error
    assert fault is None or (fault.message and 0 <= fault.at <= max(len(text), 1))


WORDS = st.lists(
    st.sampled_from(["edge", "fra", "state:failed", "fleet:eu-*", "version:<1.5", "is:online"]), min_size=1
)


@given(WORDS, WORDS)
def test_the_signs_mean_what_logic_says(left: list[str], right: list[str]) -> None:
    row = host()
    both = " ".join([*left, *right])
    either = f"{' '.join(left)} | {' '.join(right)}"
    assert found(both, row) == (found(" ".join(left), row) and found(" ".join(right), row))
    assert found(either, row) == (found(" ".join(left), row) or found(" ".join(right), row))
    assert found(f"!{left[0]}", row) is not found(left[0], row)


@given(st.text(alphabet=st.characters(exclude_characters='"'), min_size=1, max_size=20))
def test_what_is_quoted_is_text_whatever_it_holds(text: str) -> None:
    assert found(f'"{text}"', host(f"x{text}y"))
    assert [word.text for word in split(f'"{text}"')] == [text]
