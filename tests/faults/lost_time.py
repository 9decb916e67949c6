"""A server whose database goes back, by a restored backup or a copied folder, and the return of its hosts."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

from fleetroll.v1 import recovery_pb2, recovery_pb2_grpc, tokens_pb2, tokens_pb2_grpc
from fleetroll_agent.identity.ratchet import Ratchet
from fleetroll_common.values.ids import SystemIds
from fleetroll_publishing.keys import Cost, Passphrase
from fleetroll_server.catalogue.metadata import current_files
from fleetroll_server.upkeep.backup import BackupRequest, back_up
from fleetroll_server.upkeep.restore import Restored, RestoreRequest, restore
from tests.faults.stocks import ElsewhereFolder, enroll
from tests.faults.virtual_agent import RefusedError
from tests.faults.virtual_disk import Disk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    from fleetroll.v1 import agent_stream_pb2 as stream_pb2
    from tests.faults.virtual_agent import VirtualAgent
    from tests.faults.worlds import World

SECRET = Passphrase("not for others", Cost(1, 8192))
KEPT = ("timestamp.json", "snapshot.json", "targets.json", "products%2Fagent.json")


async def recovery_of(world: World) -> recovery_pb2.Recovery:
    """Return where the recovery stands."""
    stub = recovery_pb2_grpc.RecoveryServiceStub(world.channel)
    shown: recovery_pb2.Recovery = (await world.call(stub.GetRecovery, recovery_pb2.GetRecoveryRequest())).recovery
    return shown


async def approve(world: World, *agent_ids: str) -> list[str]:
    """Approve hosts that are listed as younger."""
    stub = recovery_pb2_grpc.RecoveryServiceStub(world.channel)
    listed = 0 if agent_ids else len((await recovery_of(world)).younger)
    request = recovery_pb2.ApproveHostsRequest(agent_ids=agent_ids, hosts_listed=listed, reason="they are ours")
    return list((await world.call(stub.ApproveHosts, request)).agent_ids)


async def end(world: World, not_seen: int) -> None:
    """End the recovery."""
    stub = recovery_pb2_grpc.RecoveryServiceStub(world.channel)
    request = recovery_pb2.EndRecoveryRequest(reason="all are back", hosts_not_seen=not_seen)
    await world.call(stub.EndRecovery, request)


async def join_string(world: World, uses: int) -> str:
    """Make a join token; return its string."""
    stub: Any = tokens_pb2_grpc.TokensServiceStub(world.channel)
    return str((await world.call(stub.CreateJoinToken, tokens_pb2.CreateJoinTokenRequest(max_uses=uses))).join_string)


async def join(world: World, string: str, name: str) -> VirtualAgent:
    """Enrol one more host."""
    seed = SystemIds().token(32)
    ratchet = Ratchet(current=SystemIds().token(32), next=SystemIds().token(32))
    answer = await enroll(world.channel, string, name, seed, ratchet.current)
    disk = Disk(answer.agent_id, seed, ratchet, name, enrolment=(answer.receipt, answer.receipt_mac))
    world.stock.disks.append(disk)
    return world.agent(name)


async def trusts_newest(world: World, agent: VirtualAgent) -> None:
    """Let the host have refreshed: it trusts the newest metadata."""
    async with world.services.store.read() as connection:
        files = await current_files(connection)
    newest = {
        name.split(".", 1)[1] if name[0].isdigit() else name: data for name, data in sorted(files.items(), key=_age)
    }
    agent.disk.files = {name: newest[name] for name in KEPT}


def _plain(name: str) -> str:
    return name.split(".", 1)[1] if name[0].isdigit() else name


def _age(file: tuple[str, bytes]) -> int:
    head = file[0].split(".", 1)[0]
    return int(head) if head.isdigit() else 0


async def backed_up(world: World, out: Path) -> Path:
    """Take a backup of the running server."""
    folder = ElsewhereFolder(world.stock.data, world._url)
    await back_up(folder, folder.database_url, BackupRequest(out, SECRET), world.clock)
    return out


async def restored(world: World, source: Path, data: Path, stops: Path | None, url: str = "") -> Restored:
    """End the server without a word and go on with another one, from the backup."""
    disks = {name: agent.disk for name, agent in world.agents.items()}
    await world.stop()
    made = await restore(
        RestoreRequest(data, source, SECRET, () if stops is None else (stops,)), world.clock, SystemIds(), url
    )
    if url:
        (data / "fleetroll.db").touch()  # its rows are elsewhere; a data folder has the file
    await _go_on(world, data, url, disks)
    return made


async def copied(world: World, target: Path, copy_database: Callable[[], object] = dict) -> Path:
    """Copy the data folder of the server, which stands meanwhile, and the database where it is another."""
    disks = {name: agent.disk for name, agent in world.agents.items()}
    await world.stop()
    shutil.copytree(world.stock.data, target)
    copy_database()
    await _go_on(world, world.stock.data, world._url, disks)
    return target


async def copied_back(world: World, source: Path, url: str = "") -> None:
    """End the server and go on with the copy."""
    disks = {name: agent.disk for name, agent in world.agents.items()}
    await world.stop()
    await _go_on(world, source, url, disks)


async def _go_on(world: World, data: Path, url: str, disks: dict[str, Disk]) -> None:
    """Start the server on ``data``."""
    world.stock = replace(world.stock, data=data)
    world._url = url
    await world.start()
    world.readdress()
    for name, disk in disks.items():
        world.agents[name].disk = disk


async def comes_back(agent: VirtualAgent) -> stream_pb2.Welcome:
    """Come as agents do: again at once after RECONNECT; then send what the server does not hold."""
    try:
        welcome = await agent.connect()
    except RefusedError as refused:
        if refused.code != "RECONNECT":
            raise
        welcome = await agent.connect()
    await _send_again(agent, welcome.ack.sequence)
    return welcome


async def _send_again(agent: VirtualAgent, held: int) -> None:
    """Send what the server does not hold of the host's journal."""
    reports = [report for report in agent.disk.reports if report.sequence > held]
    for first in range(0, len(reports), 100):
        await agent.deliver(reports[first : first + 100])
