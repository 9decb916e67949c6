"""What happened and what happens, as lines or documents; each event once, whatever a server or a host put into it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from fleetroll.v1 import agents_pb2, reasons_pb2, types_pb2
from fleetroll.v1 import events_pb2 as pb
from fleetroll_cli import events
from fleetroll_cli.events import line_of
from fleetroll_cli.exits import Exit
from fleetroll_cli.output import json_line
from fleetroll_client import course, repeating
from tests.cli.commands import Commands
from tests.client.test_errors import PEM
from tests.faults.testing_channel import Answering, beside

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.commands import Ended

REVOKED = (grpc.StatusCode.UNAUTHENTICATED, "revoked")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Answering:
    """A made-up server; nothing waits."""
    monkeypatch.setattr(course, "full_jitter", lambda *_: 0.001)
    return Answering(PEM)


@pytest.fixture
def commands(server: Answering, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Commands:
    """The command line before it."""
    made = Commands(capsys, monkeypatch)
    made.speak_to(server)
    return made


def event(number: int, **values: Any) -> pb.Event:
    made = pb.Event(id=f"e{number}", kind="agent.online", agent_id="agent-1", **values)
    made.occurred_at.FromJsonString("2030-01-02T03:04:05Z")
    return made


def listed(*numbers: int, cursor: bytes = b"") -> pb.ListEventsResponse:
    return pb.ListEventsResponse(events=[event(number) for number in numbers], next_cursor=cursor)


def run(commands: Commands, play: Callable[[], object], *words: str) -> Ended:
    played = beside(play)
    ended = commands.run("events", *words)
    played.result(20)
    return ended


def test_an_event_is_one_line_with_what_is_known_of_it() -> None:
    made = event(
        1, rollout_id="r1", attempt_state=types_pb2.ATTEMPT_STATE_FAILED, code=reasons_pb2.REASON_CODE_EXITED,
        message="exit 3", decision={"reason": "it broke", "actor": {"id": "anna"}},
    )  # fmt: skip
    assert line_of(made) == (
        "2030-01-02 03:04:05Z  agent.online      r1  agent-1  failed  EXITED: exit 3; it broke  by anna"
    )
    assert line_of(event(2)) == "2030-01-02 03:04:05Z  agent.online      agent-1"


def test_hostile_words_can_not_steer_the_terminal_or_make_lines() -> None:
    line = line_of(event(1, message="a\x1b[2J\nfleetroll: all is well\u202e" + "x" * 5000))
    assert "\x1b" not in line
    assert "\n" not in line
    assert "\u202e" not in line
    assert len(line) < 1000


def test_a_code_and_a_state_of_a_newer_server_are_numbers() -> None:
    newer: Any = 12345
    made = event(1, code=newer, attempt_state=newer)
    assert line_of(made) == "2030-01-02 03:04:05Z  agent.online      agent-1  12345  12345"
    assert json.loads(json_line(made))["attempt_state"] == 12345


def test_what_happened_is_listed_with_the_newest_last(server: Answering, commands: Commands) -> None:
    def play() -> None:
        request = server.answer("EventsService", "ListEvents", listed(4, 3, cursor=b"n"))
        assert (request.rollout_id, request.fleet_id, request.page.size) == ("r1", "eu", 3)
        request = server.answer("EventsService", "ListEvents", listed(2))
        assert (request.rollout_id, request.page.size, request.page.cursor) == ("r1", 1, b"n")

    ended = run(commands, play, "--rollout", "r1", "--fleet", "eu", "--last", "3")
    assert ended.code == Exit.OK
    assert ended.out.splitlines() == [line_of(event(number)) for number in (2, 3, 4)]


def test_the_document_is_the_contracts_own(server: Answering, commands: Commands) -> None:
    ended = run(commands, lambda: server.answer("EventsService", "ListEvents", listed(2, 1)), "--json")
    assert [each["id"] for each in json.loads(ended.out)["events"]] == ["e2", "e1"]


def test_where_nothing_happened_it_is_said(server: Answering, commands: Commands) -> None:
    assert run(commands, lambda: server.answer("EventsService", "ListEvents", listed())).out == "none\n"


def test_a_host_is_meant_by_its_name(server: Answering, commands: Commands) -> None:
    def play() -> None:
        agent = agents_pb2.GetAgentResponse(agent=agents_pb2.Agent(id="agent-1", name="web"))
        assert server.answer("AgentsService", "GetAgent", agent).agent == "web"
        assert server.answer("EventsService", "ListEvents", listed(1)).agent_id == "agent-1"

    assert run(commands, play, "--agent", "web").code == Exit.OK


def batch(cursor: bytes, *made: pb.Event) -> pb.WatchEventsResponse:
    return pb.WatchEventsResponse(cursor=cursor, changes=pb.Changes(events=made))


SNAPSHOT = pb.WatchEventsResponse(cursor=b"c", snapshot=pb.Snapshot(last=True))


def test_following_prints_each_event_once_also_where_the_list_and_the_stream_meet(
    server: Answering, commands: Commands
) -> None:
    def play() -> None:
        request, call = server.stream("EventsService", "WatchEvents")
        assert request == pb.WatchEventsRequest(rollout_id="r1", subjects=[pb.WATCH_SUBJECT_EVENTS])
        call.send_response(SNAPSHOT)
        server.answer("EventsService", "ListEvents", listed(3, 2))
        call.send_response(batch(b"d", event(3), event(4)))
        call.send_response(batch(b"e", event(5)))
        commands.wait_for("e5")
        call.terminate((), *REVOKED)

    ended = run(commands, play, "--follow", "--rollout", "r1", "--last", "2", "--json")
    assert ended.code == Exit.ERROR
    assert "UNAUTHENTICATED" in ended.err
    documents = [json.loads(line) for line in ended.out.splitlines()]
    assert [each["id"] for each in documents] == ["e2", "e3", "e4", "e5"]


def test_following_a_host_leaves_others_out(server: Answering, commands: Commands) -> None:
    def play() -> None:
        agent = agents_pb2.GetAgentResponse(agent=agents_pb2.Agent(id="agent-2", name="web"))
        server.answer("AgentsService", "GetAgent", agent)
        _, call = server.stream("EventsService", "WatchEvents")
        call.send_response(SNAPSHOT)
        other = event(2)
        other.agent_id = "agent-2"
        call.send_response(batch(b"d", event(1), other))
        commands.wait_for("agent-2")
        call.terminate((), *REVOKED)

    ended = run(commands, play, "--follow", "--agent", "web", "--last", "0")
    assert len(ended.out.splitlines()) == 1
    assert "agent-2" in ended.out


def test_what_happened_before_a_new_snapshot_is_listed(server: Answering, commands: Commands) -> None:
    def play() -> None:
        _, call = server.stream("EventsService", "WatchEvents")
        call.send_response(SNAPSHOT)
        server.answer("EventsService", "ListEvents", listed(1))
        call.send_response(pb.WatchEventsResponse(resync=pb.Resync(reason="too\x1b slow")))
        call.send_response(SNAPSHOT)
        server.answer("EventsService", "ListEvents", listed(5, 4, cursor=b"n"))
        server.answer("EventsService", "ListEvents", listed(3, 2, 1))
        call.send_response(batch(b"d", event(6)))
        commands.wait_for("e6")
        call.terminate((), *REVOKED)

    ended = run(commands, play, "--follow", "--last", "1", "--json")
    documents = [json.loads(line) for line in ended.out.splitlines()]
    assert [each["id"] for each in documents] == ["e1", "e2", "e3", "e4", "e5", "e6"]
    assert ended.err.splitlines()[0] == "the server starts over: too\\x1b slow"


def test_a_line_that_breaks_over_the_list_of_what_was_missed_ends_nothing_and_loses_nothing(
    server: Answering, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repeating, "REPEATS", 0)
    broken = (grpc.StatusCode.UNAVAILABLE, "recvmsg: connection reset")

    def play() -> None:
        _, call = server.stream("EventsService", "WatchEvents")
        call.send_response(SNAPSHOT)
        server.answer("EventsService", "ListEvents", None, broken)
        call.send_response(batch(b"d", event(3)))
        server.answer("EventsService", "ListEvents", None, broken)
        call.send_response(pb.WatchEventsResponse(alive=pb.Alive()))
        server.answer("EventsService", "ListEvents", listed(3, 2))
        call.send_response(batch(b"e", event(4)))
        commands.wait_for("e4")
        call.terminate((), *REVOKED)

    ended = run(commands, play, "--follow", "--last", "2", "--json")
    documents = [json.loads(line) for line in ended.out.splitlines()]
    assert [each["id"] for each in documents] == ["e2", "e3", "e4"]


def test_more_than_is_looked_for_is_said(
    server: Answering, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "REACH_EVENTS", 2)

    def play() -> None:
        _, call = server.stream("EventsService", "WatchEvents")
        call.send_response(SNAPSHOT)
        server.answer("EventsService", "ListEvents", listed(1))
        call.send_response(pb.WatchEventsResponse(resync=pb.Resync(reason="slow")))
        call.send_response(SNAPSHOT)
        server.answer("EventsService", "ListEvents", listed(9, 8, cursor=b"n"))
        commands.wait_for("e9")
        call.terminate((), *REVOKED)

    ended = run(commands, play, "--follow", "--last", "1", "--json")
    assert "more happened than the 2 events that follow" in ended.err
