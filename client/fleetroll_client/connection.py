"""How to reach a server: address, CA, token; and the services behind it as typed stubs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import grpc

from fleetroll.v1 import (
    agents_pb2_grpc,
    events_pb2_grpc,
    releases_pb2_grpc,
    rollouts_pb2_grpc,
    server_info_pb2_grpc,
    tokens_pb2_grpc,
)
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.wire.channel import ADMIN_OPTIONS

if TYPE_CHECKING:
    from types import TracebackType


@dataclass(frozen=True)
class Endpoint:
    """One server as an admin knows it.

    Attributes:
        address: ``host:port``.
        ca_pem: the CA certificates that vouch for the server. There is no way around them.
        token: the API token; empty for the public calls alone.
    """

    address: str
    ca_pem: bytes
    token: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        """Refuse what could not work.

        Raises:
            RequestError: the address has no port, or there is no certificate in ``ca_pem`` (caller's fault).
        """
        host, colon, port = self.address.rpartition(":")
        if not colon or not host or not port.isdigit():
            message = f"server: {self.address!r} is not host:port"
            raise RequestError(
                message, code=Code.INVALID_ARGUMENT, remedy="write it like fleet.example:8443", field="server"
            )
        if b"-----BEGIN CERTIFICATE-----" not in self.ca_pem:
            message = "ca: there is no certificate in it"
            raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy="name the server's ca.pem", field="ca")


class AdminClient:
    """A connection with one stub per admin service. A context manager; may be used from several threads."""

    def __init__(self, endpoint: Endpoint) -> None:
        """Prepare the channel; nothing is sent before the first call."""
        credentials = grpc.ssl_channel_credentials(root_certificates=endpoint.ca_pem)
        if endpoint.token:
            credentials = grpc.composite_channel_credentials(
                credentials, grpc.access_token_call_credentials(endpoint.token)
            )
        self._channel = grpc.secure_channel(endpoint.address, credentials, options=ADMIN_OPTIONS)
        self.agents = agents_pb2_grpc.AgentsServiceStub(self._channel)
        self.events = events_pb2_grpc.EventsServiceStub(self._channel)
        self.releases = releases_pb2_grpc.ReleasesServiceStub(self._channel)
        self.rollouts = rollouts_pb2_grpc.RolloutsServiceStub(self._channel)
        self.server_info = server_info_pb2_grpc.ServerInfoServiceStub(self._channel)
        self.tokens = tokens_pb2_grpc.TokensServiceStub(self._channel)

    def __enter__(self) -> Self:
        """Return the client itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the channel."""
        self._channel.close()
