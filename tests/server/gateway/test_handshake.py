"""The door: proof of possession, protocol versions, one session per agent, revocation, limits."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from fleetroll.v1 import agent_stream_pb2 as stream_pb2
from fleetroll.v1 import agents_pb2, repository_pb2, repository_pb2_grpc
from fleetroll_common.wire.handshake import SESSION_TOKEN_KEY
from fleetroll_server.gateway import admission, gateway, presence, servicer
from fleetroll_server.gateway.convert_in import read_ask, read_batch
from tests.faults.stocks import NEW, enroll
from tests.faults.virtual_agent import RefusedError
from tests.faults.virtual_disk import code_name

if TYPE_CHECKING:
    from tests.faults.virtual_agent import VirtualAgent
    from tests.faults.worlds import World


async def refused(agent: VirtualAgent, **changes: Any) -> str:
    """Open a stream and say this hello; return why it was refused."""
    session = await agent.open()
    with pytest.raises(RefusedError) as caught:
        await agent.greet(session, **changes)
    return str(caught.value.code)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"signature": bytes(64)}, "BAD_SIGNATURE"),
        ({"signature": b"short"}, "BAD_SIGNATURE"),
        ({"nonce": bytes(32)}, "BAD_SIGNATURE"),
        ({"agent_id": "agent-of-somebody-else"}, "BAD_SIGNATURE"),
        ({"key": bytes(32)}, "BAD_SIGNATURE"),
        ({"seed": b"\x77" * 32}, "IDENTITY_UNKNOWN"),
        ({"payload": b"\xff\xff"}, "INVALID_ARGUMENT"),
    ],
)
async def test_a_hello_without_proof_changes_nothing(world: World, change: dict[str, Any], code: str) -> None:
    before = await world.identity("host-1")
    assert await refused(world.agent("host-1"), **change) == code
    assert await world.identity("host-1") == before


async def test_a_hello_of_one_stream_is_worthless_on_another_one(world: World) -> None:
    agent = world.agent("host-1")
    first, second = await agent.open(), await agent.open()
    with pytest.raises(RefusedError) as caught:
        await agent.greet(second, nonce=first.challenge.nonce)
    assert caught.value.code == "BAD_SIGNATURE"
    first.call.cancel()


async def test_a_key_of_another_enrolled_host_is_nobodys_here(world: World) -> None:
    assert await refused(world.agent("host-1"), seed=world.agent("host-2").disk.seed) == "IDENTITY_UNKNOWN"


async def test_an_unknown_id_that_proves_nothing_is_refused_before_anything_is_written(world: World) -> None:
    agent = world.agent("host-1")
    agent.disk.agent_id = "agent-nobody"
    before = await world.totals()
    assert await refused(agent) == "IDENTITY_UNKNOWN"
    assert await world.totals() == before


@pytest.mark.parametrize("spoken", [(2, 9), (0, 0), (3, 1)])
async def test_another_protocol_is_told_so(world: World, spoken: tuple[int, int]) -> None:
    with pytest.raises(RefusedError) as caught:
        await world.agent("host-1").open(protocol=spoken)
    assert caught.value.code == "PROTOCOL_UNSUPPORTED"


async def test_a_stream_that_begins_with_something_else_is_refused(world: World) -> None:
    agent = world.agent("host-1")
    call = agent._stub().Connect()
    await call.write(stream_pb2.ConnectRequest(heartbeat=stream_pb2.Heartbeat()))
    assert code_name((await call.read()).refusal.code) == "INVALID_ARGUMENT"


async def test_a_second_hello_ends_the_session(world: World) -> None:
    (agent,) = await world.online("host-1")
    await agent.send(hello=stream_pb2.Hello())
    ended = await agent.ended()
    assert ended is not None
    assert ended.code == "INVALID_ARGUMENT"


async def test_who_says_nothing_holds_no_place_for_long(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servicer, "HELLO_SECONDS", 0.1)
    session = await world.agent("host-1").open()
    answer = (await session.call.read()).refusal
    assert (code_name(answer.code), answer.retry_after.seconds) == ("UNAVAILABLE", 10)
    assert await session.call.read() is grpc.aio.EOF


async def test_a_session_that_goes_silent_is_ended_and_its_host_offline(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway, "SILENCE_SECONDS", 0.2)
    (agent,) = await world.online("host-1")
    assert (await world.identity("host-1"))["server_id"] == world.services.server_id
    await agent.ended()
    while (await world.identity("host-1"))["server_id"]:
        await asyncio.sleep(0.02)
    assert not (await world.identity("host-1"))["left_well"]


async def test_a_goodbye_is_told_apart_from_a_cut(world: World) -> None:
    (agent,) = await world.online("host-1")
    await agent.goodbye()
    while (row := await world.identity("host-1"))["server_id"]:
        await asyncio.sleep(0.01)
    assert row["left_well"]
    await agent.connect()
    assert not (await world.identity("host-1"))["left_well"]
    await agent.cut()
    while (row := await world.identity("host-1"))["server_id"]:
        await asyncio.sleep(0.01)
    assert not row["left_well"]


async def test_the_newest_hello_ends_the_older_stream_without_a_word(world: World) -> None:
    (agent,) = await world.online("host-1")
    older = agent.here
    welcome = agent.welcome
    newer = await agent.open()
    second = await agent.greet(newer)
    assert second.epoch == welcome.epoch + 1
    assert await agent.ended(older) is None
    assert len(world.server.registry) == 1
    agent.remember(second)
    await agent.use(newer)
    await agent.fence()


async def test_the_end_of_the_older_stream_does_not_make_the_host_offline(world: World) -> None:
    (agent,) = await world.online("host-1")
    await agent.connect()
    await agent.fence()
    await asyncio.sleep(0.1)
    assert world.server.registry.is_online(agent.disk.agent_id)
    assert (await world.identity("host-1"))["server_id"]


async def test_what_an_older_epoch_still_says_is_answered_reconnect_and_has_no_effect(world: World) -> None:
    await world.online("host-1")
    await world.roll("host-1")
    agent = await world.staged("host-1")
    key = world.server.registry.get(agent.disk.agent_id).key
    late = read_batch(stream_pb2.ReportBatch(journal_id="journal-1", reports=agent.journal("applying")))
    ask = read_ask(stream_pb2.RequestGo(product="agent", generation=agent.generation, ask=1, sha256=b""))
    agent.disk.sequence -= 1
    agent.disk.attempt["state"] = 4  # type: ignore[index]  # STAGED, as before the journal
    await agent.connect()
    for answer in (await world.engine.reports(key, late), await world.engine.request_go(key, ask)):
        assert code_name(answer.refusal.code) == "RECONNECT"
    assert (await world.host("host-1"))["state"] == "staged"
    assert (await world.identity("host-1"))["last_sequence"] == 2


async def test_revocation_ends_stream_and_tokens_at_once(world: World) -> None:
    """The server's clock stands still all the while: nothing that comes round in time is what ends them."""
    (agent,) = await world.online("host-1")
    token = agent.welcome.session_token.token
    stub: Any = repository_pb2_grpc.RepositoryServiceStub(world.channel)
    fetch = repository_pb2.GetMetadataRequest(name="timestamp.json")

    async def use_token() -> None:
        await stub.GetMetadata(fetch, metadata=((SESSION_TOKEN_KEY, token),), timeout=10)

    await use_token()
    before = world.clock.now()
    await world.revoke("host-1")
    ended = await agent.ended(within=20.0)
    assert world.clock.now() == before
    assert ended is not None
    assert ended.code == "IDENTITY_REVOKED"
    with pytest.raises(grpc.RpcError) as caught:
        await use_token()
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    with pytest.raises(RefusedError) as again:
        await agent.open()
    assert again.value.code == "IDENTITY_REVOKED"


