"""The signed repository's files for people: whole, in bounded pieces, and nothing else of the server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from fleetroll.v1 import releases_pb2, releases_pb2_grpc
from fleetroll_common.wire.channel import CHUNK_BYTES as CHUNK
from fleetroll_server.catalogue.metadata import current_files
from tests.faults.uploads import header, publish

if TYPE_CHECKING:
    from collections.abc import Callable


async def read(server: Any, name: str) -> list[bytes]:
    """Return the chunks of a file."""
    stub = releases_pb2_grpc.ReleasesServiceStub(server.channel)
    request = releases_pb2.GetRepositoryFileRequest(name=name)
    call = stub.GetRepositoryFile(request, metadata=server.client().metadata, timeout=20)
    return [answer.chunk async for answer in call]


async def test_every_file_of_metadata_is_given_as_it_was_signed(server: Any) -> None:
    """By the names that mirrors have."""
    async with server.services.store.read() as connection:
        files = await current_files(connection)
    assert len(files) >= 5
    for name, data in files.items():
        assert b"".join(await read(server, f"metadata/{name}")) == data


async def test_an_artefact_is_given_in_bounded_chunks(server: Any, artefact: Callable[..., Any]) -> None:
    """Of at most 256 KiB, none of them empty."""
    built = artefact("1.1.0")
    made = await publish(server, header(built), built.path.read_bytes())
    chunks = await read(server, f"targets/{made.release.artifacts[0].path}")
    assert b"".join(chunks) == built.path.read_bytes()
    assert {0 < len(chunk) <= CHUNK for chunk in chunks} == {True}
    assert len(chunks) > 1


@pytest.mark.parametrize(
    "name",
    ["metadata/9.root.json", "metadata/../fleetroll.db", "targets/agent/9.9.9/x", "targets/../../tls/server.key"],
)
async def test_what_the_repository_has_not_is_not_found(server: Any, refusal: Any, name: str) -> None:
    """A name is looked up among what was signed, never in a folder."""
    assert (await refusal(read(server, name))).code == "NOT_FOUND"


@pytest.mark.parametrize("name", ["", "timestamp.json", "metadata/", "targets/", "tls/ca.pem", "metadata", "x" * 321])
async def test_a_name_of_another_form_is_the_callers_fault(server: Any, refusal: Any, name: str) -> None:
    """The field is named."""
    why = await refusal(read(server, name))
    assert (why.code, why.facts["field"]) == ("INVALID_ARGUMENT", "name")
