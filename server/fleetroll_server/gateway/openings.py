"""Openings: hellos whose commit is under way, each a task that the server owns.

gRPC cancels a handler at any await once its peer is gone, also while its hello is being committed. What was committed
stands: the session is in the registry and the row says that the host is here. The task that opened it lives on, so that
somebody ends it again.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from fleetroll.v1 import agent_stream_pb2 as stream_pb2
    from fleetroll_server.gateway.handshake import Challenged, Handshake
    from fleetroll_server.gateway.session import Session

    Requests = AsyncIterator[stream_pb2.ConnectRequest]


class Openings:
    """The openings of one process."""

    def __init__(self, handshake: Handshake, begin: Callable[[Session, Requests], None]) -> None:
        """Open with ``handshake``; ``begin`` starts what reads from the session, and cleans up after it."""
        self._handshake = handshake
        self._begin = begin
        self._closed = False
        self.tasks: set[asyncio.Task[Session]] = set()

    def close(self) -> None:
        """Open no more sessions: nobody would end them."""
        self._closed = True

    async def open(self, challenged: Challenged, hello: stream_pb2.Hello, requests: Requests) -> Session:
        """Commit the hello; return its session, whose reader runs already.

        A caller that is cancelled leaves the opening behind: one whose turn at the store has not come writes nothing,
        one that was committed is ended at once.

        Raises:
            FleetrollError: as :meth:`~fleetroll_server.gateway.handshake.Handshake.open`; DRAINING after :meth:`close`.
        """
        if self._closed:
            raise RequestError("the server goes down", code=Code.DRAINING, remedy="connect again")
        left = asyncio.Event()
        task = asyncio.create_task(
            self._open(challenged, hello, requests, lambda: not left.is_set()), name=f"opening-{challenged.agent_id}"
        )
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            left.set()
            task.add_done_callback(_end)
            raise

    async def _open(
        self, challenged: Challenged, hello: stream_pb2.Hello, requests: Requests, wanted: Callable[[], bool]
    ) -> Session:
        """Open and begin without an await between: a session that is registered has its reader."""
        session = await self._handshake.open(challenged, hello, wanted)
        self._begin(session, requests)
        return session


def _end(task: asyncio.Task[Session]) -> None:
    """End the session that nobody writes to."""
    if not task.cancelled() and task.exception() is None:
        task.result().abandon()
