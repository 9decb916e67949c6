"""Role x RPC: every method of the contract, over the wire, with every kind of credential.

What is expected is computed here from the contract's options alone. Allowed means: any answer but PERMISSION_DENIED and
UNAUTHENTICATED; the requests are empty, so most are refused for what they lack.
"""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import sqlalchemy as sa
from google.protobuf.duration_pb2 import Duration

from fleetroll.v1 import options_pb2, tokens_pb2, tokens_pb2_grpc
from fleetroll_common.wire.macs import session_token
from fleetroll_server.rpc.contract import SERVICES
from fleetroll_server.store.tables import AgentRow, table_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.descriptor import MethodDescriptor

Metadata = tuple[tuple[str, str | bytes], ...]

METHODS = {f"/{service.full_name}/{method.name}": method for service in SERVICES for method in service.methods}
PEOPLE = {"viewer": options_pb2.ROLE_VIEWER, "operator": options_pb2.ROLE_OPERATOR, "admin": options_pb2.ROLE_ADMIN}
NEVER = frozenset({"nobody", "garbage", "two tokens", "not bearer", "expired token", "revoked token"})
DEAD_AGENTS = frozenset({"older epoch", "expired session", "forged session", "unknown agent", "revoked agent"})
WRONG_SCOPE = "wrong scope"
ACTORS = (*PEOPLE, *sorted(NEVER), *sorted(DEAD_AGENTS), WRONG_SCOPE, "right scope", "agent")


def allowed(actor: str, method: MethodDescriptor, path: str) -> bool:
    access = method.GetOptions().Extensions[options_pb2.access]
    if access.role == options_pb2.ROLE_PUBLIC or path == "/fleetroll.v1.AgentStreamService/Connect":
        return True
    if access.role == options_pb2.ROLE_AGENT:
        return actor == "agent"
    if actor == "right scope":
        return True
    return actor in PEOPLE and PEOPLE[actor] >= access.role


async def ask(channel: grpc.aio.Channel, path: str, method: MethodDescriptor, metadata: Metadata) -> grpc.StatusCode:
    """Call with an empty request, or an empty stream of them; return how it ended."""
    streams_in, streams_out = _streams(method)
    kind: Any = {
        (False, False): channel.unary_unary,
        (False, True): channel.unary_stream,
        (True, False): channel.stream_unary,
        (True, True): channel.stream_stream,
    }[streams_in, streams_out]
    call = kind(path)(iter(()) if streams_in else b"", metadata=metadata, timeout=20)
    try:
        if streams_out:
            async for _ in call:
                call.cancel()  # it was let in; some streams have no end of their own
                return grpc.StatusCode.OK
        else:
            await call
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def _streams(method: MethodDescriptor) -> tuple[bool, bool]:
    return bool(method.client_streaming), bool(method.server_streaming)


@pytest.fixture
async def credentials(server: Any) -> Callable[[str, str], Metadata]:
    """The metadata of each actor; the second argument is the scope that the method at hand needs."""
    stub, admin = tokens_pb2_grpc.TokensServiceStub(server.channel), server.client()
    scopes = sorted({method.GetOptions().Extensions[options_pb2.access].scope for method in METHODS.values()} - {""})

    async def make(**values: Any) -> tuple[str, str]:
        wanted: dict[str, Any] = {"name": "t", "role": options_pb2.ROLE_ADMIN}
        request = tokens_pb2.CreateApiTokenRequest(**(wanted | values))
        made = await admin.call(stub.CreateApiToken, request)
        return made.token.id, made.secret

    secrets = {name: (await make(role=role))[1] for name, role in PEOPLE.items()}
    _, secrets["expired token"] = await make(valid_for=Duration(seconds=60))
    revoked, secrets["revoked token"] = await make()
    await admin.call(stub.RevokeApiToken, tokens_pb2.RevokeApiTokenRequest(token_id=revoked))
    with_scope = {scope: (await make(scopes=[scope]))[1] for scope in scopes}
    without = {scope: (await make(scopes=[other for other in scopes if other != scope]))[1] for scope in scopes}
    await _insert_agents(server)
    server.clock.advance(61)
    sessions = _sessions(server)

    def metadata(actor: str, scope: str) -> Metadata:
        if actor in sessions:
            return (("fleetroll-session-bin", sessions[actor]),)
        if actor in {WRONG_SCOPE, "right scope"}:
            table = without if actor == WRONG_SCOPE else with_scope
            return (("authorization", f"Bearer {table.get(scope, secrets['admin'])}"),)
        special: dict[str, Metadata] = {
            "nobody": (),
            "garbage": (("authorization", "Bearer " + "x" * 43),),
            "not bearer": (("authorization", f"Basic {secrets['admin']}"),),
            "two tokens": (("authorization", f"Bearer {secrets['admin']}"),) * 2,
        }
        return special.get(actor) if actor in special else (("authorization", f"Bearer {secrets[actor]}"),)  # type: ignore[return-value]

    return metadata


