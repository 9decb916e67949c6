"""What a server refused, as a typed error: code, message, remedy and facts come over the wire as they were made."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

import grpc
import grpc.aio
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterator

_BY_STATUS = {
    grpc.StatusCode.UNAUTHENTICATED: (Code.UNAUTHENTICATED, "give a token that is valid"),
    grpc.StatusCode.PERMISSION_DENIED: (Code.PERMISSION_DENIED, "ask an admin for the role"),
    grpc.StatusCode.UNAVAILABLE: (Code.UNAVAILABLE, "is the server running, and are address and CA right?"),
    grpc.StatusCode.DEADLINE_EXCEEDED: (Code.UNAVAILABLE, "the server did not answer in time; try again"),
    grpc.StatusCode.UNIMPLEMENTED: (Code.UNIMPLEMENTED, "the server is of another version"),
}

_UNHEARD = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
    }
)
"""What a call ends with when its line breaks or its time is over: alone it says nothing of what the server did."""
CLOSED = "the connection was closed here"
_SAYS_CLOSED = ("Channel is", "Cannot invoke RPC")
"""How gRPC's errors without a type of their own begin, with and without asyncio, where a channel is closed."""


class ServerRefusedError(RequestError):
    """The server answered with an error, or did not answer.

    Attributes:
        status: the gRPC status.
        answered: False where no word of the server came: what was asked for may have been done all the same.
    """

    def __init__(
        self,
        message: str,
        *,
        status: grpc.StatusCode,
        code: Code,
        remedy: str,
        details: dict[str, str],
        answered: bool = True,
    ) -> None:
        """Keep the parts."""
        super().__init__(message, code=code, remedy=remedy, **details)
        self.status = status
        self.answered = answered


def words_of(call: grpc.Call) -> status_pb2.Status | None:
    """Return what the server said of the end of a call; None where no server said anything.

    What can't be read, or contradicts the status, is an answer without words: it is not the client that is at fault.
    """
    try:
        return cast("status_pb2.Status | None", rpc_status.from_call(call))
    except (ValueError, DecodeError):
        return status_pb2.Status()


def from_rpc_error(error: grpc.RpcError) -> ServerRefusedError:
    """Read the error's google.rpc details; without them, name the status."""
    call = cast("grpc.Call", error)  # an error of a synchronous call is the call itself
    status = call.code()
    rich = words_of(call)
    info, remedy = error_details_pb2.ErrorInfo(), ""
    for packed in rich.details if rich is not None else ():
        if packed.Unpack(info):
            continue
        hint = error_details_pb2.LocalizedMessage()
        if packed.Unpack(hint):
            remedy = hint.message
    fallback, fallback_remedy = _BY_STATUS.get(status, (Code.INTERNAL, ""))
    code = Code(info.reason) if info.reason in Code.__members__ else fallback
    text = call.details() or status.name
    return ServerRefusedError(
        text,
        status=status,
        code=code,
        remedy=remedy or fallback_remedy,
        details=dict(info.metadata),
        answered=rich is not None or status not in _UNHEARD,
    )


def was_closed(error: Exception) -> bool:
    """Tell whether gRPC means, by an error that is none of a call, that its channel is closed."""
    return str(error).startswith(_SAYS_CLOSED)


@contextmanager
def translate() -> Iterator[None]:
    """Turn gRPC errors of the body into :class:`ServerRefusedError`.

    Raises:
        ServerRefusedError: the server refused the call or could not be reached, or the connection was closed here.
    """
    try:
        yield
    except grpc.RpcError as error:
        raise from_rpc_error(error) from error
    except (grpc.aio.UsageError, ValueError) as error:
        if not was_closed(error):
            raise
        status = grpc.StatusCode.UNAVAILABLE
        remedy = "connect anew"
        raise ServerRefusedError(CLOSED, status=status, code=Code.UNAVAILABLE, remedy=remedy, details={}) from error
