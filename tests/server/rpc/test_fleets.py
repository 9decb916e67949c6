"""Tenancy: what belongs to a foreign fleet does not exist, and no statement can forget the fleet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest
import sqlalchemy as sa

from fleetroll.v1 import (
    agents_pb2,
    agents_pb2_grpc,
    enrolment_pb2_grpc,
    options_pb2,
    releases_pb2,
    releases_pb2_grpc,
    tokens_pb2,
    tokens_pb2_grpc,
)
from fleetroll_server.store.tables import FleetRow, table_of

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
async def two_fleets(server: Any, host: Callable[..., Any]) -> dict[str, Any]:
    """An agent and a join token in each of two fleets, and an admin of the second."""

    async def job(tx: Any) -> None:
        values = {"id": "other", "name": "other", "created_at": tx.now}
        await tx.execute(sa.insert(table_of(FleetRow)).values(**values))

    await server.services.store.writer.command(job)
    tokens, enrolment = (
        tokens_pb2_grpc.TokensServiceStub(server.channel),
        enrolment_pb2_grpc.EnrolmentServiceStub(server.channel),
    )
    found: dict[str, Any] = {}
    for number, fleet in enumerate(("default", "other"), 1):
        made = await server.client().call(tokens.CreateJoinToken, tokens_pb2.CreateJoinTokenRequest(fleet_id=fleet))
        enrolled = await enrolment.Enroll(host(number).request(made.join_string))
        found[fleet] = (made.token.id, enrolled.agent_id)
    request = tokens_pb2.CreateApiTokenRequest(name="other's admin", role=options_pb2.ROLE_ADMIN, fleet_ids=["other"])
    found["token"] = await server.client().call(tokens.CreateApiToken, request)
    return found


async def test_a_listing_shows_own_fleets_alone(server: Any, two_fleets: dict[str, Any]) -> None:
    stub = agents_pb2_grpc.AgentsServiceStub(server.channel)
    other = server.client(two_fleets["token"].secret)
    seen = await other.call(stub.ListAgents, agents_pb2.ListAgentsRequest())
    assert [agent.id for agent in seen.agents] == [two_fleets["other"][1]]
    everything = await server.client().call(stub.ListAgents, agents_pb2.ListAgentsRequest())
    assert len(everything.agents) == 2
    tokens = tokens_pb2_grpc.TokensServiceStub(server.channel)
    listed = await other.call(tokens.ListJoinTokens, tokens_pb2.ListJoinTokensRequest())
    assert [(token.id, list(token.agent_ids)) for token in listed.tokens] == [
        (two_fleets["other"][0], [two_fleets["other"][1]])
    ]
    api = await other.call(tokens.ListApiTokens, tokens_pb2.ListApiTokensRequest())
    assert [token.id for token in api.tokens] == [two_fleets["token"].token.id]


FOREIGN: dict[str, Callable[[Any, str, str], tuple[Any, Any]]] = {
    "list agents": lambda c, _t, _a: (
        agents_pb2_grpc.AgentsServiceStub(c).ListAgents,
        agents_pb2.ListAgentsRequest(fleet_id="default"),
    ),
    "get agent": lambda c, _t, a: (
        agents_pb2_grpc.AgentsServiceStub(c).GetAgent,
        agents_pb2.GetAgentRequest(agent=a),
    ),
    "get agent by name": lambda c, _t, _a: (
        agents_pb2_grpc.AgentsServiceStub(c).GetAgent,
        agents_pb2.GetAgentRequest(agent="host-1"),
    ),
    "revoke agent": lambda c, _t, a: (
        agents_pb2_grpc.AgentsServiceStub(c).RevokeAgent,
        agents_pb2.RevokeAgentRequest(agent_id=a, reason="r"),
    ),
    "readmit agent": lambda c, _t, a: (
        agents_pb2_grpc.AgentsServiceStub(c).ReadmitAgent,
        agents_pb2.ReadmitAgentRequest(agent_id=a, reason="r"),
    ),
    "dismiss agent": lambda c, _t, a: (
        agents_pb2_grpc.AgentsServiceStub(c).DismissAgent,
        agents_pb2.DismissAgentRequest(agent_id=a, reason="r"),
    ),
    "make join token": lambda c, _t, _a: (
        tokens_pb2_grpc.TokensServiceStub(c).CreateJoinToken,
        tokens_pb2.CreateJoinTokenRequest(fleet_id="default"),
    ),
    "list join tokens": lambda c, _t, _a: (
        tokens_pb2_grpc.TokensServiceStub(c).ListJoinTokens,
        tokens_pb2.ListJoinTokensRequest(fleet_id="default"),
    ),
    "revoke join token": lambda c, t, _a: (
        tokens_pb2_grpc.TokensServiceStub(c).RevokeJoinToken,
        tokens_pb2.RevokeJoinTokenRequest(token_id=t),
    ),
    "token for a foreign fleet": lambda c, _t, _a: (
        tokens_pb2_grpc.TokensServiceStub(c).CreateApiToken,
        tokens_pb2.CreateApiTokenRequest(name="n", role=options_pb2.ROLE_VIEWER, fleet_ids=["default"]),
    ),
}


@pytest.mark.parametrize("case", FOREIGN)
async def test_what_is_foreign_does_not_exist(server: Any, two_fleets: dict[str, Any], refusal: Any, case: str) -> None:
    method, request = FOREIGN[case](server.channel, *two_fleets["default"])
    why = await refusal(server.client(two_fleets["token"].secret).call(method, request))
    assert why.status is grpc.StatusCode.NOT_FOUND
    await server.client().call(method, request) if "dismiss" not in case else None


async def test_tokens_above_the_caller_are_not_there(server: Any, two_fleets: dict[str, Any], refusal: Any) -> None:
    stub = tokens_pb2_grpc.TokensServiceStub(server.channel)
    listed = await server.client().call(stub.ListApiTokens, tokens_pb2.ListApiTokensRequest())
    first_admin = next(token.id for token in listed.tokens if token.name == "first admin")
    other = server.client(two_fleets["token"].secret)
    why = await refusal(other.call(stub.RevokeApiToken, tokens_pb2.RevokeApiTokenRequest(token_id=first_admin)))
    assert why.status is grpc.StatusCode.NOT_FOUND


async def test_a_token_made_by_a_bound_admin_is_bound_as_well(server: Any, two_fleets: dict[str, Any]) -> None:
    stub = tokens_pb2_grpc.TokensServiceStub(server.channel)
    request = tokens_pb2.CreateApiTokenRequest(name="n", role=options_pb2.ROLE_ADMIN)
    made = await server.client(two_fleets["token"].secret).call(stub.CreateApiToken, request)
    assert list(made.token.fleet_ids) == ["other"]


async def test_what_concerns_every_fleet_is_not_for_bound_admins(
    server: Any, two_fleets: dict[str, Any], refusal: Any
) -> None:
    stub = releases_pb2_grpc.ReleasesServiceStub(server.channel)
    client = server.client(two_fleets["token"].secret)
    header = releases_pb2.PublishReleaseRequest(header=releases_pb2.PublishHeader())
    why = await refusal(stub.PublishRelease(iter([header]), metadata=client.metadata))
    assert why.code == "PERMISSION_DENIED"


async def test_an_unknown_fleet_is_refused(server: Any, refusal: Any) -> None:
    stub = tokens_pb2_grpc.TokensServiceStub(server.channel)
    for request in (tokens_pb2.CreateJoinTokenRequest(fleet_id="x"),):
        assert (await refusal(server.client().call(stub.CreateJoinToken, request))).code == "NOT_FOUND"
    api = tokens_pb2.CreateApiTokenRequest(name="n", role=options_pb2.ROLE_VIEWER, fleet_ids=["x"])
    assert (await refusal(server.client().call(stub.CreateApiToken, api))).code == "NOT_FOUND"
