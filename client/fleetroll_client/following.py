"""Follows what happens on a server, through cuts, restarts and half-dead connections.

    async for update in follow(client, request):       # for update in follow_blocking(client, request):
        match update:
            case Snapshot(): ...      # replaces everything
            case Changed(): ...       # events, and what they touched; each replaces its own
            case Resynced(): ...      # a snapshot follows
            case Connection(): ...    # live, stale since, reconnecting

Every try has a connection of its own, so that none inherits one on which bytes vanish. What decides is in
:mod:`fleetroll_client.course`; here are the clock, the channels and the waiting.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import random
import threading
import time
from enum import Enum
from typing import TYPE_CHECKING, Any, cast

import grpc
import grpc.aio

from fleetroll.v1 import events_pb2, events_pb2_grpc
from fleetroll_client.course import BrokenContractError, Course
from fleetroll_client.errors import from_rpc_error

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from fleetroll_client.connection import AdminClient, AsyncAdminClient
    from fleetroll_client.course import Patience
    from fleetroll_client.updates import Update

PERMANENT = frozenset(
    {
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)
"""What trying again does not mend."""
ENDED = "the server ended the watch"
GRACE_SECONDS = 0.05
"""A loop that stood still sees its timers before its sockets: what lies there already was in time."""
QUEUED_MESSAGES = 4
"""Taken off the wire ahead of a program that does not ask for them yet."""


class Quiet(Enum):
    """What is heard besides messages and errors."""

    NOTHING = "nothing"
    END = "end"


Heard = events_pb2.WatchEventsResponse | grpc.RpcError | Quiet


async def follow(
    client: AsyncAdminClient, request: events_pb2.WatchEventsRequest, patience: Patience | None = None
) -> AsyncGenerator[Update, None]:
    """Yield updates until the caller stops; see :mod:`fleetroll_client.updates`.

    No event is lost and none comes twice, whatever happens to connections; where the server can't go on from the cursor
    (a restore, a log that is kept no longer, a reader that is too slow), :class:`Resynced` says so. Whoever keeps the
    ``cursor`` of the last update may go on from it with the same request.

    Leave it by ``aclose()`` (``contextlib.aclosing``), or by cancelling the task: both close the connection.

    Args:
        client: says where to connect, and with which token.
        request: what to watch, and from which cursor; it is not changed.
        patience: how long to wait for what.

    Raises:
        ServerRefusedError: trying again does not mend it: the token, a right, the request, or a server that does not
            know the call (see :data:`PERMANENT`).
    """
    course = Course(request.cursor, patience)
    yield course.connection
    while True:
        course.opened()
        stream, why = _AsyncStream(client, _from(request, course)), ""
        heard: Heard = Quiet.END
        try:
            while not why:
                heard = await stream.next(course.patience_seconds)
                updates, why = _step(course, heard)
                for update in updates:
                    yield update
            if heard is Quiet.NOTHING:
                client.renew()
        finally:
            await stream.close()
        yield course.lost(why, random.random())  # noqa: S311 (spreads load; guards nothing)
        await asyncio.sleep(course.connection.retry_seconds)


def follow_blocking(
    client: AdminClient, request: events_pb2.WatchEventsRequest, patience: Patience | None = None
) -> Generator[Update, None, None]:
    """Yield updates like :func:`follow`, for programs without asyncio. Each ``next`` blocks until there is one.

    Leave it by ``close()`` (``contextlib.closing``), or let an exception pass: both close the connection.

    Args:
        client: says where to connect, and with which token.
        request: what to watch, and from which cursor; it is not changed.
        patience: how long to wait for what.

    Raises:
        ServerRefusedError: as :func:`follow`.
    """
    course = Course(request.cursor, patience)
    yield course.connection
    while True:
        course.opened()
        stream, why = _BlockingStream(client, _from(request, course)), ""
        heard: Heard = Quiet.END
        try:
            while not why:
                heard = stream.next(course.patience_seconds)
                updates, why = _step(course, heard)
                yield from updates
            if heard is Quiet.NOTHING:
                client.renew()
        finally:
            stream.close()
        yield course.lost(why, random.random())  # noqa: S311 (spreads load; guards nothing)
        time.sleep(course.connection.retry_seconds)


def _from(request: events_pb2.WatchEventsRequest, course: Course) -> events_pb2.WatchEventsRequest:
    """Return the request from where the course is."""
    again = events_pb2.WatchEventsRequest()
    again.CopyFrom(request)
    again.cursor = course.cursor
    return again


def _step(course: Course, heard: Heard) -> tuple[list[Update], str]:
    """Return what to hand over, and why the stream is over; the latter is empty while it is not.

    Raises:
        ServerRefusedError: trying again does not mend it.
    """
    match heard:
        case events_pb2.WatchEventsResponse():
            try:
                return course.take(heard, time.monotonic()), ""
            except BrokenContractError as error:
                return [], str(error)
        case grpc.RpcError():
            refused = from_rpc_error(heard)
            if refused.status in PERMANENT:
                raise refused from heard
            return [], f"{refused.code}: {refused.message}"
        case Quiet.NOTHING:
            updates = course.silent()
            return (updates, "") if updates is not None else ([], course.given_up())
        case Quiet.END:
            return [], ENDED


class _AsyncStream:
    """One try to watch, over a connection of its own."""

    def __init__(self, client: AsyncAdminClient, request: events_pb2.WatchEventsRequest) -> None:
        self._channel = client.dial()
        self._call: Any = events_pb2_grpc.EventsServiceStub(self._channel).WatchEvents(request)
        self._read: asyncio.Future[Any] | None = None

    async def next(self, seconds: float) -> Heard:
        """Return what is heard within so many seconds; a read that was in vain goes on the next time."""
        read = self._read = self._read or asyncio.ensure_future(self._call.read())
        for wait in (seconds, GRACE_SECONDS):
            if not read.done():
                await asyncio.wait({read}, timeout=wait)
        if not read.done():
            return Quiet.NOTHING
        self._read = None
        error = read.exception()
        if isinstance(error, grpc.RpcError):
            return error
        message = read.result()
        return Quiet.END if message is grpc.aio.EOF else cast("events_pb2.WatchEventsResponse", message)

    async def close(self) -> None:
        """Hang up."""
        self._call.cancel()
        if self._read is not None:
            self._read.cancel()
            await asyncio.gather(self._read, return_exceptions=True)
        await self._channel.close()


class _BlockingStream:
    """One try to watch, read by a thread: gRPC's own iterator has no time limit."""

    def __init__(self, client: AdminClient, request: events_pb2.WatchEventsRequest) -> None:
        self._client = client
        self._channel = client.dial()
        self._call: Any = events_pb2_grpc.EventsServiceStub(self._channel).WatchEvents(request)
        self._heard: queue.Queue[Heard] = queue.Queue(QUEUED_MESSAGES)
        self._reader = threading.Thread(target=self._read, name="fleetroll-watch", daemon=True)
        self._reader.start()

    def next(self, seconds: float) -> Heard:
        """Return what is heard within so many seconds."""
        try:
            return self._heard.get(timeout=seconds)
        except queue.Empty:
            return Quiet.NOTHING

    def close(self) -> None:
        """Hang up, and wait for the reader: what it still hands over is dropped."""
        self._call.cancel()
        while self._reader.is_alive():
            with contextlib.suppress(queue.Empty):
                self._heard.get(timeout=GRACE_SECONDS)
        self._client.hang_up(self._channel)

    def _read(self) -> None:
        """Hand over what comes, and how it ended."""
        try:
            for message in self._call:
                self._heard.put(message)
        except grpc.RpcError as error:
            self._heard.put(error)
        else:
            self._heard.put(Quiet.END)
