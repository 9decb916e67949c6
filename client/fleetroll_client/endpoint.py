"""One server as an admin knows it: address, CA, token."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError


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
            RequestError: the address has no port, or ``ca_pem`` holds no certificate, or a broken one (caller's fault).
        """
        check_address(self.address)
        if b"-----BEGIN CERTIFICATE-----" not in self.ca_pem:
            message = "ca: there is no certificate in it"
            raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy="name the server's ca.pem", field="ca")
        try:
            ssl.create_default_context(cadata=self.ca_pem.decode("ascii"))
        except (ssl.SSLError, ValueError) as error:  # gRPC would only say that nobody answers
            message = "ca: its certificates can't be read"
            raise RequestError(
                message, code=Code.INVALID_ARGUMENT, remedy="name the server's ca.pem", field="ca"
            ) from error


def check_address(address: str) -> None:
    """Refuse what is not ``host:port``.

    Raises:
        RequestError: it has no host or no port (caller's fault).
    """
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdigit():
        message = f"server: {address!r} is not host:port"
        raise RequestError(
            message, code=Code.INVALID_ARGUMENT, remedy="write it like fleet.example:8443", field="server"
        )
