"""Makes the stock of worlds, once for a session: two tiny releases and eight hosts."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fleetroll.v1 import releases_pb2, releases_pb2_grpc, tokens_pb2, tokens_pb2_grpc
from fleetroll_agent.identity.ratchet import Ratchet
from fleetroll_common.buildinfo import STAMP_NAME, BuildInfo, stamp
from fleetroll_common.values.ids import SystemIds
from fleetroll_common.values.version import Version
from fleetroll_publishing.artefact.build import build_artefact
from tests.faults.stocks import HOSTS, NEW, NEWER, Stock, enroll
from tests.faults.virtual_disk import PLATFORM, PRODUCT, Disk
from tests.faults.worlds import World

if TYPE_CHECKING:
    from pathlib import Path


async def stock_up(data: Path, token: str, spare: Path) -> Stock:
    """Publish two releases into an initialised folder and enrol hosts."""
    world = World(Stock(data, token))
    await world.start()
    try:
        channel = world.channel
        for version in (NEW, NEWER):
            world.stock.digests[version] = await publish(world, version, spare / version)
        stub: Any = tokens_pb2_grpc.TokensServiceStub(channel)
        join = await world.call(stub.CreateJoinToken, tokens_pb2.CreateJoinTokenRequest(max_uses=HOSTS))
        for number in range(1, HOSTS + 1):
            seed, name = bytes([number]) * 32, f"host-{number}"
            ratchet = Ratchet(current=SystemIds().token(32), next=SystemIds().token(32))
            answer = await enroll(channel, join.join_string, name, seed, ratchet.current)
            disk = Disk(answer.agent_id, seed, ratchet, name)
            disk.enrolment = (answer.receipt, answer.receipt_mac)
            world.stock.disks.append(disk)
    finally:
        await world.stop()
    return world.stock


async def publish(world: World, version: str, tree: Path) -> str:
    """Publish a tiny artefact; return its hash."""
    (tree / "fleetroll_common").mkdir(parents=True)
    (tree / "entry.py").write_text("print('hello')\n")
    info = BuildInfo(Version.parse(version), "abcdef0", datetime(2026, 1, 1, tzinfo=UTC))
    (tree / "fleetroll_common" / STAMP_NAME).write_bytes(stamp(info))
    built = await asyncio.to_thread(build_artefact, tree, tree.with_suffix(".tar.zst"), entry_point="entry.py", level=1)
    data = built.path.read_bytes()
    assert hashlib.sha256(data).hexdigest() == built.artefact_sha256
    head = releases_pb2.PublishHeader(
        product=PRODUCT,
        version=version,
        channels=["stable"],
        platform=PLATFORM,
        git_sha="abcdef0",
        sha256=bytes.fromhex(built.artefact_sha256),
        length=len(data),
    )
    messages = [releases_pb2.PublishReleaseRequest(header=head), releases_pb2.PublishReleaseRequest(chunk=data)]
    stub: Any = releases_pb2_grpc.ReleasesServiceStub(world.channel)
    await world.call(stub.PublishRelease, messages)
    return built.artefact_sha256
