"""TokensService: how hosts join and how programs call. Secrets are shown once."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from fleetroll.v1 import tokens_pb2 as pb
from fleetroll.v1 import tokens_pb2_grpc
from fleetroll_server.access import apitokens
from fleetroll_server.access.caller import current_caller
from fleetroll_server.access.fleets import visible_fleets
from fleetroll_server.access.secretwords import new_secret
from fleetroll_server.firstrows import DEFAULT_FLEET
from fleetroll_server.identity import jointokens
from fleetroll_server.identity.joinstrings import make_join_string
from fleetroll_server.rpc import requests
from fleetroll_server.rpc.tokens_convert import api_token_to_wire, join_token_to_wire, role_from_wire

if TYPE_CHECKING:
    import grpc

    from fleetroll_server.services import Services

    Context = grpc.aio.ServicerContext[Any, Any]

MAX_USES = 100_000
MAX_NAME_CHARS = 100
JOIN_LIFE = timedelta(hours=24)
API_LIFE = timedelta(days=90)
LONGEST_LIFE = timedelta(days=365)
_JOIN, _API = "join-tokens", "api-tokens"


class TokensServicer(tokens_pb2_grpc.TokensServiceServicer):
    """Makes, lists, revokes."""

    def __init__(self, services: Services) -> None:
        """Work on ``services``."""
        self._services = services

    async def CreateJoinToken(self, request: pb.CreateJoinTokenRequest, context: Context) -> pb.CreateJoinTokenResponse:  # noqa: ARG002
        """Make a token with which hosts enrol."""
        services, caller = self._services, current_caller()
        if not 0 <= request.max_uses <= MAX_USES:
            raise requests.invalid("max_uses", f"{request.max_uses} is not between 0 and {MAX_USES}")
        life = requests.lifetime(
            "valid_for",
            request.valid_for,
            present=request.HasField("valid_for"),
            default=JOIN_LIFE,
            longest=LONGEST_LIFE,
        )
        secret = new_secret(services.ids)
        async with services.store.read() as connection:
            fleets = await visible_fleets(connection, caller, request.fleet_id or DEFAULT_FLEET)
            join_string = await make_join_string(connection, services, secret)
        new = jointokens.NewToken(
            id=services.ids.new("join"),
            kind=jointokens.TokenKind.JOIN,
            secret=secret,
            fleet_id=fleets[0],
            expires_at=services.clock.now() + life,
            max_uses=request.max_uses or 1,
            labels=requests.labels(request.labels),
            reason=requests.reason(request.reason),
        )
        await services.store.writer.command(lambda tx: jointokens.make_token(tx, new, caller))
        async with services.store.read() as connection:
            made = await jointokens.join_token(connection, new.id, fleets)
        return pb.CreateJoinTokenResponse(token=join_token_to_wire(made), join_string=join_string)

    async def ListJoinTokens(self, request: pb.ListJoinTokensRequest, context: Context) -> pb.ListJoinTokensResponse:  # noqa: ARG002
        """List tokens, newest first."""
        size = requests.page_size(request.page)
        cursor = requests.read_cursor(request.page, _JOIN, 2)
        after = None if cursor is None else (requests.cursor_instant(cursor[0]), cursor[1])
        async with self._services.store.read() as connection:
            fleets = await visible_fleets(connection, current_caller(), request.fleet_id)
            found = await jointokens.join_tokens(connection, fleets, after, size + 1)
        answer = pb.ListJoinTokensResponse(tokens=[join_token_to_wire(token) for token in found[:size]])
        if len(found) > size:
            last = found[size - 1].row
            answer.next_cursor = requests.make_cursor(_JOIN, (last["created_at"].isoformat(), last["id"]))
        return answer

    async def RevokeJoinToken(self, request: pb.RevokeJoinTokenRequest, context: Context) -> pb.RevokeJoinTokenResponse:  # noqa: ARG002
        """End a token; hosts that used it stay."""
        services, caller = self._services, current_caller()
        reason = requests.reason(request.reason)
        async with services.store.read() as connection:
            fleets = await visible_fleets(connection, caller)
        token = await services.store.writer.command(
            lambda tx: jointokens.revoke_token(tx, request.token_id, fleets, caller, reason)
        )
        return pb.RevokeJoinTokenResponse(token=join_token_to_wire(token))

    async def CreateApiToken(self, request: pb.CreateApiTokenRequest, context: Context) -> pb.CreateApiTokenResponse:  # noqa: ARG002
        """Make a token for a program or person."""
        services, caller = self._services, current_caller()
        life = requests.lifetime(
            "valid_for",
            request.valid_for,
            present=request.HasField("valid_for"),
            default=API_LIFE,
            longest=LONGEST_LIFE,
        )
        scopes, fleet_ids = apitokens.bounded(caller, request.scopes, request.fleet_ids)
        async with services.store.read() as connection:
            for fleet_id in fleet_ids:
                await visible_fleets(connection, caller, fleet_id)
        secret = new_secret(services.ids)
        new = apitokens.NewApiToken(
            id=services.ids.new("token"),
            name=requests.text("name", request.name, at_least=1, at_most=MAX_NAME_CHARS),
            secret=secret,
            role=role_from_wire(request.role),
            scopes=scopes,
            fleet_ids=fleet_ids,
            expires_at=services.clock.now() + life,
            reason=requests.reason(request.reason),
        )
        row = await services.store.writer.command(lambda tx: apitokens.make_api_token(tx, new, caller))
        return pb.CreateApiTokenResponse(token=api_token_to_wire(row), secret=secret)

    async def ListApiTokens(self, request: pb.ListApiTokensRequest, context: Context) -> pb.ListApiTokensResponse:  # noqa: ARG002
        """List tokens, newest first. They are few: all are read, one page is shown."""
        size = requests.page_size(request.page)
        cursor = requests.read_cursor(request.page, _API, 2)
        async with self._services.store.read() as connection:
            rows = await apitokens.api_tokens(connection, current_caller())
        if cursor is not None:
            last_seen = (requests.cursor_instant(cursor[0]), cursor[1])
            rows = [row for row in rows if (row["created_at"], row["id"]) < last_seen]
        answer = pb.ListApiTokensResponse(tokens=[api_token_to_wire(row) for row in rows[:size]])
        if len(rows) > size:
            last = rows[size - 1]
            answer.next_cursor = requests.make_cursor(_API, (last["created_at"].isoformat(), last["id"]))
        return answer

    async def RevokeApiToken(self, request: pb.RevokeApiTokenRequest, context: Context) -> pb.RevokeApiTokenResponse:  # noqa: ARG002
        """End a token at once."""
        services, caller = self._services, current_caller()
        reason = requests.reason(request.reason)
        row = await services.store.writer.command(
            lambda tx: apitokens.revoke_api_token(tx, request.token_id, caller, reason)
        )
        return pb.RevokeApiTokenResponse(token=api_token_to_wire(row))
