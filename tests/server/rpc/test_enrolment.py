"""Enrolment over the wire: one use for one host, a clear code for all else, and nothing stored where it is refused."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import sqlalchemy as sa
from google.protobuf.duration_pb2 import Duration

from fleetroll.v1 import agents_pb2, agents_pb2_grpc, enrolment_pb2, enrolment_pb2_grpc, tokens_pb2, tokens_pb2_grpc
from fleetroll_common.wire.joinstring import JoinString
from fleetroll_common.wire.macs import enrolment_holds
from fleetroll_common.wire.signing import enroll_bytes, sign
from fleetroll_server.identity.ratchet import Retirement
from fleetroll_server.store.tables import AgentRow, RetiredKeyRow, table_of

if TYPE_CHECKING:
    from collections.abc import Callable

AGENT = table_of(AgentRow)


async def join(server: Any, **request: Any) -> tokens_pb2.CreateJoinTokenResponse:
    stub = tokens_pb2_grpc.TokensServiceStub(server.channel)
    made: tokens_pb2.CreateJoinTokenResponse = await server.client().call(
        stub.CreateJoinToken, tokens_pb2.CreateJoinTokenRequest(**request)
    )
    return made


async def enroll(server: Any, request: enrolment_pb2.EnrollRequest) -> enrolment_pb2.EnrollResponse:
    stub: Any = enrolment_pb2_grpc.EnrolmentServiceStub(server.channel)
    answer: enrolment_pb2.EnrollResponse = await stub.Enroll(request, timeout=20)
    return answer


async def agents(server: Any) -> list[agents_pb2.Agent]:
    stub = agents_pb2_grpc.AgentsServiceStub(server.channel)
    return list((await server.client().call(stub.ListAgents, agents_pb2.ListAgentsRequest())).agents)


async def uses(server: Any) -> list[int]:
    stub = tokens_pb2_grpc.TokensServiceStub(server.channel)
    listed = await server.client().call(stub.ListJoinTokens, tokens_pb2.ListJoinTokensRequest())
    return [token.uses for token in listed.tokens]


async def test_a_host_gets_everything_for_its_first_hello(server: Any, host: Callable[..., Any]) -> None:
    made = await join(server, labels={"site": "north"}, reason="first rack")
    request = host().request(made.join_string, labels={"site": "south", "rack": "1"})
    answer = await enroll(server, request)
    assert answer.fleet_id == "default"
    assert dict(answer.labels) == {"site": "north", "rack": "1"}
    assert answer.ca_pem == server.services.ca_pem
    assert list(answer.addresses) == [server.running.address]
    assert answer.incarnation == server.services.incarnation
    assert JoinString.decode(made.join_string).addresses == (server.running.address,)
    receipt = enrolment_pb2.EnrolmentReceipt.FromString(answer.receipt)
    assert (receipt.agent_id, receipt.public_key) == (answer.agent_id, host().key)
    assert enrolment_holds(server.services.server_key, answer.receipt, answer.receipt_mac)
    listed = (await agents(server))[0]
    assert (listed.id, listed.name, listed.platform.abi, listed.online) == (answer.agent_id, "host-1", "cp311", False)


async def test_a_lost_answer_burns_no_second_use_even_when_the_token_is_over(
    server: Any, host: Callable[..., Any]
) -> None:
    made = await join(server)
    first = await enroll(server, host().request(made.join_string))
    server.clock.advance(timedelta(days=2).total_seconds())
    again = await enroll(server, host().request(made.join_string))
    assert again.SerializeToString(deterministic=True) == first.SerializeToString(deterministic=True)
    assert await uses(server) == [1]
    assert len(await agents(server)) == 1


async def test_the_same_pair_gets_the_first_answer_whatever_the_host_calls_itself_by_now(
    server: Any, host: Callable[..., Any]
) -> None:
    made = await join(server, labels={"site": "north"})
    first = await enroll(server, host().request(made.join_string, labels={"rack": "1"}))
    again = await enroll(server, host().request(made.join_string, labels={"rack": "2", "row": "b"}, host_name="other"))
    assert again.SerializeToString(deterministic=True) == first.SerializeToString(deterministic=True)
    (listed,) = await agents(server)
    assert (dict(listed.labels), listed.name) == ({"site": "north", "rack": "1"}, "host-1")


async def test_a_readmitted_host_gets_the_labels_that_its_agent_carries(server: Any, host: Callable[..., Any]) -> None:
    agent_id = (await enroll(server, host(1).request((await join(server)).join_string, labels={"rack": "1"}))).agent_id
    join_string = await readmit(server, agent_id)
    for said in ({"rack": "2"}, {"row": "b"}):
        assert dict((await enroll(server, host(2).request(join_string, labels=said, agent_id=agent_id))).labels) == {
            "rack": "1"
        }


async def test_a_used_up_token_enrols_nobody_else(server: Any, host: Callable[..., Any], refusal: Any) -> None:
    made = await join(server)
    await enroll(server, host(1).request(made.join_string))
    why = await refusal(enroll(server, host(2).request(made.join_string)))
    assert (why.status, why.code) == (grpc.StatusCode.FAILED_PRECONDITION, "TOKEN_USED_UP")
    assert why.remedy == "ask an admin for a new join string"
    assert len(await agents(server)) == 1


async def test_racing_hosts_never_get_more_uses_than_there_are(server: Any, host: Callable[..., Any]) -> None:
    made = await join(server, max_uses=3)
    requests = [enroll(server, host(number).request(made.join_string)) for number in range(1, 9)]
    results = await asyncio.gather(*requests, return_exceptions=True)
    assert sum(isinstance(result, enrolment_pb2.EnrollResponse) for result in results) == 3
    assert await uses(server) == [3]


async def test_an_expired_token_enrols_nobody(server: Any, host: Callable[..., Any], refusal: Any) -> None:
    made = await join(server, valid_for=Duration(seconds=60))
    server.clock.advance(61)
    assert (await refusal(enroll(server, host().request(made.join_string)))).code == "TOKEN_EXPIRED"
    assert await agents(server) == []


async def test_a_revoked_token_enrols_nobody_and_its_hosts_stay(
    server: Any, host: Callable[..., Any], refusal: Any
) -> None:
    made = await join(server, max_uses=2)
    await enroll(server, host(1).request(made.join_string))
    stub = tokens_pb2_grpc.TokensServiceStub(server.channel)
    revoke = tokens_pb2.RevokeJoinTokenRequest(token_id=made.token.id, reason="leaked")
    assert (await server.client().call(stub.RevokeJoinToken, revoke)).token.revoked
    assert (await refusal(enroll(server, host(2).request(made.join_string)))).code == "TOKEN_REVOKED"
    assert len(await agents(server)) == 1


async def test_a_wrong_token_is_told_apart_from_nothing_else(
    server: Any, host: Callable[..., Any], refusal: Any
) -> None:
    made = await join(server)
    wrong = "x" * 43
    request = host().request(
        made.join_string, token=wrong, signature=sign(host().seed, enroll_bytes(wrong, host().key))
    )
    why = await refusal(enroll(server, request))
    assert (why.status, why.code) == (grpc.StatusCode.NOT_FOUND, "TOKEN_UNKNOWN")
    assert wrong not in why.message


CASES: dict[str, tuple[dict[str, Any], str]] = {
    "signature": ({"signature": bytes(64)}, "BAD_SIGNATURE"),
    "key of another size": ({"public_key": bytes(31)}, "INVALID_ARGUMENT"),
    "ratchet of another size": ({"ratchet": b""}, "INVALID_ARGUMENT"),
    "no name": ({"host_name": ""}, "INVALID_ARGUMENT"),
    "control character": ({"host_name": "a\x1bb"}, "INVALID_ARGUMENT"),
    "long name": ({"host_name": "n" * 254}, "INVALID_ARGUMENT"),
    "no platform": ({"platform": None}, "INVALID_ARGUMENT"),
    "many labels": ({"labels": {str(n): "x" for n in range(65)}}, "INVALID_ARGUMENT"),
    "long label": ({"labels": {"k": "v" * 256}}, "INVALID_ARGUMENT"),
    "foreign root": ({"root_sha256": bytes(32)}, "INVALID_ARGUMENT"),
    "empty token": ({"token": ""}, "TOKEN_UNKNOWN"),
}


@pytest.mark.parametrize("case", CASES)
async def test_what_can_not_be_used_is_refused_and_spends_nothing(
    server: Any, host: Callable[..., Any], refusal: Any, case: str
) -> None:
    change, code = CASES[case]
    made = await join(server)
    assert (await refusal(enroll(server, host().request(made.join_string, **change)))).code == code
    assert await uses(server) == [0]
    assert await agents(server) == []


async def test_the_key_of_another_agent_is_refused(server: Any, host: Callable[..., Any], refusal: Any) -> None:
    await enroll(server, host().request((await join(server)).join_string))
    second = await join(server)
    why = await refusal(enroll(server, host().request(second.join_string)))
    assert why.code == "ALREADY_EXISTS"
    assert sorted(await uses(server)) == [0, 1]


async def test_a_token_is_stored_hashed_and_never_listed(server: Any, installed: Any) -> None:
    made = await join(server)
    secret = JoinString.decode(made.join_string).token
    raw = (installed.data / "fleetroll.db").read_bytes() + (installed.data / "fleetroll.db-wal").read_bytes()
    assert made.token.id.encode() in raw
    assert secret.encode() not in raw
    assert secret not in str(made.token)


async def readmit(server: Any, agent_id: str) -> str:
    stub = agents_pb2_grpc.AgentsServiceStub(server.channel)
    request = agents_pb2.ReadmitAgentRequest(agent_id=agent_id, reason="the right host")
    answer = await server.client().call(stub.ReadmitAgent, request)
    return str(answer.join_string)


async def set_agent(server: Any, **values: Any) -> None:
    async def job(tx: Any) -> None:
        await tx.execute(sa.update(AGENT).where(AGENT.c.fleet_id == "default").values(**values))

    await server.services.store.writer.command(job)


async def row(server: Any) -> Any:
    async with server.services.store.read() as connection:
        return (await connection.execute(sa.select(AGENT).where(AGENT.c.fleet_id == "default"))).mappings().one()


async def test_readmission_makes_a_new_key_the_only_one_and_lifts_quarantine(
    server: Any, host: Callable[..., Any]
) -> None:
    old, new = host(1), host(2, ratchet=b"r" * 32)
    agent_id = (await enroll(server, old.request((await join(server)).join_string))).agent_id
    await set_agent(server, quarantined=True, epoch=7, next_key=b"n" * 32)
    answer = await enroll(server, new.request(await readmit(server, agent_id), agent_id=agent_id))
    assert answer.agent_id == agent_id
    found = await row(server)
    assert (found["public_key"], found["next_key"], found["acked"]) == (new.key, None, b"r" * 32)
    assert (found["quarantined"], found["epoch"], found["name"]) == (False, 8, "host-1")
    retired = table_of(RetiredKeyRow)
    query = sa.select(retired.c.public_key, retired.c.why).where(retired.c.fleet_id == "default")
    async with server.services.store.read() as connection:
        keys = {key: why for key, why in await connection.execute(query)}  # noqa: C416
    assert keys == {old.key: Retirement.READMITTED.value, b"n" * 32: Retirement.READMITTED.value}


async def test_a_readmission_is_used_once_and_its_answer_repeated(
    server: Any, host: Callable[..., Any], refusal: Any
) -> None:
    agent_id = (await enroll(server, host(1).request((await join(server)).join_string))).agent_id
    join_string = await readmit(server, agent_id)
    first = await enroll(server, host(2).request(join_string, agent_id=agent_id))
    again = await enroll(server, host(2).request(join_string, agent_id=agent_id))
    assert first.SerializeToString(deterministic=True) == again.SerializeToString(deterministic=True)
    assert (await row(server))["epoch"] == 1
    assert (await refusal(enroll(server, host(3).request(join_string, agent_id=agent_id)))).code == "TOKEN_USED_UP"


async def test_readmission_with_the_old_key_is_refused(server: Any, host: Callable[..., Any], refusal: Any) -> None:
    agent_id = (await enroll(server, host(1).request((await join(server)).join_string))).agent_id
    why = await refusal(enroll(server, host(1).request(await readmit(server, agent_id), agent_id=agent_id)))
    assert why.code == "ALREADY_EXISTS"
    assert (await row(server))["epoch"] == 0


async def test_a_revoked_agent_is_readmitted_no_more_and_its_enrolment_not_repeated(
    server: Any, host: Callable[..., Any], refusal: Any
) -> None:
    made = await join(server, max_uses=2)
    agent_id = (await enroll(server, host(1).request(made.join_string))).agent_id
    stub = agents_pb2_grpc.AgentsServiceStub(server.channel)
    revoke = agents_pb2.RevokeAgentRequest(agent_id=agent_id, reason="stolen")
    assert (await server.client().call(stub.RevokeAgent, revoke)).agent.revoked
    ask = agents_pb2.ReadmitAgentRequest(agent_id=agent_id, reason="found again")
    assert (await refusal(server.client().call(stub.ReadmitAgent, ask))).code == "IDENTITY_REVOKED"
    assert (await refusal(enroll(server, host(1).request(made.join_string)))).code == "IDENTITY_REVOKED"
    assert await agents(server) == []
