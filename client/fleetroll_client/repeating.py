"""Which calls are repeated, when, and how often.

1. Only calls that change nothing (``Get…``, ``List…``), and calls whose request carries an idempotency key: the server
   answers the second one with what the first one did. A pause, a kill, a cancel is never repeated: whether the first
   one arrived is for a person to look at.
2. Only when there was no answer: the status is UNAVAILABLE, and no word of the server is with it (the connection was
   refused, or broke). A server that says that it goes down, or that it has too much to do, has answered.
3. :data:`REPEATS` times at most, within the call's own ``timeout``, after waits of which half is left to chance. A
   channel whose connection broke refuses calls by itself for a second or so: without the other half all repeats could
   fall into it.
4. A call whose connection was left (``renew()`` of its client) is repeated over the next one, by the same rules. With
   asyncio it does not wait for its end on the old one, and has all repeats again. What was not sent yet goes over the
   next one whatever it is.

gRPC's own retry policy is not used: it goes by method and status alone. It can neither tell a request with a key from
one without, nor a refused connection from a server that said no; and the channel's options turn it off.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Any, TypeVar, cast

import grpc
import grpc.aio

from fleetroll_client.errors import CLOSED, was_closed, words_of
from fleetroll_common.values.backoff import full_jitter

if TYPE_CHECKING:
    from collections.abc import Callable

REPEATS = 4
"""After the first try. Together with the waits, 1.5 s at least: longer than a connection takes to come back."""
FIRST_WAIT_SECONDS = 0.2
LONGEST_WAIT_SECONDS = 1.6
_READS = ("Get", "List")
Stub = TypeVar("Stub")


def may_repeat(method: str | bytes, request: object) -> bool:
    """Tell whether a call does the same when it is made twice; ``method`` is its name, or ``/package.Service/Name``."""
    path = method.decode("ascii") if isinstance(method, bytes) else method
    name = path.rpartition("/")[2]
    return name.startswith(_READS) or bool(getattr(request, "idempotency_key", ""))


def was_not_answered(call: grpc.Call) -> bool:
    """Tell whether a call that ended got no word of the server."""
    return call.code() is grpc.StatusCode.UNAVAILABLE and words_of(call) is None


def wait_before(repeat: int, seconds_left: float | None, random01: float) -> float | None:
    """Return the wait before repeat number ``repeat`` (from 0), in seconds; None where there is to be none.

    Args:
        repeat: how many repeats there were.
        seconds_left: of the call's time; None for no limit.
        random01: a random number in [0, 1).
    """
    wait = full_jitter(repeat, FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS, (1 + random01) / 2)
    if repeat >= REPEATS or (seconds_left is not None and wait >= seconds_left):
        return None
    return wait


class _Clock:
    """The time of one call, over all its tries."""

    def __init__(self, timeout: float | None) -> None:
        """Start now."""
        self._ends_at = None if timeout is None else time.monotonic() + timeout

    @property
    def left(self) -> float | None:
        """Return what is left, in seconds; None for no limit."""
        return None if self._ends_at is None else max(0.0, self._ends_at - time.monotonic())


class Lines:
    """The calls of the connection that is not left, for those that go on from another: by service and name."""

    def __init__(self) -> None:
        """Begin without one."""
        self._calls: dict[str, Any] = {}

    def go_over(self, *stubs: object) -> None:
        """Let calls go over the connection of these stubs from now on."""
        self._calls = {
            f"{type(stub).__name__.removesuffix('Stub')}/{name}": call
            for stub in stubs
            for name, call in vars(stub).items()
        }

    def call(self, path: str) -> Any:  # noqa: ANN401 (gRPC's own)
        """Return the call ``Service/Name``, whatever package is before it."""
        return self._calls[path.rpartition(".")[2]]


class _Repeating:
    """One call of a stub, repeated where it may be; ``future`` and ``with_call`` are gRPC's own, and are not."""

    def __init__(self, call: grpc.UnaryUnaryMultiCallable[Any, Any], path: str, lines: Lines) -> None:
        self._call = call
        self._path = path
        self._lines = lines

    def __call__(self, request: object, timeout: float | None = None, **options: Any) -> Any:  # noqa: ANN401 (gRPC's own)
        """Make the call, and make it again where that is allowed."""
        clock, repeat = _Clock(timeout), 0
        while True:
            try:
                return self._lines.call(self._path)(request, timeout=clock.left, **options)
            except grpc.RpcError as error:
                if not (may_repeat(self._path, request) and was_not_answered(cast("grpc.Call", error))):
                    raise
                wait = wait_before(repeat, clock.left, random.random())  # noqa: S311 (spreads load; guards nothing)
                if wait is None:
                    raise
            time.sleep(wait)
            repeat += 1

    def __getattr__(self, name: str) -> object:
        """Return whatever else gRPC's callable has."""
        return getattr(self._call, name)


