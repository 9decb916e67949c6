"""Streams that have not said who they are: they wait here, and take no place of the handshakes.

A stream costs its opener nothing. Were silence worth a place, two hundred silent streams would keep a fleet out.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_server.gateway.admission import FULL, TooManyHellosError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fleetroll.v1 import agent_stream_pb2 as stream_pb2
    from fleetroll_server.door import Door

    Requests = AsyncIterator[stream_pb2.ConnectRequest]

IDENTIFY_SECONDS = 5.0
"""An agent says who it is as soon as its stream is there: two lost segments and their retransmissions fit in."""
MAX_SILENT = 1000
"""Streams that wait for it at once; some 20 KB each. Five seconds of two hundred new streams each."""


class Anteroom:
    """The silent streams of one process, in the order of their coming."""

    def __init__(self, door: Door) -> None:
        """Start empty; ``door`` is told of each stream that gives way: it may have been an honest agent's."""
        self._door = door
        self._waiting: dict[asyncio.Timeout, None] = {}

    async def identify(self, requests: Requests) -> stream_pb2.Identify:
        """Return the first message of a stream.

        Raises:
            RequestError: it is another one (the agent's fault).
            TimeoutError: there was none in time.
            TooManyHellosError: more streams are silent than may be, and this one was for longest.
        """
        limit = asyncio.timeout(IDENTIFY_SECONDS)
        try:
            async with limit:
                self._make_room()
                self._waiting[limit] = None
                return (await expect(requests, "identify")).identify
        except TimeoutError:
            if limit not in self._waiting:
                self._door.refuse()
                raise TooManyHellosError(FULL) from None
            raise
        finally:
            self._waiting.pop(limit, None)

    def _make_room(self) -> None:
        """Let those that came first give way to a newcomer."""
        while len(self._waiting) >= MAX_SILENT:
            longest = next(iter(self._waiting))
            del self._waiting[longest]
            longest.reschedule(asyncio.get_running_loop().time())


async def expect(requests: Requests, kind: str) -> stream_pb2.ConnectRequest:
    """Return the next message.

    Raises:
        RequestError: it is of another kind, or the agent left (the agent's fault).
    """
    request = await anext(requests, None)
    said = None if request is None else request.WhichOneof("message")
    if request is None or said != kind:
        message = f"stream: {said or 'its end'} came where {kind} was due"
        raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy="the agent speaks another protocol")
    return request
