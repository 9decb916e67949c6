"""A restored server has a key of its own: whoever has the lost one makes neither session tokens nor proofs."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from fleetroll.v1 import agent_stream_pb2 as stream_pb2
from fleetroll_common.values.errors import RequestError
from fleetroll_common.wire.macs import read_session_token, receipt_mac, session_token
from tests.faults.lost_time import backed_up, comes_back, end, join, join_string, recovery_of, restored
from tests.faults.virtual_agent import RefusedError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.worlds import World


async def test_the_lost_servers_key_makes_no_session_and_no_recovery(world: World, tmp_path: Path) -> None:
    await world.online("host-1")
    stolen = world.services.server_key
    await restored(world, await backed_up(world, tmp_path / "backup"), tmp_path / "new", None)
    services, agent = world.services, world.agent("host-1")
    assert services.former_keys == (stolen,)
    welcome = await comes_back(agent)
    later = world.clock.now() + timedelta(minutes=5)
    token = session_token(stolen, agent.disk.agent_id, welcome.epoch, later)
    with pytest.raises(RequestError):
        read_session_token(services.server_key, token, world.clock.now())
    await end(world, (await recovery_of(world)).hosts_not_seen)
    incarnation, agent_id = services.incarnation, "agent-of-nobody"
    mac = receipt_mac(stolen, incarnation, agent_id, 9)
    thief = world.another(agent.disk.copy(), "thief")
    thief.disk.agent_id = agent_id
    thief.disk.receipt = stream_pb2.Receipt(incarnation=incarnation, epoch=9, mac=mac)
    with pytest.raises(RefusedError) as caught:
        await thief.connect()
    assert caught.value.code == "IDENTITY_UNKNOWN"
    assert not (await recovery_of(world)).active
    assert services.incarnation == incarnation


async def test_enrolments_of_the_lost_server_still_count_after_a_second_restore(world: World, tmp_path: Path) -> None:
    string = await join_string(world, 1)
    first = await backed_up(world, tmp_path / "backup")
    await (await join(world, string, "host-9")).connect()
    await restored(world, first, tmp_path / "new", None)
    await restored(world, await backed_up(world, tmp_path / "second"), tmp_path / "newer", None)
    assert len(world.services.former_keys) == 2
    assert (await comes_back(world.agent("host-9"))).quarantined
    assert not (await comes_back(world.agent("host-1"))).quarantined
