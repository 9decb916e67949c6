"""Lines: how pieces become them, what is hidden, cut and left out."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetroll_agent.hooks.lines import LINE_BYTES, LINE_CHARS, Line, Sink, Splitter, clean
from fleetroll_common.values.clock import FakeClock

SECRET = [re.compile("hunter2"), re.compile(r"token=(\w+)")]


def split(data: bytes, at: list[int]) -> list[bytes]:
    """Return the lines of ``data`` that comes in pieces cut at the places ``at``."""
    splitter, cuts = Splitter(), sorted({0, len(data), *(place for place in at if place <= len(data))})
    pieces = [data[first:last] for first, last in pairwise(cuts)]
    return [line for piece in pieces for line in splitter.feed(piece)] + splitter.end()


@given(st.lists(st.sampled_from([b"a", b"bc", b"\n", b"\r", b"\r\n"])).map(b"".join), st.lists(st.integers(0, 40)))
def test_pieces_make_no_difference(data: bytes, at: list[int]) -> None:
    """However the bytes arrive, the lines are the same."""
    want = re.split(rb"\r\n|\r|\n", data)
    assert split(data, at) == (want if want[-1] else want[:-1])


@given(st.integers(0, 70), st.integers(0, 70))
def test_a_secret_is_hidden_wherever_it_is_cut(first: int, second: int) -> None:
    """A pattern sees whole lines."""
    data = b"the password is hunter2, the rest is token=abc\nhunter2\n"
    shown = [clean(line, SECRET).text for line in split(data, [first, second])]
    assert shown == ["the password is ***, the rest is ***", "***"]


def test_a_line_longer_than_any_bound_takes_bounded_memory() -> None:
    """Its beginning is kept, its length beyond the bound is noticed, and the next line is a line again."""
    splitter = Splitter()
    for _ in range(1000):
        assert splitter.feed(b"x" * 65536) == []
        assert len(splitter._begun) == LINE_BYTES + 1
    long, short = splitter.feed(b"\nshort\n")
    assert (len(long), short) == (LINE_BYTES + 1, b"short")
    assert clean(long, []) == Line("x" * (LINE_CHARS - 1) + "…", exact=False)


def test_a_line_is_redacted_before_it_is_cut() -> None:
    """Else the part of a secret before the cut would be told."""
    shown = clean(b"x" * 1995 + b" hunter2 " + b"y" * 100, SECRET).text
    assert (len(shown), "hunt" in shown) == (LINE_CHARS, False)


def test_a_line_whose_end_no_pattern_saw_is_not_shown() -> None:
    """A secret may reach over the place where it was cut."""
    shown = clean(b"hunter" + b"x" * LINE_BYTES, SECRET)
    assert "hunt" not in shown.text
    assert "secrets could not be looked for" in shown.text
    assert not shown.exact


@pytest.mark.parametrize(
    ("raw", "text", "exact"),
    [
        (b"", "", True),
        (b"plain  ", "plain", True),
        (b"a\tb", "a   b", False),
        (b"\x1b[31mred", "\\x1b[31mred", False),
        ("grün".encode(), "grün", True),
        (b"\xff", "\ufffd", False),
        ("\u202egnp.exe".encode(), "\\x202egnp.exe", False),
        (b"hunter2", "***", False),
        (b"token=abc token=def", "*** ***", False),
    ],
)
def test_a_line_is_shown_harmless_and_says_whether_it_is_what_was_written(raw: bytes, text: str, exact: bool) -> None:
    """Colours, bells, letters that turn the line around, secrets and halves of letters."""
    assert clean(raw, SECRET) == Line(text, exact)


class Told:
    """A sink on a clock that moves when told."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.lines: list[str] = []
        self.sink = Sink(self.lines.append, SECRET, self.clock)


def test_two_hundred_lines_a_second_are_told_and_the_rest_is_counted() -> None:
    """A note stands where lines are missing, and the next second begins anew."""
    told = Told()
    told.sink.take([b"%d" % number for number in range(500)])
    assert told.lines == [str(number) for number in range(200)]
    told.sink.take([b"more"])
    assert (len(told.lines), told.sink.dropped) == (200, 301)
    told.clock.advance(1)
    told.sink.take([b"next"])
    assert told.lines[200:] == ["[301 lines left out: more than 200 in a second]", "next"]
    told.sink.say_dropped()
    assert (len(told.lines), told.sink.dropped) == (202, 301)


def test_lines_at_a_slow_rate_are_all_told() -> None:
    """The bound is on a second, not on the whole."""
    told = Told()
    for number in range(1000):
        told.sink.take([b"%d" % number])
        told.clock.advance(0.01)
    assert (len(told.lines), told.sink.dropped) == (1000, 0)


def test_the_tail_holds_the_newest_lines_whether_they_were_told_or_not() -> None:
    """It is what a failure is explained by; secrets are hidden in it too."""
    told = Told()
    told.sink.take([b"line %d" % number for number in range(100_000)] + [b"hunter2", b"", b" "])
    assert len(told.sink.tail()) <= 4000
    assert told.sink.tail().endswith("line 99998\nline 99999\n***\n\n")
    assert told.sink.last() == Line("***", exact=False)


def test_without_output_there_is_no_last_line() -> None:
    """Nor is a blank line one."""
    told = Told()
    told.sink.take([b"", b"  "])
    assert told.sink.last() == Line("", exact=True)