async def _insert_agents(server: Any) -> None:
    values: dict[str, Any] = {
        "fleet_id": "default",
        "name": "h",
        "os": "linux",
        "arch": "x86_64",
        "abi": "cp311",
        "acked": b"a",
    }
    now = server.clock.now()

    async def job(tx: Any) -> None:
        for name, revoked in (("agent-a", False), ("agent-r", True)):
            row = AgentRow(id=name, epoch=3, public_key=name.encode(), revoked=revoked, enrolled_at=now, **values)
            await tx.execute(sa.insert(table_of(AgentRow)).values(row.model_dump()))

    await server.services.store.writer.command(job)


def _sessions(server: Any) -> dict[str, bytes]:
    key, ends = server.services.server_key, server.clock.now() + timedelta(minutes=15)
    return {
        "agent": session_token(key, "agent-a", 3, ends),
        "older epoch": session_token(key, "agent-a", 2, ends),
        "expired session": session_token(key, "agent-a", 3, server.clock.now() - timedelta(seconds=1)),
        "forged session": session_token(b"x" * 32, "agent-a", 3, ends),
        "unknown agent": session_token(key, "agent-x", 3, ends),
        "revoked agent": session_token(key, "agent-r", 3, ends),
    }


async def test_every_pair_is_allowed_or_denied_as_the_contract_says(
    server: Any, credentials: Callable[[str, str], Metadata]
) -> None:
    wrong, pairs = [], 0
    for path, actor in itertools.product(METHODS, ACTORS):
        method = METHODS[path]
        scope = method.GetOptions().Extensions[options_pb2.access].scope
        status = await ask(server.channel, path, method, credentials(actor, scope))
        denied = status in {grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED}
        pairs += 1
        if denied is allowed(actor, method, path):
            wrong.append((path, actor, status.name))
    assert wrong == []
    assert pairs == len(METHODS) * len(ACTORS) > 500
    print(f"role x RPC: {pairs} pairs")


async def test_every_method_of_the_contract_is_served(server: Any) -> None:
    for path, method in METHODS.items():
        status = await ask(server.channel, path, method, server.client().metadata)
        assert status is not grpc.StatusCode.UNIMPLEMENTED, path


async def test_health_and_reflection_need_no_credential(server: Any) -> None:
    for path in ("/grpc.health.v1.Health/Check",):
        assert await server.channel.unary_unary(path)(b"", timeout=10) == b"\x08\x01"
    call = server.channel.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
    answers = [answer async for answer in call(iter([b":\x01*"]), timeout=10)]  # list_services: "*"
    assert all(service.full_name.encode() in answers[0] for service in SERVICES)


async def test_what_is_refused_says_why_and_shows_no_secret(server: Any, refusal: Any) -> None:
    call = server.channel.unary_unary("/fleetroll.v1.AgentsService/ListAgents")
    secret = "s" * 43
    why = await refusal(call(b"", metadata=(("authorization", f"Bearer {secret}"),)))
    assert (why.status, why.code) == (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED")
    assert secret not in why.message + why.remedy
    assert why.remedy
    why = await refusal(call(b"", metadata=(("authorization", "Bearer " + "s" * 300),)))
    assert why.code == "UNAUTHENTICATED"


async def test_a_denied_request_is_not_even_parsed(server: Any, refusal: Any) -> None:
    call = server.channel.unary_unary("/fleetroll.v1.AgentsService/ListAgents")
    assert (await refusal(call(b"\xff\xff\xff not a message"))).code == "UNAUTHENTICATED"
