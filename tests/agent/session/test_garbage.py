"""Bytes that are no message: they end the session that they came in, and neither the agent nor what it runs."""

from __future__ import annotations

import asyncio
import importlib
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from structlog.testing import capture_logs

from fleetroll.v1 import agent_stream_pb2 as stream_pb2
from fleetroll.v1 import repository_pb2_grpc
from fleetroll_agent import convert, enrol
from fleetroll_agent.enrol import Wish
from fleetroll_agent.fetch.values import SourceFailed
from fleetroll_agent.session.channel import connected
from fleetroll_agent.session.meaning import NoMessageError, understood
from fleetroll_agent.session.repository import Repository
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import FleetrollError, RequestError
from tests.agent.fake_server.hosts import RealHost
from tests.agent.fake_server.inprocess import PYTHON

if TYPE_CHECKING:
    from pathlib import Path

    from tests.agent.fake_server.inprocess import InProcessHost
    from tests.agent.fake_server.server import FakeServer


CALL: Any = importlib.import_module("grpc.aio._call").StreamStreamCall
"""The class of the open call; the public one of that name is its interface."""


def ends(logs: list[Any]) -> list[Any]:
    return [line for line in logs if line["event"] == "stream_ended"]


@pytest.mark.parametrize("kind", ["challenge", "welcome", "assignment", "ack", "refusal"])
async def test_garbage_on_the_stream_is_a_lost_session(server: FakeServer, host: InProcessHost, kind: str) -> None:
    server.script.garbage.extend([kind] * 2)
    if kind == "refusal":
        server.script.refusals = [stream_pb2.Refusal(message="no")] * 2
    with capture_logs() as logs:
        async with host.running() as daemon:
            server.agent.assignments["agent"] = stream_pb2.Assignment(product="agent", version="1.1.0", generation=7)
            await server.until(lambda: "STAGED" in server.states(7))
            assert not host.work.done()
            assert daemon.state.record.highest == 7
    assert server.script.garbage == []
    assert [line for line in logs if line["event"] == "agent_defect"] == []
    assert [(line["how"], line["code"]) for line in ends(logs)[:2]] == [("lost", Code.INVALID_ARGUMENT)] * 2
    assert "the server sent what is no message" in ends(logs)[0]["reason"]


@pytest.mark.parametrize("error", [ValueError, TypeError, AttributeError, OverflowError, UnicodeError])
async def test_a_message_that_holds_what_no_value_does_is_a_lost_session(
    server: FakeServer, host: InProcessHost, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def odd(_message: object) -> None:
        raise error("odd")

    monkeypatch.setattr(convert, "assigned", odd)
    server.agent.assignments["agent"] = stream_pb2.Assignment(product="agent", version="1.1.0", generation=7)
    with capture_logs() as logs:
        async with host.running():
            await server.until(lambda: len(server.sessions) > 2)
            assert not host.work.done()
    assert (ends(logs)[0]["how"], [line for line in logs if line["event"] == "agent_defect"]) == ("lost", [])


@pytest.mark.parametrize("name", ["read", "write"])
@pytest.mark.parametrize("error", [grpc.aio.UsageError, grpc.aio.InternalError, asyncio.InvalidStateError])
async def test_what_grpc_raises_without_a_type_is_a_lost_session(
    server: FakeServer, host: InProcessHost, monkeypatch: pytest.MonkeyPatch, name: str, error: type[Exception]
) -> None:
    working, turns = getattr(CALL, name), iter(range(1000))

    async def sometimes(self: Any, *arguments: Any) -> Any:
        if next(turns) in (0, 3):  # in the handshake, and in an open session
            raise error("the call is over")
        return await working(self, *arguments)

    monkeypatch.setattr(CALL, name, sometimes)
    server.agent.assignments["agent"] = stream_pb2.Assignment(product="agent", version="1.1.0", generation=7)
    with capture_logs() as logs:
        async with host.running():
            await server.until(lambda: "STAGED" in server.states(7))
            assert not host.work.done()
    assert [line for line in logs if line["event"] == "agent_defect"] == []
    assert {line["how"] for line in ends(logs)} == {"lost"}


@pytest.mark.parametrize("error", [grpc.aio.UsageError, grpc.aio.InternalError, asyncio.InvalidStateError])
async def test_a_call_that_is_over_when_the_last_word_was_said_is_no_defect(
    server: FakeServer, host: InProcessHost, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    async def broken(_self: object) -> None:
        raise error("the call is over")

    monkeypatch.setattr(CALL, "done_writing", broken)
    with capture_logs() as logs:
        async with host.running() as daemon:
            await server.until(lambda: server.sessions)
            daemon.leave("stopping")
            await asyncio.wait_for(host.work, 10)
    assert [line for line in logs if line["event"] == "agent_defect"] == []


@pytest.mark.parametrize(
    ("garbage", "exit_code", "code"),
    [
        ("EnrollResponse", 21, "INVALID_ARGUMENT"),
        ("challenge", 21, "INVALID_ARGUMENT"),
        ("NameFirstVersionResponse", 21, "INVALID_ARGUMENT"),
        ("GetMetadataResponse", 20, "DOWNLOAD_FAILED"),
        ("FetchTargetResponse", 20, "DOWNLOAD_FAILED"),
    ],
)
async def test_garbage_during_an_enrolment_is_one_line_and_a_code(
    server: FakeServer, tmp_path: Path, garbage: str, exit_code: int, code: str
) -> None:
    server.script.garbage.append(garbage)
    host = RealHost(tmp_path / "state")
    found, out, err = await host.enroll(server.join_string())
    said = [line for line in err.splitlines() if not line.startswith("{")]
    assert (found, out, len(said)) == (exit_code, "", 1), err
    assert f"({code})" in said[0]
    assert "the server sent what is no message" in said[0]
    assert server.script.garbage == []
    server.script.names = ["1.1.0"]
    assert (await host.enroll(server.join_string()))[0] == 0
    assert server.uses == 1


async def test_garbage_in_the_place_of_the_version_to_begin_with_keeps_the_identity(
    server: FakeServer, tmp_path: Path
) -> None:
    server.script.garbage.append("NameFirstVersionResponse")
    with pytest.raises(RequestError) as caught:
        await enrol.enroll(Wish(server.join_string(), tmp_path / "state", "host-1", "stable", PYTHON, {}))
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert caught.value.remedy


@pytest.mark.parametrize("error", [grpc.aio.UsageError, grpc.aio.InternalError])
async def test_a_connection_that_closes_under_a_fetch_is_a_source_that_failed(
    server: FakeServer, host: InProcessHost, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    class Broken:
        def __init__(self, _channel: object) -> None: ...

        async def GetMetadata(self, *_arguments: object, **_named: object) -> None:
            raise error("closed")

        def FetchTarget(self, *_arguments: object, **_named: object) -> None:
            raise error("closed")

    monkeypatch.setattr(repository_pb2_grpc, "RepositoryServiceStub", Broken)
    async with connected(server.address, server.ca.certificate) as channel:
        source = Repository(channel, lambda: b"")
        with pytest.raises(SourceFailed):
            await asyncio.to_thread(source.fetch, "timestamp.json", 100)
        with pytest.raises(SourceFailed):
            await anext(source.open("path", 0))


def test_a_defect_of_our_own_is_not_the_servers() -> None:
    def defect(_message: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        understood(object(), defect)
    with pytest.raises(NoMessageError) as caught:
        understood(None, str)
    assert isinstance(caught.value, FleetrollError)
