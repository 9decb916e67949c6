"""What a terminal is given: no byte of a host's making may steer it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from fleetroll.v1 import agents_pb2
from fleetroll_cli.output import MAX_CELL_CHARS, plain, print_json, print_table

if TYPE_CHECKING:
    import pytest

HOSTILE = "\x1b[2J\x1b]0;owned\x07 name\u202e\u200bend\r\n"


def test_escape_sequences_and_direction_marks_are_shown_not_obeyed() -> None:
    """Each harmful letter stands as its number."""
    shown = plain(HOSTILE)
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert r"\x1b[2J" in shown


@given(st.text())
def test_no_control_letter_ever_passes(text: str) -> None:
    """Whatever comes in, what goes out is printable."""
    assert all(letter.isprintable() for letter in plain(text))


def test_long_text_is_cut_and_says_so() -> None:
    """A cell has a bound."""
    assert plain("x" * 10_000) == "x" * MAX_CELL_CHARS + "…"


def test_a_table_without_rows_says_none(capsys: pytest.CaptureFixture[str]) -> None:
    """Emptiness is an answer."""
    print_table(("A", "B"), [])
    assert capsys.readouterr().out == "none\n"


def test_columns_are_as_wide_as_their_widest_cell(capsys: pytest.CaptureFixture[str]) -> None:
    """Headings and cells line up; nothing trails."""
    print_table(("NAME", "STATE"), [("a", "online"), ("long-name", "offline")])
    assert capsys.readouterr().out.splitlines() == ["NAME       STATE", "a          online", "long-name  offline"]


def test_json_carries_fields_that_are_empty(capsys: pytest.CaptureFixture[str]) -> None:
    """A program finds every field by the contract's name, also where it is empty."""
    print_json(agents_pb2.ListAgentsResponse(agents=[agents_pb2.Agent(id="a")]))
    read = json.loads(capsys.readouterr().out)
    assert read["agents"][0]["id"] == "a"
    assert read["agents"][0]["online"] is False
    assert read["next_cursor"] == ""
