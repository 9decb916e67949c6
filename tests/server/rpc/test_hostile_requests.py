"""What no client of ours sends is refused as the caller's mistake: never as a defect of the server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from fleetroll.v1 import (
    agents_pb2,
    agents_pb2_grpc,
    events_pb2,
    events_pb2_grpc,
    policy_pb2,
    policy_pb2_grpc,
    releases_pb2,
    releases_pb2_grpc,
    rollouts_pb2,
    rollouts_pb2_grpc,
    tokens_pb2,
    tokens_pb2_grpc,
    types_pb2,
)
from fleetroll_server.rpc import requests
from tools.house import contract

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = "2026-01-01T00:00:00+00:00"

LISTINGS: dict[str, tuple[Any, Any, str, tuple[str, ...]]] = {
    "ListAgents": (agents_pb2_grpc.AgentsServiceStub, agents_pb2.ListAgentsRequest(), "agents", ("host", "id")),
    "ListReleases": (
        releases_pb2_grpc.ReleasesServiceStub,
        releases_pb2.ListReleasesRequest(),
        "releases",
        ("agent", "1.0.0"),
    ),
    "ListRollouts": (rollouts_pb2_grpc.RolloutsServiceStub, rollouts_pb2.ListRolloutsRequest(), "rollouts", (NOW, "r")),
    "ListRolloutHosts": (
        rollouts_pb2_grpc.RolloutsServiceStub,
        rollouts_pb2.ListRolloutHostsRequest(rollout_id="r"),
        "rollout-hosts",
        ("1", "1"),
    ),
    "ListPolicyHistory": (
        policy_pb2_grpc.PolicyServiceStub,
        policy_pb2.ListPolicyHistoryRequest(),
        "policy-history",
        ("1",),
    ),
    "ListEvents": (events_pb2_grpc.EventsServiceStub, events_pb2.ListEventsRequest(), "event-list", ("1",)),
    "ListJoinTokens": (
        tokens_pb2_grpc.TokensServiceStub,
        tokens_pb2.ListJoinTokensRequest(),
        "join-tokens",
        (NOW, "t"),
    ),
    "ListApiTokens": (tokens_pb2_grpc.TokensServiceStub, tokens_pb2.ListApiTokensRequest(), "api-tokens", (NOW, "t")),
}
NUMBERS = ("1" * 22, "1" * 1500, "-1", "1.5", "", "٣", "0x1")
INSTANTS = (
    "2026-01-01T00:00:00",
    "2026-01-01",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59-23:59",
    "yesterday",
    "",
)


def hostile_cursors(kind: str, good: tuple[str, ...]) -> Iterator[bytes]:
    """Yield cursors that a listing of this kind never gave out."""
    first, *others = good
    yield b"["
    yield b"[" * 100_000
    yield b"[" * requests.MAX_CURSOR_BYTES
    yield b"\xff\xfe"
    yield b"null"
    yield f'["{kind}", {"1" * 22}, "x"]'.encode()
    yield f'["{kind}", {"1" * 6000}, "x"]'.encode()
    yield f'["{kind}", "{first}", "\\ud800"]'.encode()
    yield f'["{kind}", "{first}", "\\u0000"]'.encode()
    yield json.dumps(["other", *good]).encode()
    yield json.dumps([kind, *good[:-1]]).encode()
    yield json.dumps([kind, *good, "more"]).encode()
    yield json.dumps([kind, *good[:-1], "x" * requests.MAX_CURSOR_BYTES]).encode()
    for odd in {NOW: INSTANTS, "1": NUMBERS}.get(first, ()):
        yield json.dumps([kind, odd, *others]).encode()
    for odd in NUMBERS if others == ["1"] else ():
        yield json.dumps([kind, first, odd]).encode()


async def listed(server: Any, listing: str, cursor: bytes) -> Any:
    stub, empty, _kind, _good = LISTINGS[listing]
    request = type(empty)()
    request.CopyFrom(empty)
    request.page.CopyFrom(types_pb2.Page(cursor=cursor))
    return await server.client().call(getattr(stub(server.channel), listing), request)


def test_the_table_names_every_listing_of_the_contract() -> None:
    files = contract.image()
    paged = {
        message.name.removesuffix("Request")
        for file in contract.own_files(files)
        for message in file.message_type
        if message.name.endswith("Request") and any(field.type_name.endswith(".Page") for field in message.field)
    }
    assert paged == set(LISTINGS)


@pytest.mark.parametrize("listing", LISTINGS)
async def test_a_cursor_that_was_not_given_out_is_refused(server: Any, refusal: Any, listing: str) -> None:
    _stub, _empty, kind, good = LISTINGS[listing]
    for cursor in hostile_cursors(kind, good):
        why = await refusal(listed(server, listing, cursor))
        assert (why.code, why.facts.get("field")) == ("INVALID_ARGUMENT", "page.cursor"), cursor[:100]


@pytest.mark.parametrize("listing", LISTINGS)
async def test_a_cursor_of_its_own_kind_is_read(server: Any, refusal: Any, listing: str) -> None:
    _stub, _empty, kind, good = LISTINGS[listing]
    cursor = requests.make_cursor(kind, good)
    if listing == "ListRolloutHosts":
        assert (await refusal(listed(server, listing, cursor))).status is grpc.StatusCode.NOT_FOUND
    else:
        await listed(server, listing, cursor)


def test_the_longest_name_of_a_host_fits_into_a_cursor() -> None:
    cursor = requests.make_cursor("agents", ("\U0001f600" * 253, "agent-" + "x" * 64))
    assert requests.read_cursor(types_pb2.Page(cursor=cursor), "agents", 2) is not None


@pytest.mark.parametrize("seconds", [10**17, -(10**17), 2**63 - 1])
@pytest.mark.parametrize("rpc", ["CreateJoinToken", "CreateApiToken"])
async def test_a_life_that_no_calendar_holds_is_refused(server: Any, refusal: Any, rpc: str, seconds: int) -> None:
    request = getattr(tokens_pb2, f"{rpc}Request")(valid_for=Duration(seconds=seconds))
    stub = tokens_pb2_grpc.TokensServiceStub(server.channel)
    why = await refusal(server.client().call(getattr(stub, rpc), request))
    assert (why.code, why.facts["field"]) == ("INVALID_ARGUMENT", "valid_for")


LIMITS: dict[str, rollouts_pb2.RolloutLimits] = {
    **{
        f"limits.{name}": rollouts_pb2.RolloutLimits(**{name: Duration(seconds=10**17)})  # type: ignore[arg-type]
        for name in ("bake", "soak", "lease", "not_after")
    },
    "limits.offline_policy": rollouts_pb2.RolloutLimits(offline_policy=99),  # type: ignore[arg-type]  # of no enum
}


@pytest.mark.parametrize("field", LIMITS)
async def test_a_limit_that_can_not_be_is_refused_by_name(server: Any, refusal: Any, field: str) -> None:
    request = rollouts_pb2.StartRolloutRequest(product="agent", limits=LIMITS[field])
    stub = rollouts_pb2_grpc.RolloutsServiceStub(server.channel)
    why = await refusal(server.client().call(stub.StartRollout, request))
    assert (why.code, why.facts["field"]) == ("INVALID_ARGUMENT", field)
