"""RepositoryService: signed metadata and artefacts for agents. Trust comes from signatures, not from this service."""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING, Any

from fleetroll.v1 import repository_pb2 as pb
from fleetroll.v1 import repository_pb2_grpc
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import StoreError
from fleetroll_common.wire.channel import CHUNK_BYTES
from fleetroll_server.catalogue import reads
from fleetroll_server.catalogue.metadata import one_file
from fleetroll_server.rpc import requests

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    import grpc

    from fleetroll_server.services import Services

    Context = grpc.aio.ServicerContext[Any, Any]

MAX_NAME_CHARS = 200
MAX_PATH_CHARS = 300


class RepositoryServicer(repository_pb2_grpc.RepositoryServiceServicer):
    """Serves bytes."""

    def __init__(self, services: Services) -> None:
        """Work on ``services``."""
        self._services = services

    async def GetMetadata(self, request: pb.GetMetadataRequest, context: Context) -> pb.GetMetadataResponse:  # noqa: ARG002
        """Return one metadata file."""
        name = requests.text("name", request.name, at_least=1, at_most=MAX_NAME_CHARS)
        async with self._services.store.read() as connection:
            return pb.GetMetadataResponse(payload=await one_file(connection, name))

    async def FetchTarget(
        self,
        request: pb.FetchTargetRequest,
        context: Context,  # noqa: ARG002
    ) -> AsyncIterator[pb.FetchTargetResponse]:
        """Stream an artefact from any byte on."""
        path = requests.text("path", request.path, at_least=1, at_most=MAX_PATH_CHARS)
        async with self._services.store.read() as connection:
            artifact = await reads.artifact_at(connection, path)
        if not 0 <= request.offset <= artifact.length:
            raise requests.invalid("offset", f"{request.offset} is not between 0 and {artifact.length}")
        for chunk in _chunks(self._services.folder.artefacts / artifact.sha256, request.offset, artifact.length):
            yield pb.FetchTargetResponse(chunk=chunk)


def _chunks(path: Path, offset: int, length: int) -> Iterator[bytes]:
    """Return the file's bytes from ``offset`` on, mapped: one copy a chunk, the fastest way that was measured.

    Raises:
        StoreError: the file is not what was published (our fault).
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            if len(mapped) != length:
                raise _lost(path)
            while offset < length:
                yield mapped[offset : offset + CHUNK_BYTES]
                offset += CHUNK_BYTES
    except (OSError, ValueError) as error:
        raise _lost(path) from error


def _lost(path: Path) -> StoreError:
    """Return the error about a file that is missing or of another length."""
    message = f"the artefact {path.name[:16]} is missing or damaged on the server"
    return StoreError(message, code=Code.STORE_FAILED, remedy="publish the release again under a new version")
