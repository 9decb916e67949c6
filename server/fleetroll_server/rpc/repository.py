"""RepositoryService: signed metadata and artefacts for agents. Trust comes from signatures, not from this service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fleetroll.v1 import repository_pb2 as pb
from fleetroll.v1 import repository_pb2_grpc
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_publishing.roles import TIMESTAMP_FILE
from fleetroll_publishing.sealing import is_signed
from fleetroll_server.catalogue import reads
from fleetroll_server.catalogue.files import chunks
from fleetroll_server.catalogue.metadata import one_file
from fleetroll_server.rpc import requests

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

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
            payload = await one_file(connection, name)
        if name == TIMESTAMP_FILE and not is_signed(payload):
            message = "the server was restored, and its keys of snapshot and timestamp are being exchanged"
            raise RequestError(message, code=Code.RECOVERY, remedy="ask again later; what runs goes on running")
        return pb.GetMetadataResponse(payload=payload)

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
        for chunk in chunks(self._services.folder.artefacts / artifact.sha256, request.offset, artifact.length):
            yield pb.FetchTargetResponse(chunk=chunk)
