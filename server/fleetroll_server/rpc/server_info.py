"""ServerInfoService: what server this is, without login."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fleetroll.v1 import server_info_pb2 as pb
from fleetroll.v1 import server_info_pb2_grpc
from fleetroll_common.buildinfo import build_info
from fleetroll_common.wire.handshake import PROTOCOL, PROTOCOL_OLDEST
from fleetroll_server.catalogue.keys import signing_mode

if TYPE_CHECKING:
    import grpc

    from fleetroll_server.services import Services


class ServerInfoServicer(server_info_pb2_grpc.ServerInfoServiceServicer):
    """Answers about the server itself."""

    def __init__(self, services: Services) -> None:
        """Answer for ``services``."""
        self._services = services
        self._build = build_info()

    async def GetServerInfo(
        self,
        request: pb.GetServerInfoRequest,  # noqa: ARG002 (it says nothing)
        context: grpc.aio.ServicerContext[Any, Any],  # noqa: ARG002
    ) -> pb.GetServerInfoResponse:
        """Tell versions, commit, schema, and who holds the release keys."""
        async with self._services.store.read() as connection:
            mode = await signing_mode(connection)
        answer = pb.GetServerInfoResponse(
            version=self._build.shown,
            git_sha=self._build.git_sha,
            schema_revision=self._services.store.schema_revision,
            protocol_min=PROTOCOL_OLDEST,
            protocol_max=PROTOCOL,
            signing_mode=mode,
        )
        answer.time.FromDatetime(self._services.clock.now())
        return answer
