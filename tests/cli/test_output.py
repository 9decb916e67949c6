"""What a terminal is given: no byte of a host's making may steer it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from fleetroll.v1 import agents_pb2, events_pb2, rollouts_pb2
from fleetroll_cli.events import line_of
from fleetroll_cli.names import local_time
from fleetroll_cli.output import MAX_CELL_CHARS, json_line, plain, print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.message import Message

UNHEARD_OF = [(253_402_300_800, 0), (-62_135_596_801, 0), (2**63 - 1, 0), (-(2**63), 0), (5, -1), (5, 2**31 - 1)]
"""Seconds and nanoseconds of instants that no calendar holds."""
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


@pytest.mark.parametrize(("seconds", "nanos"), UNHEARD_OF)
def test_an_instant_that_no_calendar_holds_is_none_in_lines_and_tables(seconds: int, nanos: int) -> None:
    """The rest of the line is read all the same."""
    event = events_pb2.Event(id="e1", kind="agent.online", occurred_at=Timestamp(seconds=seconds, nanos=nanos))
    assert local_time(event, "occurred_at") == "-"
    assert line_of(event).startswith("-  agent.online")


@pytest.mark.parametrize("show", [json_line, print_json])
@pytest.mark.parametrize(("seconds", "nanos"), UNHEARD_OF)
def test_an_instant_that_no_calendar_holds_is_left_out_of_documents(
    seconds: int, nanos: int, show: Callable[[Message], str | None], capsys: pytest.CaptureFixture[str]
) -> None:
    """JSON has no form for it; everything else is there, and the message itself stays as it was."""
    good = events_pb2.Event(id="e2", occurred_at=Timestamp(seconds=5))
    said = events_pb2.ListEventsResponse(events=[events_pb2.Event(id="e1"), good])
    said.events[0].occurred_at.seconds, said.events[0].occurred_at.nanos = seconds, nanos
    said.events[0].decision.decided_at.seconds, said.events[0].decision.decided_at.nanos = seconds, nanos
    said.events[0].decision.reason = "why"
    read = json.loads(show(said) or capsys.readouterr().out)
    bad, kept = read["events"]
    assert (bad["id"], bad["decision"]["reason"]) == ("e1", "why")
    assert "occurred_at" not in bad
    assert "decided_at" not in bad["decision"]
    assert kept["occurred_at"] == "1970-01-01T00:00:05Z"
    assert said.events[0].occurred_at.seconds == seconds


def test_a_duration_that_json_has_no_form_for_is_left_out_of_documents() -> None:
    """Ten thousand years are the most."""
    long = rollouts_pb2.RolloutLimits(soak=Duration(seconds=2**60), bake=Duration(seconds=7))
    limits = json.loads(json_line(rollouts_pb2.Rollout(id="r1", limits=long)))["limits"]
    assert ("soak" in limits, limits["bake"]) == (False, "7s")