async def test_a_challenge_from_before_the_revocation_opens_nothing(world: World) -> None:
    agent = world.agent("host-1")
    session = await agent.open()
    await world.revoke("host-1")
    with pytest.raises(RefusedError) as caught:
        await agent.greet(session)
    assert caught.value.code == "IDENTITY_REVOKED"


async def test_a_session_token_of_an_older_session_is_told_to_reconnect(world: World, refusal: Any) -> None:
    (agent,) = await world.online("host-1")
    token = agent.welcome.session_token.token
    await agent.connect()
    stub: Any = repository_pb2_grpc.RepositoryServiceStub(world.channel)
    fetch = repository_pb2.GetMetadataRequest(name="timestamp.json")
    why = await refusal(stub.GetMetadata(fetch, metadata=((SESSION_TOKEN_KEY, token),), timeout=10))
    assert why.code == "RECONNECT"


async def test_no_more_handshakes_go_on_at_the_same_time_than_there_are_places(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    doors: list[admission.Admission] = []
    real = admission.Admission.admit

    def admit(door: admission.Admission, *arguments: Any) -> Any:
        doors.append(door)
        return real(door, *arguments)

    monkeypatch.setattr(admission.Admission, "admit", admit)
    monkeypatch.setattr(admission, "GENERAL_PLACES", 3)
    held = [await world.agent(f"host-{number}").open() for number in (1, 2, 3)]
    with pytest.raises(RefusedError) as caught:
        await world.agent("host-4").open()
    assert (caught.value.code, caught.value.retry_after) == ("TOO_MANY_HANDSHAKES", 1.0)
    await world.agent("host-1").greet(held[0])
    await world.agent("host-4").open()
    for session in held:
        session.call.cancel()
    while doors[0].in_flight > 1:
        await asyncio.sleep(0.01)


async def test_hellos_faster_than_the_bucket_are_told_when_to_come_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "HELLOS_PER_SECOND", 0.5)
    monkeypatch.setattr(admission, "BURST", 2.0)
    await world.online("host-1", "host-2")
    with pytest.raises(RefusedError) as caught:
        await world.agent("host-3").open()
    assert (caught.value.code, caught.value.retry_after) == ("TOO_MANY_HANDSHAKES", 2.0)
    world.clock.advance(2)
    await world.online("host-3")


