"""What a host may say although no honest one does: it is answered, stored where it must be, and harms nobody else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from fleetroll.v1 import agent_stream_pb2 as stream_pb2
from fleetroll.v1 import types_pb2
from fleetroll_agent.identity.ratchet import Ratchet
from tests.faults.virtual_agent import RefusedError
from tests.faults.virtual_disk import code_name

if TYPE_CHECKING:
    from tests.faults.worlds import World

ODD: dict[str, dict[str, Any]] = {
    "the longest time": {"time_limit": Duration(seconds=315_576_000_000)},
    "no time at all": {"time_limit": Duration(seconds=2**62)},
    "negative time": {"time_limit": Duration(seconds=-5)},
    "a date that no calendar has": {"retry_at": Timestamp(seconds=2**60)},
    "nanoseconds that are none": {"retry_at": Timestamp(seconds=1, nanos=2_000_000_000)},
    "a code of a newer contract": {"code": 4711},
    "long texts": {"message": "m" * 50_000, "output_tail": "o" * 50_000, "step": "s" * 5_000},
    "no text": {"message": "a\x00b", "step": "\x00", "output_tail": "\x00", "running_version": "\x00"},
    "a long product": {"product": "p" * 10_000},
    "the largest generation": {"generation": 2**63 - 1},
    "a negative generation": {"generation": -(2**63)},
    "long bytes": {"sha256": bytes(10_000)},
    "a state that only the history has": {"state": types_pb2.ATTEMPT_STATE_EXCUSED},
    "a long version": {"running_version": "9" * 10_000},
}


async def say(world: World, odd: dict[str, Any]) -> None:
    """Let a host that has Go report something odd; whatever it was is acknowledged, and the host goes on."""
    await world.online("host-1", "host-2")
    rollout = await world.roll("host-1")
    agent = await world.staged("host-1")
    await agent.granted()
    (report,) = agent.journal("applying")
    for name, value in odd.items():
        if isinstance(value, Duration | Timestamp):
            getattr(report, name).CopyFrom(value)
        else:
            setattr(report, name, value)
    assert await agent.deliver([report]) == agent.disk.sequence
    assert world.services.store.writer.healthy
    await world.agent("host-2").fence()
    await agent.report("cancelled")
    assert await world.states("host-1") == ["cancelled"]
    assert await world.state(rollout) in {"PAUSED", "RUNNING"}
    await world.cancel(rollout)


@pytest.mark.parametrize("odd", ODD)
async def test_an_odd_report_is_acknowledged_and_stops_nobody(world: World, odd: str) -> None:
    await say(world, ODD[odd])


async def test_counts_beyond_the_databases_numbers_are_refused_and_harm_nobody(world: World) -> None:
    agent = world.agent("host-1")
    await world.online("host-2")
    honest = agent.disk.ratchet
    agent.disk.ratchet = Ratchet(honest.current, honest.next, 2**64 - 1)
    with pytest.raises(RefusedError) as caught:
        await agent.connect()
    assert caught.value.code == "INVALID_ARGUMENT"
    assert world.services.store.writer.healthy
    agent.disk.ratchet = honest
    await agent.connect()
    await world.agent("host-2").fence()


async def test_an_ask_beyond_the_databases_numbers_harms_nobody(world: World) -> None:
    await world.online("host-1", "host-2")
    rollout = await world.roll("host-1")
    agent = await world.staged("host-1")
    await agent.request(number=2**64 - 1)
    answer = await agent.expect("go", "no_go", "refusal")
    assert isinstance(answer, stream_pb2.Refusal)
    assert code_name(answer.code) == "INVALID_ARGUMENT"
    await agent.ended()
    assert world.services.store.writer.healthy
    await agent.connect()
    await agent.granted()
    await agent.report("cancelled")
    await world.cancel(rollout)


@pytest.mark.parametrize(
    "product",
    [
        {"product": "p" * 10_000},
        {"product": ""},
        {"product": "agent", "version": "v" * 10_000, "note": "n" * 10_000},
        {"product": "agent", "highest_generation": -5},
        {"product": "agent", "highest_generation": 2**63 - 1},
    ],
)
async def test_an_odd_inventory_harms_nobody(world: World, product: dict[str, Any]) -> None:
    agent = world.agent("host-1")
    session = await agent.open()
    payload = agent.payload()
    payload.products.append(stream_pb2.ProductState(**product))
    payload.host_name = "n" * 10_000
    payload.disk_free_bytes = -1
    agent.remember(await agent.greet(session, payload=payload.SerializeToString()))
    session.call.cancel()
    assert world.services.store.writer.healthy
    await agent.connect()
    rollout = await world.roll("host-1")
    await world.update("host-1")
    assert await world.state(rollout) == "COMPLETED"
