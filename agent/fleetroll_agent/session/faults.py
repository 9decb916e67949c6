"""What a failed call means for people: one error with the server's code and words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import grpc

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError, FleetrollError, RequestError

if TYPE_CHECKING:
    from collections.abc import Sequence

_CODES = {
    grpc.StatusCode.INVALID_ARGUMENT: Code.INVALID_ARGUMENT,
    grpc.StatusCode.UNAUTHENTICATED: Code.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED: Code.PERMISSION_DENIED,
    grpc.StatusCode.NOT_FOUND: Code.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS: Code.ALREADY_EXISTS,
    grpc.StatusCode.UNIMPLEMENTED: Code.UNIMPLEMENTED,
    grpc.StatusCode.UNAVAILABLE: Code.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED: Code.UNAVAILABLE,
}
_NAMED = re.compile(r"\(([A-Z][A-Z_]{2,40})\)", re.ASCII)


def call_error(error: grpc.aio.AioRpcError) -> FleetrollError:
    """Return the error that the server meant: its code stands in brackets in its words, else the status says it."""
    words = error.details() or error.code().name
    named = [name for name in _NAMED.findall(words) if name in Code.__members__]
    code = Code(named[-1]) if named else _CODES.get(error.code(), Code.INTERNAL)
    text = words.replace(f" ({code.value})", "") if named else words
    return RequestError(f"the server refused: {text}", code=code)


def unreachable(addresses: Sequence[str], last: Exception | None) -> AgentError:
    """Return the error for a server that no address leads to."""
    text = f"no server could be reached at {', '.join(addresses)}: {last}"
    return AgentError(text, code=Code.UNAVAILABLE, remedy="check address and network, then run it again")
