"""Who comes to a database that went back: younger hosts, newer keys, readmitted ones, copies, liars."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fleetroll.v1 import recovery_pb2, recovery_pb2_grpc
from fleetroll_server.store.tables import AgentRow, RetiredKeyRow
from tests.faults.lost_time import (
    approve,
    backed_up,
    comes_back,
    end,
    join,
    join_string,
    recovery_of,
    restored,
)
from tests.faults.stocks import NEW
from tests.faults.virtual_agent import RefusedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from tests.faults.virtual_agent import VirtualAgent
    from tests.faults.worlds import World


async def lost(world: World, tmp_path: Path, meanwhile: Callable[[], Awaitable[object]]) -> None:
    """Take a backup, let something happen, and go back; nobody has the stops."""
    source = await backed_up(world, tmp_path / "backup")
    await meanwhile()
    await restored(world, source, tmp_path / "new", None)


async def refused(agent: VirtualAgent) -> str:
    with pytest.raises(RefusedError) as caught:
        await agent.connect()
    return caught.value.code


async def test_a_younger_host_is_seen_and_has_no_updates_before_its_approval(world: World, tmp_path: Path) -> None:
    string = await join_string(world, 1)

    async def meanwhile() -> None:
        await (await join(world, string, "host-9")).connect()

    await lost(world, tmp_path, meanwhile)
    welcome = await comes_back(world.agent("host-9"))
    assert welcome.quarantined
    (listed,) = (await recovery_of(world)).younger
    assert (listed.name, listed.agent_id) == ("host-9", world.agent("host-9").disk.agent_id)
    await end(world, (await recovery_of(world)).hosts_not_seen)
    rollout = await world.roll("host-9")
    assert (await world.host("host-9"))["waiting"] == "QUARANTINED"
    assert await approve(world, listed.agent_id) == [listed.agent_id]
    assert (await recovery_of(world)).younger == []
    await world.agent("host-9").connect()
    await world.update("host-9")
    assert await world.state(rollout) == "COMPLETED"


async def test_all_are_approved_by_whoever_has_read_how_many_they_are(world: World, tmp_path: Path) -> None:
    string = await join_string(world, 1)

    async def meanwhile() -> None:
        await (await join(world, string, "host-9")).connect()

    await lost(world, tmp_path, meanwhile)
    await comes_back(world.agent("host-9"))
    stub = recovery_pb2_grpc.RecoveryServiceStub(world.channel)
    for seen in (0, 2):
        with pytest.raises(Exception, match="1 hosts are listed"):
            await world.call(stub.ApproveHosts, recovery_pb2.ApproveHostsRequest(hosts_listed=seen, reason="ours"))
    assert (await world.identity("host-9"))["quarantined"]
    assert len(await approve(world)) == 1


async def test_a_copy_of_a_younger_host_is_no_matter_of_approval(world: World, tmp_path: Path) -> None:
    string = await join_string(world, 1)

    async def meanwhile() -> None:
        await (await join(world, string, "host-9")).connect()

    await lost(world, tmp_path, meanwhile)
    copy = world.agent("host-9").disk.copy()
    await comes_back(world.agent("host-9"))
    await world.agent("host-9").connect()
    await world.another(copy, "copy").connect()
    assert len(await world.events("alert.identity_cloned")) == 1
    assert (await recovery_of(world)).younger == []
    assert await approve(world) == []
    assert (await world.identity("host-9"))["quarantined"]


async def test_an_unknown_host_without_the_servers_own_receipt_stays_out(world: World, tmp_path: Path) -> None:
    string = await join_string(world, 1)

    async def meanwhile() -> None:
        await (await join(world, string, "host-9")).connect()

    await lost(world, tmp_path, meanwhile)
    agent = world.agent("host-9")
    receipt, mac = agent.disk.enrolment or (b"", b"")
    for forged in ((receipt, bytes(32)), (receipt + b" ", mac), world.agent("host-1").disk.enrolment):
        agent.disk.enrolment = forged
        assert await refused(agent) == "IDENTITY_UNKNOWN"
    agent.disk.enrolment, agent.disk.seed = (receipt, mac), b"\x55" * 32
    assert await refused(agent) == "IDENTITY_UNKNOWN"
    assert await world.rows(AgentRow, id=agent.disk.agent_id) == []


async def test_a_key_that_was_replaced_in_the_lost_time_is_followed(world: World, tmp_path: Path) -> None:
    agent = (await world.online("host-1"))[0]
    old = agent.key

    async def meanwhile() -> None:
        for seed in (b"\x41" * 32, b"\x42" * 32):
            await agent.rotate(seed)
            agent.disk.seed = seed
            await agent.connect()

    await lost(world, tmp_path, meanwhile)
    agent = world.agent("host-1")
    assert not (await comes_back(agent)).quarantined
    assert (await world.identity("host-1"))["public_key"] == agent.key
    thief = agent.disk.copy()
    thief.seed = bytes([1]) * 32
    assert old in {row["public_key"] for row in await world.rows(RetiredKeyRow)}
    assert await refused(world.another(thief, "thief")) == "IDENTITY_FORKED"


async def test_a_readmission_of_the_lost_time_waits_for_approval(world: World, tmp_path: Path) -> None:
    await world.online("host-1")
    wrong = world.agent("host-1").disk

    async def meanwhile() -> None:
        right = await world.readmit("host-1", b"\x61" * 32)
        await world.another(right, "right").connect()

    await lost(world, tmp_path, meanwhile)
    welcome = await comes_back(world.agent("right"))
    assert welcome.quarantined
    assert [host.agent_id for host in (await recovery_of(world)).younger] == [wrong.agent_id]
    assert await refused(world.another(wrong, "wrong")) == "IDENTITY_FORKED"
    await approve(world)
    assert not (await world.agent("right").connect()).quarantined


async def test_an_older_copy_is_a_fork_also_in_a_first_hello(world: World, tmp_path: Path) -> None:
    agent = world.agent("host-1")
    copy = agent.disk.copy()
    copy.receipt = None
    for _ in range(3):
        await agent.connect()

    async def meanwhile() -> None:
        await agent.connect()

    await lost(world, tmp_path, meanwhile)
    copy.receipt = world.agent("host-1").disk.receipt
    await world.another(copy, "copy").connect()
    assert len(await world.events("alert.identity_cloned")) == 1


async def test_an_unknown_ratchet_is_audited(world: World, tmp_path: Path) -> None:
    agent = (await world.online("host-1"))[0]
    await lost(world, tmp_path, agent.connect)
    await comes_back(world.agent("host-1"))
    (event,) = await world.events("recovery.ratchet_unknown")
    assert event["agent_id"] == world.agent("host-1").disk.agent_id


async def test_a_generation_that_nobody_can_have_given_is_refused_and_changes_nothing(
    world: World, tmp_path: Path
) -> None:
    agent = (await world.online("host-1"))[0]
    await lost(world, tmp_path, agent.connect)
    agent = world.agent("host-1")
    before = await world.identity("host-1")
    agent.disk.highest = 2**32 + 1
    assert await refused(agent) == "INVALID_ARGUMENT"
    assert await world.identity("host-1") == before
    assert len(await world.events("alert.generation_refused")) == 1
    agent.disk.highest = 2**32
    await comes_back(agent)
    await end(world, (await recovery_of(world)).hosts_not_seen)
    await world.roll("host-1", version=NEW)
    assert (await agent.take()).generation == 2**32 + 1


async def test_ending_needs_the_number_of_hosts_that_were_not_seen(world: World, tmp_path: Path) -> None:
    agent = (await world.online("host-1"))[0]
    await lost(world, tmp_path, agent.connect)
    with pytest.raises(Exception, match="have not come"):
        await end(world, 0)
    assert (await recovery_of(world)).active
    await end(world, 8)
    assert not (await recovery_of(world)).active
    with pytest.raises(Exception, match="in none"):
        await end(world, 8)
