"""Signed metadata and artefacts for agents, from any byte on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from fleetroll.v1 import repository_pb2, repository_pb2_grpc
from fleetroll_common.wire.channel import CHUNK_BYTES as CHUNK
from fleetroll_server.catalogue.metadata import current_files
from tests.faults.uploads import fetch, header, publish

if TYPE_CHECKING:
    from collections.abc import Callable


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
