"""What a failed call means for people: one error with the server's code, words and remedy.

The server sends google.rpc details beside the status. An agent brings no library for them; the two that it needs have a
fixed layout on the wire (protobuf: tag, length, bytes), which is what the patterns below say. Of the facts by name, the
field at fault is taken along.
"""

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
_DETAILS_KEY = "grpc-status-details-bin"
_REASON = re.compile(rb"\x0a[\x01-\x7f]([A-Z][A-Z_]{2,60})\x12\x09fleetroll")
"""google.rpc.ErrorInfo: field 1 is the reason, field 2 the domain."""
_FIELD = re.compile(rb"\x0a\x05field\x12([\x01-\x7f])([a-z0-9_.]+)")
"""An entry of google.rpc.ErrorInfo's field 3: field 1 is its name, field 2 what it says."""
_REMEDY = re.compile(rb"\x0a\x02en\x12([\x01-\x7f])([^\x00-\x1f]*)", re.DOTALL)
"""google.rpc.LocalizedMessage: field 1 is the locale, field 2 the message, here shorter than 128 bytes."""


def call_error(error: grpc.aio.AioRpcError) -> FleetrollError:
    """Return the error that the server meant; the status says the code where its details do not."""
    details = dict(error.trailing_metadata() or ()).get(_DETAILS_KEY, b"")
    raw = details if isinstance(details, bytes) else b""
    named, field, remedy = _REASON.search(raw), _FIELD.search(raw), _REMEDY.search(raw)
    reason = "" if named is None else named.group(1).decode("ascii")
    code = Code(reason) if reason in Code.__members__ else _CODES.get(error.code(), Code.INTERNAL)
    advice = "" if remedy is None else remedy.group(2)[: remedy.group(1)[0]].decode("utf-8", "replace")
    facts = {} if field is None else {"field": field.group(2)[: field.group(1)[0]].decode("ascii")}
    text = f"the server refused: {error.details() or error.code().name}"
    return RequestError(text, code=code, remedy=advice, **facts)


def unreachable(addresses: Sequence[str], last: Exception | None) -> AgentError:
    """Return the error for a server that no address leads to."""
    reason = (last.details() or last.code().name) if isinstance(last, grpc.aio.AioRpcError) else str(last)
    text = f"no server could be reached at {', '.join(addresses)}: {' '.join(reason.split())}"
    return AgentError(text, code=Code.UNAVAILABLE, remedy="check address and network, then run it again")
