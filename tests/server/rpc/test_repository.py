"""Signed metadata and artefacts for agents, from any byte on."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from fleetroll.v1 import repository_pb2, repository_pb2_grpc
from fleetroll_common.wire.channel import CHUNK_BYTES as CHUNK
from fleetroll_common.wire.macs import session_token
from fleetroll_server.catalogue.metadata import current_files
from fleetroll_server.store.tables import AgentRow, table_of
from tests.faults.uploads import header, publish

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
async def agent_metadata(server: Any) -> tuple[tuple[str, bytes], ...]:
    """The metadata of an agent in a session."""
    values: dict[str, Any] = {
        "name": "h",
        "os": "linux",
        "arch": "x86_64",
        "abi": "cp311",
        "public_key": b"k",
        "acked": b"a",
    }
    row = AgentRow(id="agent-a", fleet_id="default", epoch=3, enrolled_at=server.clock.now(), **values)

    async def job(tx: Any) -> None:
        await tx.execute(sa.insert(table_of(AgentRow)).values(row.model_dump()))

    await server.services.store.writer.command(job)
    ends = server.clock.now() + timedelta(minutes=15)
    return (("fleetroll-session-bin", session_token(server.services.server_key, "agent-a", 3, ends)),)


async def fetch(server: Any, metadata: Any, path: str, offset: int = 0) -> list[bytes]:
    stub = repository_pb2_grpc.RepositoryServiceStub(server.channel)
    request = repository_pb2.FetchTargetRequest(path=path, offset=offset)
    return [answer.chunk async for answer in stub.FetchTarget(request, metadata=metadata, timeout=20)]


@pytest.mark.parametrize("offset", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 600_000])
async def test_an_artefact_is_served_from_any_byte(
    server: Any, artefact: Callable[..., Any], agent_metadata: Any, offset: int
) -> None:
    built = artefact("1.1.0")
    made = await publish(server, header(built), built.path.read_bytes())
    chunks = await fetch(server, agent_metadata, made.release.artifacts[0].path, offset)
    assert b"".join(chunks) == built.path.read_bytes()[offset:]
    assert max(map(len, chunks)) <= CHUNK


async def test_offsets_at_and_beyond_the_end(
    server: Any, artefact: Callable[..., Any], agent_metadata: Any, refusal: Any
) -> None:
    built = artefact("1.1.0")
    path = (await publish(server, header(built), built.path.read_bytes())).release.artifacts[0].path
    assert await fetch(server, agent_metadata, path, built.artefact_bytes) == []
    for offset in (built.artefact_bytes + 1, -1):
        assert (await refusal(fetch(server, agent_metadata, path, offset))).facts["field"] == "offset"
    assert (await refusal(fetch(server, agent_metadata, "agent/9.9.9/x"))).code == "NOT_FOUND"
    (server.services.folder.artefacts / built.artefact_sha256).unlink()
    assert (await refusal(fetch(server, agent_metadata, path))).code == "STORE_FAILED"


async def test_metadata_is_served_by_name(server: Any, agent_metadata: Any, refusal: Any) -> None:
    stub = repository_pb2_grpc.RepositoryServiceStub(server.channel)
    async with server.services.store.read() as connection:
        files = await current_files(connection)
    for name, data in files.items():
        request = repository_pb2.GetMetadataRequest(name=name)
        assert (await stub.GetMetadata(request, metadata=agent_metadata)).payload == data
    missing = repository_pb2.GetMetadataRequest(name="2.root.json")
    assert (await refusal(stub.GetMetadata(missing, metadata=agent_metadata))).code == "NOT_FOUND"
