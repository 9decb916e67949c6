"""Messages on gRPC streams as points: ``send:ConnectRequest.hello``, ``received:ConnectResponse.welcome``.

A send is a point before and after it; what is received is one before the program sees it. Both sides are covered: the
client's calls by their one place of writing and reading, a server's stream handlers by an interceptor.
"""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any

from tests.faults.shim_patches import when_imported

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tests.faults.shim_points import Points


def patch_streams(points: Points) -> None:
    """Patch gRPC's asyncio when the program imports it."""
    when_imported("grpc.aio._call", functools.partial(_patch_client, points))
    when_imported("grpc.aio._server", functools.partial(_patch_server, points))


def name_of(message: Any) -> str:
    """Return the message's type and, where it is one of several, which."""
    descriptor = getattr(message, "DESCRIPTOR", None)
    if descriptor is None:
        return type(message).__name__
    which = message.WhichOneof("message") if "message" in descriptor.oneofs_by_name else None
    return f"{descriptor.name}.{which}" if which else str(descriptor.name)


async def sending(points: Points, message: Any, send: Callable[[Any], Awaitable[Any]]) -> Any:
    """Send as a point: killed before, nothing is on its way; killed after, it is handed over to the transport."""
    do = points.reached(f"send:{name_of(message)}")
    if do == "kill-before":
        points.die()
    result = await send(message)
    if do == "kill-after":
        points.die()
    return result


def received(points: Points, message: Any) -> Any:
    """Pass a received message on as a point; either kill comes before the program has seen it."""
    if hasattr(message, "DESCRIPTOR") and points.reached(f"received:{name_of(message)}").startswith("kill"):
        points.die()
    return message


def _patch_client(points: Points, module: Any) -> None:
    """Wrap the two places through which every streamed message of a client goes."""
    write, read = module._StreamRequestMixin._write, module._StreamResponseMixin._read

    async def point_write(self: Any, request: Any) -> Any:
        return await sending(points, request, functools.partial(write, self))

    async def point_read(self: Any) -> Any:
        return received(points, await read(self))

    module._StreamRequestMixin._write = point_write
    module._StreamResponseMixin._read = point_read


def _patch_server(points: Points, module: Any) -> None:
    """Give every server one more interceptor, the innermost."""
    real = module.server

    def server(*args: Any, interceptors: Any = None, **kwargs: Any) -> Any:
        return real(*args, interceptors=(*(interceptors or ()), _interceptor(points)), **kwargs)

    module.server = server


def _interceptor(points: Points) -> Any:
    """Return an interceptor that wraps the handlers of streams in both directions."""
    import grpc  # noqa: PLC0415 (the program has imported it by now; the shim itself must not)

    class PointInterceptor(grpc.aio.ServerInterceptor):
        """Puts points around what a stream handler reads and writes."""

        async def intercept_service(self, continuation: Any, details: Any) -> Any:
            handler = await continuation(details)
            if handler is None or handler.stream_stream is None:
                return handler
            wrapped = _wrapped(points, handler.stream_stream)
            both = (handler.request_deserializer, handler.response_serializer)
            return grpc.stream_stream_rpc_method_handler(wrapped, *both)

    return PointInterceptor()


def _wrapped(points: Points, behaviour: Any) -> Any:
    """Return the handler with points, in the style that it has."""

    async def requests(source: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for message in source:
            yield received(points, message)

    async def generator(source: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        async for message in behaviour(requests(source), PointContext(points, context)):
            do = points.reached(f"send:{name_of(message)}")
            if do == "kill-before":
                points.die()
            yield message
            if do == "kill-after":
                points.die()

    async def coroutine(source: AsyncIterator[Any], context: Any) -> Any:
        return await behaviour(requests(source), PointContext(points, context))

    return generator if inspect.isasyncgenfunction(behaviour) else coroutine


class PointContext:
    """A servicer's context whose reads and writes are points; all else is the real one's."""

    def __init__(self, points: Points, context: Any) -> None:
        """Stand in for ``context``."""
        self._points = points
        self._context = context

    def __getattr__(self, name: str) -> Any:
        """Return what the real context has."""
        return getattr(self._context, name)

    async def read(self) -> Any:
        """Read as a point."""
        return received(self._points, await self._context.read())

    async def write(self, message: Any) -> Any:
        """Write as a point."""
        return await sending(self._points, message, self._context.write)
