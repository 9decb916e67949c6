"""Texts that no database of ours can hold are refused here, before any servicer sees them: one rule for every RPC.

PostgreSQL stores no zero character, SQLite does. What one of them would refuse as a defect of ours is the caller's
mistake on both. Other bounds of a text are its field's own, and stand in ``rpc/requests``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.message import Message

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_server.rpc.handlers import reading

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

ZERO = "\0"
MAX_KEY_CHARS = 63
"""As much of a map's key as the path of its field shows: an error travels in headers, and no valid key is longer."""
MENDED = frozenset(
    {
        "fleetroll.v1.ReportBatch",
        "fleetroll.v1.RequestGo",
        "fleetroll.v1.LogLines",
        "fleetroll.v1.Goodbye",
    }
)
"""What a host says in its session: ``gateway/convert_in`` replaces the zero character there. A refused report would
come back for ever, and with it all that stands behind it in the host's journal."""


class TextInterceptor(grpc.aio.ServerInterceptor):
    """Checks every message that comes in. Stands behind the door: who may not call is told that first."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Return the method's handler, behind the check."""
        handler = await continuation(handler_call_details)
        return None if handler is None else reading(handler, check_texts)


def check_texts(message: Message) -> None:
    """Refuse a message with a zero character in one of its texts, however deep; what is of :data:`MENDED` passes.

    Raises:
        RequestError: INVALID_ARGUMENT with the path of the field (caller's fault).
    """
    for path, value in _texts(message, ""):
        if ZERO in value:
            remedy = "send the text without the zero character"
            raise RequestError(f"{path}: holds a zero character", code=Code.INVALID_ARGUMENT, remedy=remedy, field=path)


def _texts(message: Message, prefix: str) -> Iterator[tuple[str, str]]:
    """Yield every text of a message with its path."""
    if message.DESCRIPTOR.full_name in MENDED:
        return
    for field, value in message.ListFields():
        if field.type in {field.TYPE_STRING, field.TYPE_MESSAGE}:
            yield from _inside(value, prefix + field.name)


def _inside(value: object, path: str) -> Iterator[tuple[str, str]]:
    """Yield the texts of one field: a text, a message, or a collection of them."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Message):
        yield from _texts(value, f"{path}.")
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield from _inside(key, path)
            yield from _inside(one, f"{path}.{str(key)[:MAX_KEY_CHARS]}")
    elif not isinstance(value, int | float | bytes):
        for one in value:  # type: ignore[attr-defined]  # a repeated field
            yield from _inside(one, path)