def repeating(stub: Stub, lines: Lines) -> Stub:
    """Let the calls of a stub without asyncio be repeated where they may be, each time over the newest of ``lines``.

    An interceptor would do the same, but hands on arguments that the doubles of ``grpc_testing`` do not take.
    """
    service = type(stub).__name__.removesuffix("Stub")
    for method, call in list(vars(stub).items()):
        if isinstance(call, grpc.UnaryUnaryMultiCallable):
            setattr(stub, method, _Repeating(call, f"{service}/{method}", lines))
    return stub


class AsyncRepeating(grpc.aio.UnaryUnaryClientInterceptor):
    """Repeats on a channel of asyncio, and over the newest of ``lines`` once this channel was left."""

    def __init__(self, lines: Lines) -> None:
        """Begin with a channel that is in use."""
        self._lines = lines
        self._left = asyncio.Event()

    def leave(self) -> None:
        """Send onward what may go over another channel. There MUST be another one already."""
        self._left.set()

    async def intercept_unary_unary(
        self,
        continuation: Callable[[Any, Any], Any],
        client_call_details: grpc.aio.ClientCallDetails,
        request: Any,  # noqa: ANN401 (any message)
    ) -> Any:  # noqa: ANN401
        """Make the call, and make it again where that is allowed."""
        clock, repeat = _Clock(client_call_details.timeout), 0
        while True:
            details = client_call_details._replace(timeout=clock.left)  # type: ignore[attr-defined]  # a named tuple
            if self._left.is_set():
                return self._onward(details, request)
            call = await _sent(continuation, details, request)
            if not may_repeat(details.method, request):
                return call
            if not await self._ends_here(call):
                call.cancel()
                continue
            if await call.code() is not grpc.StatusCode.UNAVAILABLE:
                return call
            if not was_not_answered(cast("grpc.Call", await _failure(call))):
                return call
            if self._left.is_set():
                continue
            wait = wait_before(repeat, clock.left, random.random())  # noqa: S311 (spreads load; guards nothing)
            if wait is None:
                return call
            await asyncio.sleep(wait)
            repeat += 1

    async def _ends_here(self, call: Any) -> bool:  # noqa: ANN401
        """Wait for the end of a call; False when the channel is left before."""
        waits = {asyncio.ensure_future(call.code()), asyncio.ensure_future(self._left.wait())}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
        return bool(call.done())

    def _onward(self, details: grpc.aio.ClientCallDetails, request: object) -> Any:  # noqa: ANN401
        """Begin the call over the newest channel."""
        method: str | bytes = details.method
        call = self._lines.call(method.decode("ascii") if isinstance(method, bytes) else method)
        return call(
            request,
            timeout=details.timeout,
            metadata=details.metadata,
            credentials=details.credentials,
            wait_for_ready=details.wait_for_ready,
        )


async def _sent(continuation: Callable[[Any, Any], Any], details: object, request: object) -> Any:  # noqa: ANN401
    """Begin a call.

    Raises:
        AioRpcError: the channel is closed; gRPC says that by an error that is none of a call.
    """
    try:
        return await continuation(details, request)
    except grpc.aio.UsageError as error:
        if not was_closed(error):
            raise
        nothing = grpc.aio.Metadata()
        raise grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, nothing, nothing, CLOSED) from error


async def _failure(call: Any) -> grpc.aio.AioRpcError:  # noqa: ANN401
    """Return the error of a call that failed."""
    return grpc.aio.AioRpcError(
        await call.code(), await call.initial_metadata(), await call.trailing_metadata(), details=await call.details()
    )
