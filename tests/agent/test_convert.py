"""The agent's values and the contract say the same things by the same names."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import cast

import pytest
from google.protobuf.duration_pb2 import Duration

from fleetroll.v1 import agent_stream_pb2 as stream_pb2
from fleetroll.v1 import reasons_pb2, types_pb2
from fleetroll_agent import convert
from fleetroll_agent.jobs.effects import AskGo
from fleetroll_agent.jobs.journal import Entry
from fleetroll_agent.jobs.overrides import Override, OverrideKind
from fleetroll_agent.jobs.summary import AttemptFact
from fleetroll_agent.jobs.values import Report, Said
from fleetroll_common.values.codes import Code

SHA = "ab" * 32


@pytest.mark.parametrize("said", list(Said))
def test_every_state_that_a_host_says_is_the_contracts(said: Said) -> None:
    assert types_pb2.AttemptState.Name(convert.wire_state(said.value)) == f"ATTEMPT_STATE_{said.value}"


@pytest.mark.parametrize("code", list(Code))
def test_every_code_travels_and_comes_back(code: Code) -> None:
    assert convert.read_code(convert.wire_code(code)) is code


def test_a_code_of_a_newer_server_is_no_code() -> None:
    assert convert.read_code(cast("reasons_pb2.ReasonCode.ValueType", 99999)) is None
    assert convert.read_code(reasons_pb2.REASON_CODE_UNSPECIFIED) is None


def test_a_report_carries_everything() -> None:
    report = Report(
        4,
        1_800_000_000.5,
        7,
        Said.ROLLED_BACK,
        "restart",
        Code.EXITED,
        "why",
        "tail",
        90.0,
        "1.0.0",
        SHA,
        retry_at=1_800_000_060.0,
        unproven=True,
        committed_locally=True,
    )
    wire = convert.wire_report(Entry(9, "agent", report))
    assert (wire.sequence, wire.product, wire.generation) == (9, "agent", 7)
    assert (wire.step, wire.message, wire.output_tail, wire.running_version) == ("restart", "why", "tail", "1.0.0")
    assert wire.code == reasons_pb2.REASON_CODE_EXITED
    assert wire.occurred_at.ToDatetime(UTC) == datetime.fromtimestamp(1_800_000_000.5, UTC)
    assert (wire.time_limit.seconds, wire.retry_at.seconds) == (90, 1_800_000_060)
    assert (wire.sha256.hex(), wire.unproven, wire.committed_locally) == (SHA, True, True)


@pytest.mark.parametrize("unproven", [False, True])
def test_a_hello_says_whether_a_way_back_was_proven(unproven: bool) -> None:
    fact = AttemptFact(7, Said.ROLLED_BACK, "1.1.0", SHA, Code.LOST_CONTACT, "no contact", unproven=unproven)
    wire = convert.wire_attempt(fact, "agent")
    assert (wire.generation, wire.code, wire.unproven) == (7, reasons_pb2.REASON_CODE_LOST_CONTACT, unproven)


def test_what_a_report_does_not_say_is_absent() -> None:
    wire = convert.wire_report(Entry(1, "agent", Report(1, 0.0, 7, Said.STAGED)))
    assert not wire.HasField("time_limit")
    assert not wire.HasField("retry_at")
    assert wire.sha256 == b""


def test_an_assignment_without_a_lease_has_the_fleets() -> None:
    event = convert.assigned(stream_pb2.Assignment(product="agent", version="1.1.0", generation=7, recall=True))
    assert (event.soak_seconds, event.lease_seconds, event.recall) == (0, 300, True)


def test_an_ask_names_what_is_staged() -> None:
    request = convert.request_go(AskGo(3, 7, 2, SHA), "agent").request_go
    assert (request.product, request.generation, request.ask, request.sha256.hex()) == ("agent", 7, 2, SHA)


def test_a_refused_go_without_a_time_leaves_it_to_the_host() -> None:
    assert convert.refused_go(1, stream_pb2.NoGo(generation=7, ask=1)).retry_after_seconds is None


@pytest.mark.parametrize("seconds", [2**62, -(2**62)])
def test_durations_that_no_calendar_holds_are_read(seconds: int) -> None:
    far = Duration(seconds=seconds)
    assert convert.assigned(stream_pb2.Assignment(generation=1, soak=far, lease=far)).lease_seconds == seconds
    assert convert.refused_go(1, stream_pb2.NoGo(generation=1, retry_after=far)).retry_after_seconds == seconds


@pytest.mark.parametrize("field", ["recall", "stop_before_switch", "retry_bad", "excused"])
def test_each_word_of_an_assignment_is_heard_and_no_other(field: str) -> None:
    heard = convert.assigned(stream_pb2.Assignment(generation=1, **{field: True}))  # type: ignore[arg-type]
    words = ("recall", "stop_before_switch", "retry_bad", "excused")
    assert [word for word in words if getattr(heard, word)] == [field]


@pytest.mark.parametrize(("said", "heard"), [(0, 0), (1, 1), (100, 100), (2**31 - 1, 100), (-5, 0)])
def test_the_tries_of_an_assignment_are_bounded(said: int, heard: int) -> None:
    assert convert.assigned(stream_pb2.Assignment(generation=1, max_attempts=said)).max_attempts == heard


def test_a_hold_that_an_older_version_wrote_down_as_no_text_is_sent_all_the_same() -> None:
    held = Override(OverrideKind.HOLD, "j\udcffrg", 3, 1.8e9, "gr\udcffn")
    message = convert._override("shop", held)
    assert (message.actor.id, message.reason) == ("j?rg", "gr?n")
