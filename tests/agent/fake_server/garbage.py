"""Puts bytes that nobody can read in the place of what the fake server says."""

from __future__ import annotations

from typing import Any

import grpc

from fleetroll.v1 import agent_stream_pb2 as stream_pb2


class Garbler(grpc.aio.ServerInterceptor):
    """Spoils each name in ``garbage`` once: a kind of the stream's messages, or an answer, such as EnrollResponse."""

    def __init__(self, garbage: list[str]) -> None:
        self._garbage = garbage

    async def intercept_service(self, continuation: Any, details: Any) -> Any:
        handler = await continuation(details)
        return handler._replace(response_serializer=self._bytes)

    def _bytes(self, message: Any) -> bytes:
        streamed = isinstance(message, stream_pb2.ConnectResponse)
        name = message.WhichOneof("message") if streamed else type(message).__name__
        if name not in self._garbage:
            return bytes(message.SerializeToString())
        self._garbage.remove(name)
        return b"\xff\xff\xff\xff"
