"""Errors on the wire: a status for every code, facts and remedy beside it, and no detail of a defect."""

from __future__ import annotations

from typing import Any, cast

import grpc
import pytest
from google.rpc import error_details_pb2

from fleetroll.v1 import agents_pb2, agents_pb2_grpc, events_pb2, events_pb2_grpc
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import FleetrollError, RequestError
from fleetroll_server.rpc.convert import reason_code
from fleetroll_server.rpc.errors import status_of, to_status


@pytest.mark.parametrize("code", list(Code))
def test_every_code_has_a_status_and_a_name_on_the_wire(code: Code) -> None:
    assert status_of(code) is not grpc.StatusCode.OK
    assert reason_code(code.value)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (Code.NO_HOSTS, grpc.StatusCode.FAILED_PRECONDITION),
        (Code.STALE_DECISION, grpc.StatusCode.ABORTED),
        (Code.STORE_FAILED, grpc.StatusCode.UNAVAILABLE),
        (Code.HOST_NOT_FOUND, grpc.StatusCode.NOT_FOUND),
        (Code.THRESHOLD_MISSING, grpc.StatusCode.INVALID_ARGUMENT),
        (Code.RECONNECT, grpc.StatusCode.UNAUTHENTICATED),
    ],
)
def test_codes_that_clients_branch_on(code: Code, status: grpc.StatusCode) -> None:
    assert status_of(code) is status


def test_details_are_bounded_and_name_the_field() -> None:
    error = RequestError("x" * 5000, code=Code.INVALID_ARGUMENT, remedy="do better", field="f", other="y" * 5000)
    status = to_status(error)
    assert status.ByteSize() < 7000
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    assert status.details[0].Unpack(info)
    assert status.details[1].Unpack(bad)
    assert (info.domain, info.reason) == ("fleetroll", "INVALID_ARGUMENT")
    assert bad.field_violations[0].field == "f"


async def test_a_defect_shows_a_log_id_and_nothing_of_its_inside(
    server: Any, refusal: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def broken(*_arguments: Any, **_named: Any) -> None:
        raise ZeroDivisionError("the secret inside")

    monkeypatch.setattr("fleetroll_server.hosts.inventory.list_hosts", broken)
    stub = agents_pb2_grpc.AgentsServiceStub(server.channel)
    why = await refusal(server.client().call(stub.ListAgents, agents_pb2.ListAgentsRequest()))
    assert (why.status, why.code) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert why.facts["log_id"] in why.message
    assert "secret" not in why.message
    logged = "".join(capsys.readouterr())
    assert why.facts["log_id"] in logged
    assert "the secret inside" in logged


async def test_a_stream_is_refused_with_all_details(server: Any, refusal: Any) -> None:
    stub = events_pb2_grpc.EventsServiceStub(server.channel)
    request = events_pb2.WatchEventsRequest(subjects=[cast("Any", 99)])

    async def watch() -> None:
        async for _ in stub.WatchEvents(request, metadata=server.client().metadata):
            pass

    why = await refusal(watch())
    assert (why.status, why.code) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT")
    assert "subjects" in why.message


def test_an_error_without_a_field_names_none() -> None:
    assert len(to_status(FleetrollError("m", code=Code.CONFLICT)).details) == 1
