"""Updates whose artefact comes from a mirror, and downloads over the session that are slowed down."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import grpc
import pytest

from fleetroll.v1 import repository_pb2, repository_pb2_grpc
from fleetroll_agent import parts
from fleetroll_agent.fetch import DownloadLimits, MirrorSource, Pacer
from fleetroll_agent.jobs.artefacts import Ways
from fleetroll_agent.session.repository import Repository
from fleetroll_common.values.clock import SystemClock
from fleetroll_common.wire.channel import AGENT_OPTIONS, SERVER_OPTIONS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.agent.fake_server.inprocess import InProcessHost
    from tests.agent.fake_server.server import FakeServer

CHUNK = bytes(256 * 1024)
MIB = 1024 * 1024


@pytest.fixture
def folder(tmp_path: Path, server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a mirror that the host asks first, under a cap and limits of its own."""
    place = tmp_path / "mirror"
    for path, data in server.releases.artefacts.items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_bytes(data)
    mirror = MirrorSource(f"{place.as_uri()}/{{path}}")
    pacer = Pacer(SystemClock(), 1024 * MIB)
    ways = Ways(limits=DownloadLimits(stall_seconds=20.0), pacer=pacer, mirrors=(mirror,))
    monkeypatch.setattr(parts, "_ways", lambda *_parts: ways)
    return place


async def staged(server: FakeServer, host: InProcessHost) -> None:
    server.script.grant = False
    async with host.running():
        await server.until(lambda: server.sessions)
        server.assign("1.1.0", 7)
        await server.until(lambda: "STAGED" in server.states(7))


async def test_an_artefact_that_a_mirror_has_is_not_asked_from_the_server(
    server: FakeServer, host: InProcessHost, folder: Path
) -> None:
    """The mirror spares the server every byte of it."""
    await staged(server, host)
    assert server.fetched == []


async def test_a_mirror_that_lies_costs_the_update_nothing(
    server: FakeServer, host: InProcessHost, folder: Path
) -> None:
    """The server's own bytes take the place of wrong ones within the same try."""
    for file in folder.rglob("*.zst"):
        file.write_bytes(bytes(file.stat().st_size))
    await staged(server, host)
    assert [request.offset for request in server.fetched] == [0]
    assert server.states(7) == ["OFFERED", "DOWNLOADING", "STAGED"]


class Endless(repository_pb2_grpc.RepositoryServiceServicer):
    """Sends chunks as fast as they are taken, and counts them."""

    sent = 0

    async def GetMetadata(
        self,
        request: repository_pb2.GetMetadataRequest,
        context: grpc.aio.ServicerContext[repository_pb2.GetMetadataRequest, repository_pb2.GetMetadataResponse],
    ) -> repository_pb2.GetMetadataResponse:
        return repository_pb2.GetMetadataResponse()

    async def FetchTarget(
        self,
        request: repository_pb2.FetchTargetRequest,
        context: grpc.aio.ServicerContext[repository_pb2.FetchTargetRequest, repository_pb2.FetchTargetResponse],
    ) -> AsyncIterator[repository_pb2.FetchTargetResponse]:
        while self.sent < 256 * MIB:
            yield repository_pb2.FetchTargetResponse(chunk=CHUNK)
            self.sent += len(CHUNK)


async def test_whoever_reads_slowly_slows_the_server_down() -> None:
    """What was sent and not taken is bounded by the connection's windows, not by the host's memory."""
    endless = Endless()
    server = grpc.aio.server(options=list(SERVER_OPTIONS))
    repository_pb2_grpc.add_RepositoryServiceServicer_to_server(endless, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=list(AGENT_OPTIONS)) as channel:
        stream = Repository(channel, lambda: b"token").open("agent/a.tar.zst", 0)
        taken = sum([len(await anext(stream)) for _ in range(4)])
        await asyncio.sleep(0.5)
        assert endless.sent - taken <= 8 * MIB
        await stream.aclose()  # type: ignore[attr-defined]
    await server.stop(None)
