"""Stands between agents and a real server, with a certificate of the server's own CA: what a stolen key allows.

It ends TLS and carries the contract's calls on, message by message, as bytes. A test says what becomes of each message:

    meddler = Meddler(fleet)            # in a thread of its own, from start() to stop()
    meddler.down = rule                 # rule(method, request, message) -> message to pass on; raises Cut or Swallow
    meddler.late = [message]            # said once, after the server's next message
    meddler.files = {…}                 # signed metadata that is shown in the place of the server's
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

import grpc

from fleetroll.v1 import enrolment_pb2, repository_pb2
from fleetroll_common.wire.channel import AGENT_OPTIONS, CHUNK_BYTES, SERVER_OPTIONS
from fleetroll_server.certificates import Pair, issue_leaf
from fleetroll_server.secrets import Secrets

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from tests.e2e.fleet.fleet import Fleet

    Up = Callable[[str, bytes], bytes]
    Down = Callable[[str, bytes, bytes], bytes]

CONNECT, FETCH, METADATA, ENROLL = "Connect", "FetchTarget", "GetMetadata", "Enroll"
_OWN_KEYS = ("grpc-", "user-agent", "te", "content-type", ":")
START_SECONDS = 10.0
CALL_SECONDS = 20.0


class Cut(Exception):  # noqa: N818 (it is what happens to a line, not a fault of the program)
    """The line breaks here: this message does not arrive, and the call ends."""


class Swallow(Exception):  # noqa: N818 (the same)
    """This message does not arrive; the call goes on."""


def pass_up(_method: str, message: bytes) -> bytes:
    """Change nothing."""
    return message


def pass_down(_method: str, _request: bytes, message: bytes) -> bytes:
    """Change nothing."""
    return message


class Meddler:
    """A server for agents and a client of the real server, in one."""

    def __init__(self, fleet: Fleet) -> None:
        """Stand before the server of ``fleet``."""
        secrets = Secrets.load(fleet.data.secret_key)
        sealed = (fleet.data.tls / "ca.key.sealed").read_text("ascii")
        self._ca = Pair(fleet.ca_pem, secrets.open(sealed))
        self._target = fleet.address
        self.up: Up = pass_up
        self.down: Down = pass_down
        self.files: dict[str, bytes] | None = None
        self.targets: dict[str, bytes] = {}
        self.late: list[bytes] = []
        self.closed = False
        self.address = ""
        self._calls: set[grpc.aio.Call] = set()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._thread_main, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(START_SECONDS)
        return self

    def __exit__(self, *_error: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(START_SECONDS)
        assert not self._thread.is_alive()
        self._loop.close()

    @contextlib.contextmanager
    def rule(self, down: Down) -> Iterator[None]:
        """Apply a rule to what the server says while the block lasts."""
        self.down = down
        try:
            yield
        finally:
            self.down = pass_down

    def cut(self) -> None:
        """Break every open call."""
        self._loop.call_soon_threadsafe(self._cancel_calls)

    def _cancel_calls(self) -> None:
        for call in tuple(self._calls):
            call.cancel()

    def _thread_main(self) -> None:
        self._loop.run_until_complete(self._run())
        self._loop.run_until_complete(asyncio.sleep(0.1))

    async def _run(self) -> None:
        leaf = issue_leaf(self._ca, ["127.0.0.1"], datetime.now(UTC))
        server = grpc.aio.server(options=list(SERVER_OPTIONS))
        credentials = grpc.ssl_channel_credentials(self._ca.certificate)
        async with grpc.aio.secure_channel(self._target, credentials, options=list(AGENT_OPTIONS)) as channel:
            server.add_generic_rpc_handlers((_Handler(self, channel),))
            port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(leaf.key, leaf.certificate)]))
            self.address = f"127.0.0.1:{port}"
            await server.start()
            self._ready.set()
            await self._stop.wait()
            self.closed = True
            while self._calls:
                self._cancel_calls()
                await asyncio.sleep(0.05)
            await server.stop(0.2)

    async def carry(
        self, method: str, call: Any, requests: AsyncIterator[bytes], context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[bytes]:
        """Carry messages both ways until either end, or a rule, ends the call."""
        if self.closed:
            call.cancel()
            await context.abort(grpc.StatusCode.UNAVAILABLE, "nobody is there")
        self._calls.add(call)
        upward = asyncio.ensure_future(self._upward(method, call, requests))
        try:
            while (message := await call.read()) is not grpc.aio.EOF:
                with contextlib.suppress(Swallow):
                    yield self.down(method, b"", message)
                while method == CONNECT and self.late:
                    yield self.late.pop(0)
        except Cut:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the line was cut")
        except grpc.aio.AioRpcError as error:
            await context.abort(error.code(), error.details() or "", tuple(error.trailing_metadata() or ()))
        except asyncio.CancelledError:
            if not call.cancelled():
                raise
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the line was cut")
        finally:
            upward.cancel()
            call.cancel()
            self._calls.discard(call)

    async def _upward(self, method: str, call: Any, requests: AsyncIterator[bytes]) -> None:
        """Carry what the agent sends."""
        try:
            async for message in requests:
                await call.write(self.up(method, message))
            await call.done_writing()
        except Cut:
            call.cancel()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            return

    async def answer(self, method: str, ask: Callable[[bytes], Any], request: bytes, context: Any) -> bytes:
        """Carry one question and its answer."""
        if method == METADATA and self.files is not None:
            return await self._show(repository_pb2.GetMetadataRequest.FromString(request).name, self.files, context)
        try:
            answer = self.down(method, request, await ask(self.up(method, request)))
            return self._stay_between(answer) if method == ENROLL else answer
        except Cut:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the line was cut")
        except grpc.aio.AioRpcError as error:
            await context.abort(error.code(), error.details() or "", tuple(error.trailing_metadata() or ()))
        raise AssertionError

    async def _show(self, name: str, files: dict[str, bytes], context: Any) -> bytes:
        """Answer with one file of another repository."""
        if name not in files:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such file")
        return repository_pb2.GetMetadataResponse(payload=files[name]).SerializeToString()

    def _stay_between(self, answer: bytes) -> bytes:
        """Let a new agent come back here, not to the real server."""
        message = enrolment_pb2.EnrollResponse.FromString(answer)
        message.addresses[:] = [self.address]
        return message.SerializeToString()


class _Handler(grpc.GenericRpcHandler):
    """Takes every method of the contract, as bytes."""

    def __init__(self, meddler: Meddler, channel: grpc.aio.Channel) -> None:
        self._meddler = meddler
        self._channel = channel

    def service(self, details: Any) -> Any:
        path = details.method
        method = path.rpartition("/")[2]
        metadata = tuple((key, value) for key, value in details.invocation_metadata if not key.startswith(_OWN_KEYS))
        if method == CONNECT:
            return grpc.stream_stream_rpc_method_handler(functools.partial(self._both_ways, path, metadata))
        if method == FETCH:
            return grpc.unary_stream_rpc_method_handler(functools.partial(self._stream, path, metadata))
        ask: Callable[[bytes], Any] = functools.partial(
            self._channel.unary_unary(path), metadata=metadata, timeout=CALL_SECONDS
        )
        return grpc.unary_unary_rpc_method_handler(functools.partial(self._meddler.answer, method, ask))

    async def _both_ways(
        self, path: str, metadata: Any, requests: AsyncIterator[bytes], context: Any
    ) -> AsyncIterator[bytes]:
        call: Any = self._channel.stream_stream(path)(metadata=metadata)
        async for message in self._meddler.carry(path.rpartition("/")[2], call, requests, context):
            yield message

    async def _stream(self, path: str, metadata: Any, request: bytes, context: Any) -> AsyncIterator[bytes]:
        wanted = repository_pb2.FetchTargetRequest.FromString(request).path
        if wanted in self._meddler.targets:
            for piece in pieces(self._meddler.targets[wanted]):
                yield repository_pb2.FetchTargetResponse(chunk=piece).SerializeToString()
            return

        async def one() -> AsyncIterator[bytes]:
            yield request

        async for message in self._both_ways(path, metadata, one(), context):
            yield message


def pieces(data: bytes) -> Iterator[bytes]:
    """Yield ``data`` as a server sends it."""
    for start in range(0, len(data), CHUNK_BYTES):
        yield data[start : start + CHUNK_BYTES]
