"""What an enrolled host may say of itself: it can spoil its own entry and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fleetroll.v1 import agent_stream_pb2 as stream_pb2
from fleetroll.v1 import agents_pb2, agents_pb2_grpc, types_pb2
from fleetroll_server.gateway.convert_in import MAX_REPORT_BYTES
from fleetroll_server.store.tables import HostProductRow, ReportRow

if TYPE_CHECKING:
    from tests.faults.virtual_agent import VirtualAgent
    from tests.faults.worlds import World

MAX_PRODUCTS = 64


async def hello(agent: VirtualAgent, **changes: Any) -> None:
    """Say hello with other words than the disk's."""
    payload = agent.payload()
    if "products" in changes:
        del payload.products[:]
    payload.MergeFrom(stream_pb2.HelloPayload(**changes))
    session = await agent.open()
    agent.remember(await agent.greet(session, payload=payload.SerializeToString()))
    await agent.use(session)


async def listed(world: World) -> dict[str, Any]:
    stub: Any = agents_pb2_grpc.AgentsServiceStub(world.channel)
    answer = await world.call(stub.ListAgents, agents_pb2.ListAgentsRequest(fleet_id="default"))
    return {agent.name: agent for agent in answer.agents}


async def test_a_platform_that_is_none_leaves_the_inventory_readable(world: World) -> None:
    agent = world.agent("host-1")
    await hello(agent, platform=types_pb2.Platform(os="\x1b[2J", arch="UP/..", abi="cp311"))
    platform = (await listed(world))["host-1"].platform
    assert (platform.os, platform.arch, platform.abi) == ("unknown", "unknown", "cp311")


async def test_products_without_end_are_not_kept(world: World) -> None:
    agent = world.agent("host-1")
    for number in range(3):
        names = [f"p{number}-{n}" for n in range(MAX_PRODUCTS)]
        await hello(agent, products=[stream_pb2.ProductState(product=name, version="1.0.0") for name in names])
        kept = await world.rows(HostProductRow, agent_id=agent.disk.agent_id)
        assert {row["product"] for row in kept} >= set(names)
        assert len(kept) <= MAX_PRODUCTS + 1
    bad = stream_pb2.ProductState(product="\x1b[2J", version="1.0.0")
    await hello(agent, products=[bad, stream_pb2.ProductState(product="agent", version="1.0.0")])
    assert "\x1b[2J" not in {row["product"] for row in await world.rows(HostProductRow, agent_id=agent.disk.agent_id)}


async def test_a_report_longer_than_any_can_be_is_acknowledged_and_not_kept(world: World) -> None:
    (agent,) = await world.online("host-1")
    agent.disk.attempt = {"generation": 77, "version": "9.9.9"}
    reports = agent.journal("downloading", message="m" * MAX_REPORT_BYTES)
    agent.disk.attempt = None
    assert await agent.deliver(reports) == 1
    (row,) = await world.rows(ReportRow, agent_id=agent.disk.agent_id)
    assert (row["status"], row["payload"]) == ("rejected", b"")


async def test_a_visit_without_a_version_is_offered_nothing_and_blames_nobody(world: World) -> None:
    await world.online("host-1", "host-2")
    rollout = await world.roll("host-1", "host-2", waves=[1, 0])
    agent = world.agent("host-1")
    await agent.expect("assignment")
    await hello(agent, products=[stream_pb2.ProductState(product="agent")])
    await world.sweep(60)
    assert not (await listed(world))["host-1"].online
    assert await world.state(rollout) == "RUNNING"
    assert not [item for item in agent.here.inbox if item.WhichOneof("message") == "assignment"]
    await agent.connect()
    await world.update("host-1")
    await world.update("host-2")
    assert await world.state(rollout) == "COMPLETED"
