"""Wrapping of gRPC's method handlers: one place that knows the four kinds of calls.

grpc.aio calls a streaming handler in one of two styles and tells them apart by looking at the function: an asynchronous
generator yields its answers, a coroutine writes them to the context. A wrapper has to be of the same style.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import grpc

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from google.protobuf.message import Message

    Context = grpc.aio.ServicerContext[Any, Any]
    Around = Callable[[Context], AbstractAsyncContextManager[None]]

Handler = grpc.RpcMethodHandler


def wrapped(handler: Handler[Any, Any], around: Around) -> Handler[Any, Any]:
    """Return ``handler`` with each call run inside of ``around(context)``."""
    behaviour: Any = _behaviour(handler)
    if inspect.isasyncgenfunction(behaviour):

        async def generate(request: Any, context: Context) -> AsyncIterator[Any]:  # noqa: ANN401 (any message)
            async with around(context):
                async for answer in behaviour(request, context):
                    yield answer

        return _like(handler, generate)

    async def call(request: Any, context: Context) -> Any:  # noqa: ANN401
        async with around(context):
            return await behaviour(request, context)

    return _like(handler, call)


def reading(handler: Handler[Any, Any], check: Callable[[Message], None]) -> Handler[Any, Any]:
    """Return ``handler`` with ``check`` called on each message that comes in, before the servicer has it.

    What ``check`` raises ends a call that carries one request. Where requests stream, it is raised to the servicer in
    the message's place.
    """
    behaviour: Any = _behaviour(handler)

    def seen(request: Any) -> Any:  # noqa: ANN401
        if handler.request_streaming:
            return _Checked(request, check)
        check(request)
        return request

    if inspect.isasyncgenfunction(behaviour):

        async def generate(request: Any, context: Context) -> AsyncIterator[Any]:  # noqa: ANN401
            async for answer in behaviour(seen(request), context):
                yield answer

        return _like(handler, generate)

    async def call(request: Any, context: Context) -> Any:  # noqa: ANN401
        return await behaviour(seen(request), context)

    return _like(handler, call)


class _Checked:
    """Messages of a stream, each of them checked. No generator: a read that is cancelled must not end the stream.

    gRPC's own generator is made by the first read: one that nobody reads complains when it is collected.
    """

    def __init__(self, source: AsyncIterable[Message], check: Callable[[Message], None]) -> None:
        """Read from ``source``."""
        self._source = source
        self._messages: AsyncIterator[Message] | None = None
        self._check = check

    def __aiter__(self) -> _Checked:
        return self

    async def __anext__(self) -> Message:
        if self._messages is None:
            self._messages = aiter(self._source)
        message = await anext(self._messages)
        self._check(message)
        return message


def refusing(handler: Handler[Any, Any], error: Exception) -> Handler[Any, Any]:
    """Return a handler of the same kind that raises ``error`` and does not even parse the request."""

    async def refuse(_request: object, _context: Context) -> None:
        raise error

    return _like(handler, refuse, parse=False)


def _behaviour(handler: Handler[Any, Any]) -> Callable[..., Any]:
    """Return the function of whatever kind the handler is."""
    found = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
    if found is None:
        message = "a handler without a function"
        raise TypeError(message)
    return found


def _like(handler: Handler[Any, Any], behaviour: Any, *, parse: bool = True) -> Handler[Any, Any]:  # noqa: ANN401
    """Return a handler of the same kind with another function."""
    make = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }[bool(handler.request_streaming), bool(handler.response_streaming)]
    return make(behaviour, handler.request_deserializer if parse else None, handler.response_serializer)
