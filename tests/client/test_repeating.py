"""Calls are made again where that is safe, and nowhere else."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.rpc import error_details_pb2

from fleetroll.v1 import agents_pb2, rollouts_pb2, server_info_pb2, tokens_pb2
from fleetroll_client import AsyncAdminClient, Endpoint, ServerRefusedError, repeating, translate
from fleetroll_client.repeating import REPEATS, may_repeat, wait_before, was_not_answered
from tests.client.test_errors import PEM, Refused, packed
from tests.faults.followers import through
from tests.faults.testing_channel import NOBODY, SERVICES, Answering

if TYPE_CHECKING:
    from fleetroll_client import AdminClient
    from tests.faults.worlds import World

REPEATED = {
    "GetAgent", "GetKillSwitch", "GetPolicy", "GetProductPolicy", "GetRelease", "GetRollout", "GetServerInfo",
    "ListAgents", "ListApiTokens", "ListEvents", "ListInUse", "ListJoinTokens", "ListPolicyHistory", "ListProducts",
    "ListReleases", "ListRolloutHosts", "ListRollouts",
}  # fmt: skip
ROLLOUT = rollouts_pb2.Rollout(id="r1")


def test_each_call_of_the_contract_is_repeated_or_not_on_purpose() -> None:
    """A new one is put on this list by whoever has thought about it."""
    methods = {method.name: method for service in SERVICES.values() for method in service.methods}
    unary = {name for name, method in methods.items() if not (method.client_streaming or method.server_streaming)}
    assert {name for name in unary if may_repeat(f"/fleetroll.v1.X/{name}", object())} == REPEATED
    with_key = {name for name in unary if "idempotency_key" in methods[name].input_type.fields_by_name}
    assert with_key == {"StartRollout"}


def test_a_start_is_repeated_with_a_key_alone() -> None:
    assert not may_repeat("StartRollout", rollouts_pb2.StartRolloutRequest())
    assert may_repeat(
        b"/fleetroll.v1.RolloutsService/StartRollout", rollouts_pb2.StartRolloutRequest(idempotency_key="k")
    )


@pytest.mark.parametrize("status", list(grpc.StatusCode))
def test_an_answer_is_never_repeated(status: grpc.StatusCode) -> None:
    """Whatever the status: words of the server, or any status but that of a connection, end it."""
    info = packed(error_details_pb2.ErrorInfo(reason="UNAVAILABLE", domain="fleetroll"))
    answered: Any = Refused(status, "the server goes down", [info])
    bare: Any = Bare(status)
    assert not was_not_answered(answered)
    assert was_not_answered(bare) is (status is grpc.StatusCode.UNAVAILABLE)


class Bare(Refused):
    """An error that gRPC made here."""

    def __init__(self, status: grpc.StatusCode) -> None:
        super().__init__(status, "connection refused")
        self._trailing = ()


def test_repeats_are_bounded_in_number_and_by_the_time_of_the_call() -> None:
    assert [wait_before(n, None, 0.0) for n in range(REPEATS + 1)] == [0.1, 0.2, 0.4, 0.8, None]
    assert wait_before(0, 0.1, 0.0) is None
    assert wait_before(0, 0.2, 0.0) == 0.1


# Without asyncio, against grpc_testing.


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Answering:
    """The other end; nothing waits."""
    monkeypatch.setattr(repeating, "FIRST_WAIT_SECONDS", 0.001)
    monkeypatch.setattr(repeating, "LONGEST_WAIT_SECONDS", 0.001)
    return Answering(PEM)


def get(client: AdminClient) -> Any:
    with translate():
        return client.rollouts.GetRollout(rollouts_pb2.GetRolloutRequest(rollout_id="r1"), timeout=20)


def test_a_read_survives_a_connection_that_breaks(server: Answering) -> None:
    asked = server.begin(get)
    server.answer("RolloutsService", "GetRollout", failing=NOBODY)
    request = server.answer("RolloutsService", "GetRollout", rollouts_pb2.GetRolloutResponse(rollout=ROLLOUT))
    assert request.rollout_id == "r1"
    assert asked.result(20).rollout == ROLLOUT


def test_a_read_of_a_server_that_stays_away_ends(server: Answering) -> None:
    asked = server.begin(get)
    for _ in range(REPEATS + 1):
        server.answer("RolloutsService", "GetRollout", failing=NOBODY)
    with pytest.raises(ServerRefusedError) as refused:
        asked.result(20)
    assert refused.value.status is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize(
    "status", [grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.INTERNAL, grpc.StatusCode.ABORTED]
)
def test_a_read_is_not_repeated_for_anything_else(server: Answering, status: grpc.StatusCode) -> None:
    asked = server.begin(get)
    server.answer("RolloutsService", "GetRollout", failing=(status, "no"))
    with pytest.raises(ServerRefusedError):
        asked.result(20)


@pytest.mark.parametrize(
    ("service", "method", "request_"),
    [
        ("rollouts", "PauseRollout", rollouts_pb2.PauseRolloutRequest(rollout_id="r1")),
        ("rollouts", "CancelRollout", rollouts_pb2.CancelRolloutRequest(rollout_id="r1")),
        ("rollouts", "PressKillSwitch", rollouts_pb2.PressKillSwitchRequest()),
        ("rollouts", "StartRollout", rollouts_pb2.StartRolloutRequest()),
        ("agents", "RevokeAgent", agents_pb2.RevokeAgentRequest(agent_id="a")),
        ("tokens", "CreateJoinToken", tokens_pb2.CreateJoinTokenRequest()),
    ],
)
def test_a_decision_is_made_once(server: Answering, service: str, method: str, request_: Any) -> None:
    """Whether the first one arrived is for a person to look at."""

    def decide(client: AdminClient) -> Any:
        with translate():
            return getattr(getattr(client, service), method)(request_, timeout=20)

    asked = server.begin(decide)
    server.answer(f"{service.capitalize()}Service", method, failing=NOBODY)
    with pytest.raises(ServerRefusedError):
        asked.result(20)


def test_a_start_with_a_key_is_made_again(server: Answering) -> None:
    request = rollouts_pb2.StartRolloutRequest(idempotency_key="k")
    asked = server.begin(lambda client: client.rollouts.StartRollout(request, timeout=20))
    server.answer("RolloutsService", "StartRollout", failing=NOBODY)
    again = server.answer("RolloutsService", "StartRollout", rollouts_pb2.StartRolloutResponse(rollout=ROLLOUT))
    assert again == request
    assert asked.result(20).rollout == ROLLOUT


# With asyncio, against a server behind a line.


async def test_a_read_outlives_a_line_that_was_cut(world: World) -> None:
    async with through(world) as (proxy, client):
        request = server_info_pb2.GetServerInfoRequest()
        await client.server_info.GetServerInfo(request, timeout=20)
        proxy.down.black_hole()
        asked = asyncio.ensure_future(client.server_info.GetServerInfo(request, timeout=20))
        before = proxy.accepted
        await asyncio.sleep(0.1)
        proxy.heal()
        proxy.cut()
        await asked
        assert proxy.accepted > before


async def test_a_decision_on_a_line_that_is_cut_is_not_made_again(world: World) -> None:
    """The server has heard it once; the caller is told that it is not known."""
    async with through(world) as (proxy, client):
        await client.server_info.GetServerInfo(server_info_pb2.GetServerInfoRequest(), timeout=20)
        proxy.down.black_hole()
        press = rollouts_pb2.PressKillSwitchRequest(fleet_id="default", reason="stop")
        asked = asyncio.ensure_future(client.rollouts.PressKillSwitch(press, timeout=20))
        async with asyncio.timeout(20):
            while not await world.events("kill_switch.pressed"):
                await asyncio.sleep(0.01)
        proxy.cut()
        with pytest.raises(ServerRefusedError) as refused, translate():
            await asked
        proxy.heal()
        assert refused.value.status is grpc.StatusCode.UNAVAILABLE
        assert len(await world.events("kill_switch.pressed")) == 1


async def test_the_time_of_a_call_bounds_all_its_tries() -> None:
    began = time.monotonic()
    async with AsyncAdminClient(Endpoint("127.0.0.1:1", PEM)) as client:
        with pytest.raises(ServerRefusedError) as refused, translate():
            await client.server_info.GetServerInfo(server_info_pb2.GetServerInfoRequest(), timeout=1)
    assert time.monotonic() - began < 5
    assert refused.value.status in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
