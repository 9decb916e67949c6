"""Tokens over the wire: bounds, defaults, pages, and that nobody gives more than he has."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from fleetroll.v1 import options_pb2, tokens_pb2, tokens_pb2_grpc, types_pb2


async def call(server: Any, name: str, request: Any, token: str | None = None) -> Any:
    return await server.client(token).call(getattr(tokens_pb2_grpc.TokensServiceStub(server.channel), name), request)


async def test_a_join_token_has_sane_defaults(server: Any) -> None:
    made = await call(server, "CreateJoinToken", tokens_pb2.CreateJoinTokenRequest(reason="rack"))
    token = made.token
    assert (token.fleet_id, token.max_uses, token.uses, token.revoked) == ("default", 1, 0, False)
    left = token.expires_at.ToDatetime(tzinfo=server.clock.now().tzinfo) - server.clock.now()
    assert left == timedelta(hours=24)
    assert token.created.reason == "rack"
    assert token.created.actor.kind == types_pb2.ACTOR_KIND_TOKEN


JOIN_CASES: dict[str, tuple[dict[str, Any], str]] = {
    "negative uses": ({"max_uses": -1}, "max_uses"),
    "too many uses": ({"max_uses": 100_001}, "max_uses"),
    "too short": ({"valid_for": Duration(seconds=59)}, "valid_for"),
    "too long": ({"valid_for": Duration(seconds=366 * 86_400)}, "valid_for"),
    "long reason": ({"reason": "r" * 501}, "reason"),
    "empty label key": ({"labels": {"": "v"}}, "labels"),
}


@pytest.mark.parametrize("case", JOIN_CASES)
async def test_a_join_token_out_of_bounds_is_refused_by_name(server: Any, refusal: Any, case: str) -> None:
    values, field = JOIN_CASES[case]
    why = await refusal(call(server, "CreateJoinToken", tokens_pb2.CreateJoinTokenRequest(**values)))
    assert (why.code, why.facts["field"]) == ("INVALID_ARGUMENT", field)
    listed = await call(server, "ListJoinTokens", tokens_pb2.ListJoinTokensRequest())
    assert not listed.tokens


API_CASES: dict[str, tuple[dict[str, Any], str]] = {
    "no name": ({"name": ""}, "name"),
    "long name": ({"name": "n" * 101}, "name"),
    "no role": ({"role": options_pb2.ROLE_UNSPECIFIED}, "role"),
    "an agent's role": ({"role": options_pb2.ROLE_AGENT}, "role"),
    "unknown scope": ({"scopes": ["world.write"]}, "scopes"),
    "too short": ({"valid_for": Duration(seconds=1)}, "valid_for"),
}


@pytest.mark.parametrize("case", API_CASES)
async def test_an_api_token_out_of_bounds_is_refused_by_name(server: Any, refusal: Any, case: str) -> None:
    values, field = API_CASES[case]
    wanted: dict[str, Any] = {"name": "n", "role": options_pb2.ROLE_VIEWER}
    request = tokens_pb2.CreateApiTokenRequest(**(wanted | values))
    why = await refusal(call(server, "CreateApiToken", request))
    assert (why.code, why.facts["field"]) == ("INVALID_ARGUMENT", field)


async def test_nobody_gives_a_scope_that_he_lacks(server: Any, refusal: Any) -> None:
    scopes = ["access.write", "agents.read"]
    request = tokens_pb2.CreateApiTokenRequest(name="n", role=options_pb2.ROLE_ADMIN, scopes=scopes)
    bound = (await call(server, "CreateApiToken", request)).secret
    more = tokens_pb2.CreateApiTokenRequest(name="m", role=options_pb2.ROLE_ADMIN, scopes=["releases.write"])
    assert (await refusal(call(server, "CreateApiToken", more, bound))).code == "PERMISSION_DENIED"
    all_of_his = tokens_pb2.CreateApiTokenRequest(name="m", role=options_pb2.ROLE_ADMIN)
    assert list((await call(server, "CreateApiToken", all_of_his, bound)).token.scopes) == scopes


async def test_a_revoked_token_is_dead_at_once(server: Any, refusal: Any) -> None:
    request = tokens_pb2.CreateApiTokenRequest(name="n", role=options_pb2.ROLE_ADMIN)
    made = await call(server, "CreateApiToken", request)
    listing = tokens_pb2.ListApiTokensRequest()
    await call(server, "ListApiTokens", listing, made.secret)
    revoke = tokens_pb2.RevokeApiTokenRequest(token_id=made.token.id, reason="left")
    assert (await call(server, "RevokeApiToken", revoke)).token.revoked
    assert (await refusal(call(server, "ListApiTokens", listing, made.secret))).code == "UNAUTHENTICATED"


@pytest.mark.parametrize("name", ["RevokeApiToken", "RevokeJoinToken"])
async def test_a_token_that_is_not_there_is_not_revoked(server: Any, refusal: Any, name: str) -> None:
    request = getattr(tokens_pb2, f"{name}Request")(token_id="token-none")
    assert (await refusal(call(server, name, request))).code == "NOT_FOUND"


@pytest.mark.parametrize(
    ("make", "listing"), [("CreateJoinToken", "ListJoinTokens"), ("CreateApiToken", "ListApiTokens")]
)
async def test_tokens_are_paged_newest_first(server: Any, refusal: Any, make: str, listing: str) -> None:
    values = {"name": "n", "role": options_pb2.ROLE_VIEWER} if make == "CreateApiToken" else {}
    made = []
    for number in range(5):
        server.clock.advance(number % 2)  # some are made at the same instant
        made.append((await call(server, make, getattr(tokens_pb2, f"{make}Request")(**values))).token.id)
    seen: list[str] = []
    page = types_pb2.Page(size=2)
    while True:
        answer = await call(server, listing, getattr(tokens_pb2, f"{listing}Request")(page=page))
        seen += [token.id for token in answer.tokens]
        if not answer.next_cursor:
            break
        page.cursor = answer.next_cursor
    assert sorted(found for found in seen if found in made) == sorted(made)
    assert len(seen) == len(set(seen))
    assert seen.index(made[4]) < seen.index(made[0])
    kind = "join-tokens" if make == "CreateJoinToken" else "api-tokens"
    page.cursor = f'["{kind}", "no instant", "x"]'.encode()
    request = getattr(tokens_pb2, f"{listing}Request")(page=page)
    assert (await refusal(call(server, listing, request))).facts["field"] == "page.cursor"


async def test_no_answer_but_the_first_carries_a_secret(server: Any) -> None:
    made = await call(
        server, "CreateApiToken", tokens_pb2.CreateApiTokenRequest(name="n", role=options_pb2.ROLE_VIEWER)
    )
    listed = await call(server, "ListApiTokens", tokens_pb2.ListApiTokensRequest())
    assert made.secret not in str(listed)
    assert len(made.secret) == 43
