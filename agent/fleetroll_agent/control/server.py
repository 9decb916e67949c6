"""The control socket's side in the agent: one exchange per connection, for root and the agent's own account alone."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import structlog

from fleetroll_agent.control import messages
from fleetroll_agent.control.place import NAME, account, caller, listening, may_speak
from fleetroll_agent.waiting import within
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError, FleetrollError, RequestError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    Handle = Callable[[messages.Ask, str, "Talk"], Awaitable[messages.Done]]

log = structlog.get_logger(__name__)

ASK_SECONDS = 10.0
"""A caller that says nothing for so long has nothing to ask."""
MOST_CALLERS = 16
_BUFFER_BYTES = 4 * messages.MAX_LINE_BYTES


class Talk:
    """What is said to a caller before the answer; one that does not listen misses it."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        """Speak to whoever is at the other end of ``writer``."""
        self._writer = writer

    def line(self, text: str) -> None:
        """Show a line."""
        if not self._writer.is_closing() and self._writer.transport.get_write_buffer_size() < _BUFFER_BYTES:
            self._writer.write(messages.dump_line(text))

    def started(self, number: int) -> None:
        """Tell the number of the attempt that was begun."""
        self._writer.write(messages.dump_started(number))


class ControlServer:
    """Listens while the agent runs. A socket that can't be made costs no more than local control."""

    def __init__(self, folder: Path, handle: Handle) -> None:
        """Answer with ``handle``, which is given the request, who asks, and how to speak to them."""
        self._folder = folder
        self._handle = handle
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Open the door."""
        try:
            door = listening(self._folder)
        except OSError as error:
            log.warning("no_control_socket", reason=error.strerror)
            return
        self._server = await asyncio.start_unix_server(self._come_in, sock=door, limit=messages.MAX_LINE_BYTES)

    async def stop(self) -> None:
        """Close the door, and end what goes on behind it."""
        if self._server is not None:
            self._server.close()
            with contextlib.suppress(OSError):
                (self._folder / NAME).unlink(missing_ok=True)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _come_in(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        try:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await self._exchange(reader, writer)
        finally:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request; a caller that goes away ends nothing but its own waiting."""
        uid = caller(writer.get_extra_info("socket"))
        try:
            line = await within(ASK_SECONDS, reader.readline())
            self._admit(uid)
            ask = messages.read_ask(line)
            actor = f"{account(uid)} ({ask.person})" if ask.person else account(uid)
            gone = asyncio.ensure_future(reader.read())
            work = asyncio.ensure_future(self._handle(ask, actor, Talk(writer)))
            done = await _unless(gone, work)
            writer.write(messages.dump_done(done))
        except FleetrollError as error:
            writer.write(messages.dump_error(error))
        except (asyncio.TimeoutError, ValueError, ConnectionResetError):
            return
        except Exception:
            log.exception("control_defect")
            text = "the agent met a defect of its own"
            defect = AgentError(text, code=Code.INTERNAL, remedy="its log says which: fleetroll-agent log")
            writer.write(messages.dump_error(defect))
        await writer.drain()

    def _admit(self, uid: int) -> None:
        """Refuse who may not ask, and more than there is room for."""
        if not may_speak(uid):
            text = f"only root may steer this agent, not {account(uid)}"
            raise RequestError(text, code=Code.PERMISSION_DENIED, remedy="run it with sudo")
        if len(self._tasks) > MOST_CALLERS:
            text = f"{MOST_CALLERS} others are asking"
            raise RequestError(text, code=Code.UNAVAILABLE, remedy="try again in a moment")


async def _unless(gone: asyncio.Future[bytes], work: asyncio.Future[messages.Done]) -> messages.Done:
    """Return the answer; end the work when the caller goes away, or when this is cancelled."""
    either: set[asyncio.Future[Any]] = {gone, work}
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            raise ConnectionResetError
        return work.result()
    finally:
        for task in (gone, work):
            if not task.done():
                task.cancel()
        await asyncio.gather(gone, work, return_exceptions=True)
