"""A rollout is shown by what the server tells, and by asking where it can't tell; a script sees no difference."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from fleetroll.v1 import events_pb2 as pb
from fleetroll.v1 import rollouts_pb2, types_pb2
from fleetroll_cli import following
from fleetroll_cli.exits import Exit
from fleetroll_client import AdminClient, Endpoint, course, repeating
from tests.cli.commands import Commands
from tests.client.test_errors import PEM
from tests.faults.testing_channel import NOBODY, Answering, beside

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.commands import Ended

RUNNING = rollouts_pb2.Rollout(id="r1", version="1.1.0", state=rollouts_pb2.ROLLOUT_STATE_RUNNING)
PAUSED = rollouts_pb2.Rollout(id="r1", version="1.1.0", state=rollouts_pb2.ROLLOUT_STATE_PAUSED)
HALTED = rollouts_pb2.Rollout(id="r1", version="1.1.0", state=rollouts_pb2.ROLLOUT_STATE_HALTED)
NEWER: Any = 99
"""A value that only a newer server knows."""
OTHER = rollouts_pb2.Rollout(id="r2", version="1.1.0", state=rollouts_pb2.ROLLOUT_STATE_COMPLETED)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Answering:
    """A made-up server that can tell; nothing waits long."""
    monkeypatch.setattr(following, "ASK_SECONDS", 0.01)
    monkeypatch.setattr(course, "full_jitter", lambda *_: 0.001)
    monkeypatch.setattr(repeating, "REPEATS", 0)
    return Answering(PEM)


@pytest.fixture
def told(server: Answering, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Commands:
    """The command line before it."""
    made = Commands(capsys, monkeypatch)
    made.speak_to(server)
    return made


def run(told: Commands, play: Callable[[], object], *words: str) -> Ended:
    """Run a command while the server plays its part."""
    played = beside(play)
    ended = told.run(*words)
    played.result(20)
    return ended


def snapshot(*rollouts: rollouts_pb2.Rollout) -> pb.WatchEventsResponse:
    return pb.WatchEventsResponse(cursor=b"c", snapshot=pb.Snapshot(last=True, rollouts=rollouts))


def changed(*rollouts: rollouts_pb2.Rollout) -> pb.WatchEventsResponse:
    return pb.WatchEventsResponse(cursor=b"d", changes=pb.Changes(rollouts=rollouts))


def stream(server: Answering) -> tuple[Any, Any]:
    return server.stream("EventsService", "WatchEvents")


def test_a_rollout_is_watched_by_what_the_server_tells(server: Answering, told: Commands) -> None:
    def play() -> None:
        request, call = stream(server)
        assert request == pb.WatchEventsRequest(rollout_id="r1", subjects=[pb.WATCH_SUBJECT_ROLLOUTS])
        for message in (snapshot(RUNNING), changed(RUNNING, OTHER), changed(PAUSED), changed(RUNNING), changed(HALTED)):
            call.send_response(message)
        call.cancelled()  # it leaves by itself

    ended = run(told, play, "rollout", "watch", "r1")
    assert ended.code == Exit.HALTED
    assert [line.split()[-1] for line in ended.out.splitlines()] == ["RUNNING", "PAUSED", "RUNNING", "HALTED"]
    assert ended.err == "r1 is paused and waits for a person: resume or cancel it\n"


def test_the_outcome_is_the_same_document_as_by_asking(server: Answering, told: Commands) -> None:
    def play() -> None:
        stream(server)[1].send_response(snapshot(HALTED))

    by_telling = run(told, play, "rollout", "watch", "r1", "--json")

    def ask() -> None:
        stream(server)[1].terminate((), grpc.StatusCode.UNIMPLEMENTED, "Method not found!")
        server.answer("RolloutsService", "GetRollout", rollouts_pb2.GetRolloutResponse(rollout=HALTED))

    by_asking = run(told, ask, "rollout", "watch", "r1", "--json")
    assert by_telling == by_asking
    assert json.loads(by_telling.out)["rollout"]["id"] == "r1"


def test_a_token_without_the_right_to_watch_asks(server: Answering, told: Commands) -> None:
    def ask() -> None:
        stream(server)[1].terminate((), grpc.StatusCode.PERMISSION_DENIED, "no")
        for found in (RUNNING, RUNNING, HALTED):
            server.answer("RolloutsService", "GetRollout", rollouts_pb2.GetRolloutResponse(rollout=found))

    ended = run(told, ask, "rollout", "watch", "r1")
    assert ended.code == Exit.HALTED
    assert len(ended.out.splitlines()) == 2


def test_a_rollout_that_is_not_there_is_refused(server: Answering, told: Commands) -> None:
    def play() -> None:
        stream(server)[1].terminate((), grpc.StatusCode.NOT_FOUND, "rollout_id: there is no rollout 'r1'")

    ended = run(told, play, "rollout", "watch", "r1")
    assert (ended.code, ended.out) == (Exit.ERROR, "")
    assert ended.err.startswith("fleetroll: rollout_id: there is no rollout 'r1'")


def test_an_outage_is_borne_and_told_beside_the_output(server: Answering, told: Commands) -> None:
    def play() -> None:
        _, call = stream(server)
        call.send_response(snapshot(RUNNING))
        told.wait_for("RUNNING")
        call.terminate((), *NOBODY)
        for number in range(4):
            if number >= 2:  # from the third try on
                server.answer("RolloutsService", "GetRollout", failing=NOBODY)
            stream(server)[1].terminate((), *NOBODY)
        server.answer("RolloutsService", "GetRollout", failing=NOBODY)
        request, call = stream(server)
        assert request.cursor == b"c"
        call.send_response(changed(RUNNING))
        call.send_response(changed(HALTED))

    ended = run(told, play, "rollout", "watch", "r1")
    assert ended.code == Exit.HALTED
    assert len(ended.out.splitlines()) == 2
    assert ended.err.splitlines() == [
        "not live, trying again: UNAVAILABLE: failed to connect to all addresses", "live again",
    ]  # fmt: skip


def test_a_server_without_a_place_for_one_more_watcher_is_asked(server: Answering, told: Commands) -> None:
    def play() -> None:
        for _ in range(3):
            stream(server)[1].terminate((), grpc.StatusCode.UNAVAILABLE, "64 watchers are here already")
        server.answer("RolloutsService", "GetRollout", rollouts_pb2.GetRolloutResponse(rollout=RUNNING))
        stream(server)[1].terminate((), grpc.StatusCode.UNAVAILABLE, "64 watchers are here already")
        server.answer("RolloutsService", "GetRollout", rollouts_pb2.GetRolloutResponse(rollout=HALTED))

    ended = run(told, play, "rollout", "watch", "r1")
    assert ended.code == Exit.HALTED
    assert [line.split()[-1] for line in ended.out.splitlines()] == ["RUNNING", "HALTED"]
    assert ended.err == "not live, trying again: UNAVAILABLE: 64 watchers are here already\n"


def test_a_server_that_stays_away_ends_it(server: Answering, told: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "PATIENCE_SECONDS", 0.2)
    with AdminClient(Endpoint("127.0.0.1:1", PEM)) as client:
        server.client = client
        ended = told.run("rollout", "watch", "r1")
    assert ended.code == Exit.ERROR
    assert ended.err.splitlines()[-1].endswith("(UNAVAILABLE); is the server running, and are address and CA right?")


def test_a_start_that_is_watched_goes_on_by_what_the_server_tells(server: Answering, told: Commands) -> None:
    def play() -> None:
        server.answer("RolloutsService", "StartRollout", rollouts_pb2.StartRolloutResponse(rollout=RUNNING))
        stream(server)[1].send_response(snapshot(HALTED))

    ended = run(told, play, "rollout", "start", "--watch", "--json")
    assert ended.code == Exit.HALTED
    assert json.loads(ended.out)["rollout"]["state"] == "ROLLOUT_STATE_HALTED"


def newer(*, ended: bool = False) -> rollouts_pb2.Rollout:
    """A rollout in a state that only a newer server knows."""
    made = rollouts_pb2.Rollout(id="r1", version="1.1.0", state=NEWER)
    if ended:
        made.ended_at.FromJsonString("2030-01-02T03:04:05Z")
    return made


def test_a_state_that_only_a_newer_server_knows_is_a_number_and_watching_goes_on(
    server: Answering, told: Commands
) -> None:
    def play() -> None:
        _, call = stream(server)
        for message in (snapshot(newer()), changed(newer()), changed(RUNNING), changed(HALTED)):
            call.send_response(message)

    ended = run(told, play, "rollout", "watch", "r1")
    assert ended.code == Exit.HALTED
    assert [line.split()[-1] for line in ended.out.splitlines()] == ["99", "RUNNING", "HALTED"]
    assert ended.err == "r1 is in state 99, which only a newer fleetroll knows: watching goes on\n"


@pytest.mark.parametrize("json_option", [(), ("--json",)])
def test_an_end_that_only_a_newer_server_knows_has_no_exit_code_of_another(
    server: Answering, told: Commands, json_option: tuple[str, ...]
) -> None:
    def play() -> None:
        stream(server)[1].send_response(snapshot(newer(ended=True)))

    def ask() -> None:
        stream(server)[1].terminate((), grpc.StatusCode.UNIMPLEMENTED, "Method not found!")
        server.answer("RolloutsService", "GetRollout", rollouts_pb2.GetRolloutResponse(rollout=newer(ended=True)))

    by_telling = run(told, play, "rollout", "watch", "r1", *json_option)
    assert by_telling == run(told, ask, "rollout", "watch", "r1", *json_option)
    assert by_telling.code == Exit.ERROR
    assert by_telling.err == "r1 ended in state 99, which only a newer fleetroll knows\n"
    if json_option:
        assert json.loads(by_telling.out)["rollout"]["state"] == 99
    else:
        assert by_telling.out.split()[-1] == "99"


@pytest.mark.parametrize("json_option", [(), ("--json",)])
def test_whatever_only_a_newer_server_knows_is_shown_as_a_number(
    server: Answering, told: Commands, json_option: tuple[str, ...]
) -> None:
    why = types_pb2.Decision(code=NEWER)
    shown = newer()
    shown.state_decision.CopyFrom(why)
    shown.late.CopyFrom(rollouts_pb2.LateHosts(left=2, stopped=why))
    shown.waves.add(number=1, state=NEWER, counts=[rollouts_pb2.StateCount(state=NEWER, hosts=7)])
    host = rollouts_pb2.RolloutHost(name="web", attempt=types_pb2.Attempt(state=NEWER, code=NEWER), waiting=NEWER)

    def play() -> None:
        server.answer("RolloutsService", "GetRollout", rollouts_pb2.GetRolloutResponse(rollout=shown))
        server.answer("RolloutsService", "ListRolloutHosts", rollouts_pb2.ListRolloutHostsResponse(hosts=[host]))

    ended = run(told, play, "rollout", "show", "r1", *json_option)
    assert (ended.code, ended.err) == (Exit.OK, "")
    if json_option:
        assert json.loads(ended.out)["rollout"]["waves"][0]["state"] == 99
        return
    head, late, wave, *_, row = ended.out.splitlines()
    assert head.split()[-2:] == ["99", "99"]
    assert late.endswith("not offered any more  99"), "and nobody is told what to do about it"
    assert wave.startswith("wave 1  99 ")
    assert "7 99" in wave
    assert row.split() == ["web", "0", "99", "99"]
