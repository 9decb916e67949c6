"""One agent's open session: its outbound queue and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto
from typing import TYPE_CHECKING

from fleetroll.v1 import agent_stream_pb2 as stream_pb2
from fleetroll_common.values.codes import Code
from fleetroll_server.gateway.convert import wire_code

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from datetime import datetime


QUEUE_MESSAGES = 256
"""Messages that may wait for one agent; an agent that reads slower is closed and comes back to a fresh state."""


@dataclass(frozen=True, slots=True)
class SessionKey:
    """Who speaks in a session: only the handshake makes one."""

    agent_id: str
    fleet_id: str
    epoch: int


class _End(Enum):
    """Marks the end in the queue."""

    END = auto()


class Session:
    """The sending side of one stream. Not thread-safe: it lives on the server's loop.

    Attributes:
        key: who speaks.
        said_goodbye: the agent left on purpose.
        healthy: what the last heartbeat said.
        anchors_serial: what the last heartbeat said; 0 = nothing.
        on_trial: the version that speaks is on trial.
        gone: set when nothing is written any more.
        heard_at: when it spoke last; nothing before its first word.
    """

    def __init__(self, key: SessionKey) -> None:
        """Open with an empty queue."""
        self.key = key
        self._queue: asyncio.Queue[stream_pb2.ConnectResponse | _End] = asyncio.Queue(QUEUE_MESSAGES + 2)
        self._ended = False
        self.said_goodbye = False
        self.healthy = False
        self.anchors_serial = 0
        self.on_trial = False
        self.heard_at: datetime | None = None
        self.gone = asyncio.Event()
        self._when_ended: Callable[[], None] | None = None

    @property
    def ended(self) -> bool:
        """Tell whether the session takes no more messages."""
        return self._ended

    def send(self, message: stream_pb2.ConnectResponse) -> bool:
        """Queue a message; False when the session has ended or ends now because its agent reads too slowly."""
        if self._ended:
            return False
        if self._queue.qsize() >= QUEUE_MESSAGES:
            self.end(refusal(Code.RECONNECT, "the agent reads too slowly"))
            return False
        self._queue.put_nowait(message)
        return True

    def end(self, last: stream_pb2.ConnectResponse | None = None) -> None:
        """Take no more messages; what is queued, then ``last``, is still written."""
        if self._ended:
            return
        self._ended = True
        if last is not None:
            self._queue.put_nowait(last)
        self._queue.put_nowait(_End.END)
        if self._when_ended is not None:
            self._when_ended()

    def abandon(self) -> None:
        """End a session whose stream is gone: what is queued is written to nobody."""
        self.end()
        self.gone.set()

    async def rest(self, seconds: float) -> None:
        """Return after ``seconds``, sooner when the session is over."""
        if seconds <= 0:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.gone.wait()

    def when_ended(self, action: Callable[[], None] | None) -> None:
        """Call ``action`` once the session takes no more messages: now, if it has ended. None takes the call back."""
        self._when_ended = action
        if action is not None and self._ended:
            action()

    async def outgoing(self) -> AsyncIterator[stream_pb2.ConnectResponse]:
        """Yield messages in their order until the session has ended."""
        while True:
            item = await self._queue.get()
            if isinstance(item, _End):
                return
            yield item


def refusal(code: Code, message: str, retry_after_seconds: float = 0.0) -> stream_pb2.ConnectResponse:
    """Build the last message of a stream."""
    answer = stream_pb2.ConnectResponse(refusal=stream_pb2.Refusal(code=wire_code(code), message=message))
    if retry_after_seconds > 0:
        answer.refusal.retry_after.FromTimedelta(timedelta(seconds=retry_after_seconds))
    return answer
