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
        assert server.answer("EventsService", "ListEvents", listed()).agent_id == "agent-2"
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


def resync(reason: str = "slow", **values: Any) -> pb.WatchEventsResponse:
    return pb.WatchEventsResponse(resync=pb.Resync(reason=reason, **values))


def printed(ended: Ended) -> list[str]:
    return [json.loads(line)["id"] for line in ended.out.splitlines()]


def test_with_none_of_the_newest_a_resync_lists_what_happened_since_the_start_alone(
    server: Answering, commands: Commands
) -> None:
    def play() -> None:
        _, call = server.stream("EventsService", "WatchEvents")
        call.send_response(SNAPSHOT)
        assert server.answer("EventsService", "ListEvents", listed(3, cursor=b"n")).page.size == 1
        call.send_response(resync())
        call.send_response(SNAPSHOT)
        server.answer("EventsService", "ListEvents", listed(5, 4, 3, 2, 1))
        call.send_response(batch(b"d", event(6)))
        commands.wait_for("e6")
        call.terminate((), *REVOKED)

    assert printed(run(commands, play, "--follow", "--last", "0", "--json")) == ["e4", "e5", "e6"]


def test_where_nothing_had_happened_at_the_start_all_of_it_is_new(server: Answering, commands: Commands) -> None:
    def play() -> None:
        _, call = server.stream("EventsService", "WatchEvents")
        call.send_response(SNAPSHOT)
        server.answer("EventsService", "ListEvents", listed())
        call.send_response(resync())
        call.send_response(SNAPSHOT)
        server.answer("EventsService", "ListEvents", listed(2, 1))
        commands.wait_for("e2")
        call.terminate((), *REVOKED)

    assert printed(run(commands, play, "--follow", "--last", "0", "--json")) == ["e1", "e2"]


@pytest.mark.parametrize("last", ["0", "1"])
def test_what_is_told_while_the_list_can_not_be_had_is_printed_in_its_order(
    server: Answering, commands: Commands, monkeypatch: pytest.MonkeyPatch, last: str
) -> None:
    monkeypatch.setattr(repeating, "REPEATS", 0)

    def play() -> None:
        _, call = server.stream("EventsService", "WatchEvents")
        call.send_response(SNAPSHOT)
        for _ in ("with the snapshot", "with the word that it is live"):
            server.answer("EventsService", "ListEvents", None, (grpc.StatusCode.UNAVAILABLE, "connection reset"))
        call.send_response(batch(b"d", event(3), event(4)))
        server.answer("EventsService", "ListEvents", listed(4, 3, 2, 1))
        call.send_response(batch(b"e", event(5)))
        commands.wait_for("e5")
        call.terminate((), *REVOKED)

    expected = ["e2", "e3", "e4", "e5"]
    assert printed(run(commands, play, "--follow", "--last", last, "--json")) == expected[1 - int(last) :]


def at(number: int, when: str, name: str) -> pb.Event:
    made = pb.Event(id=f"e{number}", kind="agent.online", agent_id=name)
    made.occurred_at.FromJsonString(when)
    return made


@pytest.mark.parametrize("last", ["0", "2"])
def test_a_log_that_was_replaced_is_followed_from_when_the_old_one_was_heard_last(
    server: Answering, commands: Commands, last: str
) -> None:
    """Its ids come again for other events, and what both logs have was printed before."""
    old = [at(2, "2030-01-02T03:00:02Z", "old-2"), at(1, "2030-01-02T03:00:01Z", "old-1")]
    told = batch(b"d", at(3, "2030-01-02T03:00:03Z", "gone"))
    told.sent_at.FromJsonString("2030-01-02T03:00:04Z")
    new = [at(4, "2030-01-02T03:01:01Z", "new-4"), at(3, "2030-01-02T03:01:00Z", "new-3")]
    again = pb.WatchEventsResponse()
    again.CopyFrom(SNAPSHOT)
    again.sent_at.FromJsonString("2030-01-02T03:01:02Z")

    def play() -> None:
        _, call = server.stream("EventsService", "WatchEvents")
        call.send_response(SNAPSHOT)
        server.answer("EventsService", "ListEvents", pb.ListEventsResponse(events=old))
        call.send_response(told)
        commands.wait_for("gone")
        call.send_response(resync("the cursor is ahead of the database", log_replaced=True))
        call.send_response(again)
        server.answer("EventsService", "ListEvents", pb.ListEventsResponse(events=[*new, *old]))
        call.send_response(batch(b"e", at(5, "2030-01-02T03:01:03Z", "new-5")))
        commands.wait_for("new-5")
        call.send_response(resync())
        call.send_response(again)
        newest = [at(6, "2030-01-02T03:01:04Z", "new-6"), at(5, "2030-01-02T03:01:03Z", "new-5")]
        server.answer("EventsService", "ListEvents", pb.ListEventsResponse(events=[*newest, *new, *old]))
        commands.wait_for("new-6")
        call.terminate((), *REVOKED)

    ended = run(commands, play, "--follow", "--last", last, "--json")
    names = [json.loads(line)["agent_id"] for line in ended.out.splitlines()]
    assert names == [*["old-1", "old-2"][: int(last)], "gone", "new-3", "new-4", "new-5", "new-6"]
    assert ended.err.splitlines()[:2] == [
        "the server starts over: the cursor is ahead of the database",
        "its log is another one: ids of events come again for others",
    ]


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


def test_following_goes_on_after_an_instant_that_no_calendar_holds(server: Answering, commands: Commands) -> None:
    """Also where a log that was replaced is read back to what was printed."""
    odd = at(2, "2030-01-02T03:00:01Z", "odd")
    odd.occurred_at.seconds = 2**62
    told = batch(b"d", event(1))
    told.sent_at.FromJsonString("2030-01-02T03:04:06Z")

    def play() -> None:
        _, call = server.stream("EventsService", "WatchEvents")
        call.send_response(SNAPSHOT)
        server.answer("EventsService", "ListEvents", listed())
        call.send_response(told)
        commands.wait_for("e1")
        call.send_response(resync(log_replaced=True))
        call.send_response(SNAPSHOT)
        server.answer("EventsService", "ListEvents", pb.ListEventsResponse(events=[odd]))
        commands.wait_for("e2")
        call.terminate((), *REVOKED)

    assert printed(run(commands, play, "--follow", "--json")) == ["e1", "e2"]