async def test_a_reader_that_is_too_slow_is_closed_and_not_buffered(world: World) -> None:
    agent = world.agent("host-1")
    session = await agent.open()
    agent.remember(await agent.greet(session))
    slow = world.server.registry.get(agent.disk.agent_id)
    assert slow is not None
    line = stream_pb2.ConnectResponse(no_go=stream_pb2.NoGo(message="x" * 60_000))
    sent = 0
    while slow.send(line):
        sent += 1
        assert sent < 5_000, "it buffers without limit"
        await asyncio.sleep(0)
    assert slow.ended
    while world.server.registry.is_online(agent.disk.agent_id):
        await asyncio.sleep(0.01)
    while (await world.identity("host-1"))["server_id"]:
        await asyncio.sleep(0.01)
    while any(task.get_name().startswith("session-") for task in asyncio.all_tasks()):
        await asyncio.sleep(0.01)
    await agent.connect()
    await agent.fence()


async def test_a_slow_reader_does_not_hold_up_another_host(world: World) -> None:
    slow_agent, quick = world.agent("host-1"), world.agent("host-2")
    session = await slow_agent.open()
    slow_agent.remember(await slow_agent.greet(session))
    await quick.connect()
    slow = world.server.registry.get(slow_agent.disk.agent_id)
    assert slow is not None
    for _ in range(200):
        slow.send(stream_pb2.ConnectResponse(no_go=stream_pb2.NoGo(message="x" * 60_000)))
    await world.roll("host-2")
    assert (await quick.expect("assignment", within=2.0)).version == NEW
    session.call.cancel()
    await world.cancel((await world.host("host-2"))["rollout_id"])


async def test_a_stop_asks_every_host_to_come_back_trials_at_once(world: World) -> None:
    trial, other = await world.online("host-1", "host-2")
    world.server.registry.get(trial.disk.agent_id).on_trial = True
    await world._stack.aclose()
    waits = []
    for agent in (trial, other):
        drain = await agent.expect("drain")
        waits.append(drain.slot.ToTimedelta().total_seconds())
        await agent.ended()
    assert waits[0] == 0
    assert 0 <= waits[1] <= gateway.DRAIN_SPREAD_SECONDS
    await world.start()


async def test_a_readmitted_host_is_offline_until_it_comes_with_its_new_key(world: World) -> None:
    (agent,) = await world.online("host-1")
    agent.disk = await world.readmit("host-1", b"\x51" * 32)
    await agent.ended()
    async with asyncio.timeout(5):
        while (await world.identity("host-1"))["server_id"]:
            await asyncio.sleep(0.01)
    await agent.connect()
    assert (await world.identity("host-1"))["server_id"]


async def test_a_host_stays_online_when_its_readmission_string_is_typed_on_another_one(world: World) -> None:
    (agent,) = await world.online("host-1")
    request = agents_pb2.ReadmitAgentRequest(agent_id=agent.disk.agent_id, reason="the right host")
    join = (await world.call(world.hosts_stub.ReadmitAgent, request)).join_string
    before = await world.identity("host-1")
    for wrong in ("", world.agent("host-2").disk.agent_id):
        with pytest.raises(grpc.aio.AioRpcError, match="agent_id"):
            await enroll(world.channel, join, "host-2", b"\x51" * 32, bytes(32), wrong)
    assert await world.identity("host-1") == before
    await agent.fence()


async def test_an_end_that_could_not_be_written_is_written_later(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "WRITE_SECONDS", 0.05)
    await world.restart()
    (agent,) = await world.online("host-1")
    async with world.broken_disk():
        await agent.cut()
        while len(world.server.registry):
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        assert (await world.identity("host-1"))["server_id"]
    async with asyncio.timeout(5):
        while (await world.identity("host-1"))["server_id"]:
            await asyncio.sleep(0.01)
