"""What a server sent, read at one place: bytes that are no message end the session they came in, never this program.

gRPC gives None for bytes that it can't read, and a message that it can read may hold what no value of ours does. Both
are the server's doing. What goes wrong outside of :func:`understood` is a defect of our own.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

import grpc

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable

_M = TypeVar("_M")
_T = TypeVar("_T")

BROKEN_CALL = (grpc.RpcError, grpc.aio.BaseError, asyncio.InvalidStateError)
"""What gRPC raises for a call that is over or breaks: typed, untyped (UsageError, InternalError), the loop's own."""

_MALFORMED = (ValueError, TypeError, AttributeError, OverflowError)
"""What values that don't fit raise; UnicodeError is a ValueError."""


class NoMessageError(RequestError):
    """A server sent what is no message of this contract."""

    def __init__(self, why: str = "") -> None:
        """Say so; ``why`` is for the log."""
        text = "the server sent what is no message" + (f": {why}" if why else "")
        remedy = "find out who answers in the server's place, or update it"
        super().__init__(text, code=Code.INVALID_ARGUMENT, remedy=remedy)


def understood(message: _M | None, meaning: Callable[[_M], _T]) -> _T:
    """Return what ``meaning`` makes of ``message``: a pure conversion, nothing that has effects.

    Raises:
        NoMessageError: it is no message (None), or holds what no value does.
    """
    if message is None:
        raise NoMessageError
    try:
        return meaning(message)
    except _MALFORMED as error:
        raise NoMessageError(f"{type(error).__name__}: {str(error)[:200]}") from error
