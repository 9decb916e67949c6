"""Signed metadata and artefacts over the session's own connection. Nothing that comes this way is believed."""

from __future__ import annotations

import asyncio
import concurrent.futures
from typing import TYPE_CHECKING

import grpc

from fleetroll.v1 import repository_pb2, repository_pb2_grpc
from fleetroll_agent.fetch.values import SourceFailed
from fleetroll_agent.session.meaning import BROKEN_CALL, NoMessageError, understood
from fleetroll_common.trust import MetadataAbsent
from fleetroll_common.wire.handshake import SESSION_TOKEN_KEY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

METADATA_SECONDS = 30.0
"""For one file of metadata, 4 MiB at most."""
_CLOSED = "the session ended"
"""The connection closes between a job's decision to fetch and its call: gRPC says so by an untyped exception."""


class Repository:
    """The repository behind one channel: a MetadataSource for threads, a TargetSource for the loop."""

    def __init__(self, channel: grpc.aio.Channel, token: Callable[[], bytes]) -> None:
        """Use ``channel``; ``token`` gives the session's newest token. Made on the loop that owns the channel."""
        self._stub = repository_pb2_grpc.RepositoryServiceStub(channel)
        self._token = token
        self._loop = asyncio.get_running_loop()

    def fetch(self, name: str, max_bytes: int) -> bytes:
        """Return the metadata file ``name``; called in a thread.

        Raises:
            MetadataAbsent: there is none.
            SourceFailed: it could not be had this time.
        """
        future = asyncio.run_coroutine_threadsafe(self._get(name), self._loop)
        try:
            data = future.result(METADATA_SECONDS + 5)
        except concurrent.futures.TimeoutError as error:
            future.cancel()
            raise SourceFailed(f"{name} did not come within {METADATA_SECONDS:g} s") from error
        except concurrent.futures.CancelledError as error:
            raise SourceFailed(_CLOSED) from error
        return data[: max_bytes + 1]

    async def open(self, path: str, offset: int) -> AsyncIterator[bytes]:
        """Yield the bytes of the target ``path`` from ``offset`` on.

        Raises:
            SourceFailed: the server can't, or can't go on.
        """
        request = repository_pb2.FetchTargetRequest(path=path, offset=offset)
        try:
            call = self._stub.FetchTarget(request, metadata=self._metadata())
        except BROKEN_CALL as error:
            raise SourceFailed(_CLOSED) from error
        try:
            async for piece in call:
                yield understood(piece, lambda sent: bytes(sent.chunk))
        except NoMessageError as error:
            raise SourceFailed(error.message) from error
        except grpc.aio.AioRpcError as error:
            raise SourceFailed(_words(error)) from error
        except BROKEN_CALL as error:
            raise SourceFailed(_CLOSED) from error
        finally:
            call.cancel()

    async def _get(self, name: str) -> bytes:
        request = repository_pb2.GetMetadataRequest(name=name)
        try:
            answer = await self._stub.GetMetadata(request, metadata=self._metadata(), timeout=METADATA_SECONDS)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                raise MetadataAbsent(name) from error
            raise SourceFailed(_words(error)) from error
        except BROKEN_CALL as error:
            raise SourceFailed(_CLOSED) from error
        try:
            return understood(answer, lambda sent: bytes(sent.payload))
        except NoMessageError as error:
            raise SourceFailed(error.message) from error

    def _metadata(self) -> tuple[tuple[str, bytes], ...]:
        return ((SESSION_TOKEN_KEY, self._token()),)


def _words(error: grpc.aio.AioRpcError) -> str:
    return f"{error.code().name}: {error.details() or 'no details'}"
