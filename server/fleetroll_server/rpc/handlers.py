"""Wrapping of gRPC's method handlers: one place that knows the four kinds of calls.

grpc.aio calls a streaming handler in one of two styles and tells them apart by looking at the function: an asynchronous
generator yields its answers, a coroutine writes them to the context. A wrapper has to be of the same style.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import grpc

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

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
