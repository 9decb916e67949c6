"""The gateway as a whole: its sessions, the tasks that read from them, and how all of them end."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any, assert_never

import grpc
import structlog

from fleetroll.v1 import agent_stream_pb2 as stream_pb2
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import FleetrollError
from fleetroll_common.wire.handshake import HEARTBEAT_SECONDS, MISSED_HEARTBEATS, SESSION_TOKEN_SECONDS
from fleetroll_server.gateway.admission import Admission
from fleetroll_server.gateway.anteroom import Anteroom
from fleetroll_server.gateway.convert_in import read_ask, read_batch, read_serial
from fleetroll_server.gateway.handshake import Handshake, new_session_token
from fleetroll_server.gateway.openings import Openings
from fleetroll_server.gateway.outages import or_no_go, until_stored
from fleetroll_server.gateway.pace import Pace
from fleetroll_server.gateway.presence import Presence
from fleetroll_server.gateway.rotation import rotate_key
from fleetroll_server.gateway.session import refusal
from fleetroll_server.gateway.trials import is_on_trial

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

    from fleetroll_server.gateway.registry import SessionRegistry
    from fleetroll_server.gateway.rules import StreamRules
    from fleetroll_server.gateway.session import Session
    from fleetroll_server.services import Services

log = structlog.get_logger(__name__)

SILENCE_SECONDS = MISSED_HEARTBEATS * HEARTBEAT_SECONDS
"""A session that says nothing for so long is ended: its agent is offline."""
DRAIN_SPREAD_SECONDS = 30.0
"""Over how long a drained fleet comes back."""
LAST_WORDS_SECONDS = 0.5
"""How long an ended session may take to write what it still has; a peer that does not read is cut off then."""
STOP_SECONDS = 10.0
"""How long ending sessions may take at a stop before their tasks are cancelled."""


class Gateway:
    """All sessions of this process. Start it before the port is opened, stop it after no more streams come."""

    def __init__(self, services: Services, registry: SessionRegistry, rules: StreamRules) -> None:
        """Build the parts; nothing runs before :meth:`start`."""
        self._services = services
        self._registry = registry
        self._rules = rules
        self.admission = Admission(services.clock, services.door)
        self.door = services.door
        self.anteroom = Anteroom(services.door)
        self.handshake = Handshake(services, registry, rules)
        self.openings = Openings(self.handshake, self._begin)
        self._presence = Presence(services, registry, rules)
        self._readers: set[asyncio.Task[None]] = set()
        self._background: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start writing last-seen times and renewing session tokens."""
        self._background = [
            asyncio.create_task(self._presence.run(), name="gateway-presence"),
            asyncio.create_task(self._renew_tokens(), name="gateway-tokens"),
        ]

    async def drain(self, slot_seconds: float = DRAIN_SPREAD_SECONDS) -> None:
        """Let nobody in any more and ask everybody to come back later, spread over ``slot_seconds``; trials at once."""
        self.admission.close()
        for session in self._registry:
            share = int.from_bytes(session.key.agent_id.encode()[-4:], "big") % 1000 / 1000
            message = stream_pb2.ConnectResponse(drain=stream_pb2.Drain())
            message.drain.slot.FromTimedelta(timedelta(seconds=0 if session.on_trial else share * slot_seconds))
            session.send(message)
            session.end()

    async def stop(self) -> None:
        """End every session, also one that opens just now, and wait for what the server owns of it."""
        self.admission.close()
        self.openings.close()
        await _settled(self.openings.tasks)
        await self.drain()
        await _settled(self._readers)
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)

    async def is_on_trial(self, agent_id: str) -> bool:
        """Tell whether the agent gets in where others wait."""
        return await is_on_trial(self._services.store, agent_id)

    async def serve(self, session: Session, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        """Write what is queued until the session ends; a task of the gateway reads and cleans up.

        gRPC may cancel this coroutine at any await once the peer is gone: nothing here must be relied on to run.
        """
        try:
            await self._write(session, context)
        finally:
            session.abandon()

    def _begin(self, session: Session, requests: AsyncIterator[stream_pb2.ConnectRequest]) -> None:
        """Start reading."""
        reader = asyncio.create_task(self._read(session, requests), name=f"session-{session.key.agent_id}")
        self._readers.add(reader)
        reader.add_done_callback(self._readers.discard)

    async def _write(self, session: Session, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        """Write until the session has ended; cut off a peer that does not read its last words.

        Raises:
            asyncio.CancelledError: the stream is to be reset: its peer reads nothing, so no status would reach it.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(None) as limit:
                session.when_ended(lambda: limit.reschedule(loop.time() + LAST_WORDS_SECONDS))
                async for message in session.outgoing():
                    await context.write(message)
        except TimeoutError:
            log.info("session_cut", agent=session.key.agent_id, seconds=LAST_WORDS_SECONDS)
            raise asyncio.CancelledError from None
        except grpc.aio.BaseError as error:
            log.debug("session_line_gone", agent=session.key.agent_id, reason=str(error))
        finally:
            session.when_ended(None)

    async def _read(self, session: Session, requests: AsyncIterator[stream_pb2.ConnectRequest]) -> None:
        """Take messages until the stream or the session ends, then write down that the agent left."""
        try:
            await self._take_all(session, requests)
        except FleetrollError as error:
            session.end(refusal(error.code, error.message))
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("session_failed", agent=session.key.agent_id)
            session.end(refusal(Code.INTERNAL, "the server failed; its log says why"))
        finally:
            session.end()
            self._registry.remove(session)
            await asyncio.shield(self._presence.left(session))

    async def _take_all(self, session: Session, requests: AsyncIterator[stream_pb2.ConnectRequest]) -> None:
        """Handle one message after the other."""
        gone, pace = asyncio.ensure_future(session.gone.wait()), Pace(self._services.clock)
        try:
            while not session.ended:
                request = await self._next(session, requests, gone)
                if request is None:
                    return
                self._presence.heard(session)
                await self._take(session, request)
                if count := len(request.reports.reports):
                    await session.rest(pace.charge(count))
        finally:
            gone.cancel()

    async def _next(
        self, session: Session, requests: AsyncIterator[stream_pb2.ConnectRequest], gone: asyncio.Future[Any]
    ) -> stream_pb2.ConnectRequest | None:
        """Return the next message; nothing at the end of the stream, of the session, or after too long a silence."""
        coming = asyncio.create_task(_read(requests))
        done, _ = await asyncio.wait({coming, gone}, timeout=SILENCE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if coming in done:
            with contextlib.suppress(asyncio.CancelledError, grpc.RpcError, grpc.aio.BaseError):
                return coming.result()
            return None
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)
        if gone not in done:
            log.info("session_silent", agent=session.key.agent_id, seconds=SILENCE_SECONDS)
        return None

    async def _take(self, session: Session, request: stream_pb2.ConnectRequest) -> None:
        """Let one message take effect.

        Raises:
            FleetrollError: the session must end with this error.
        """
        match request.WhichOneof("message"):
            case "heartbeat":
                session.healthy = request.heartbeat.healthy
                session.anchors_serial = read_serial(request.heartbeat.anchors_serial)
            case "reports":
                batch = read_batch(request.reports)
                answer = await until_stored(session, lambda: self._rules.reports(session.key, batch))
                if answer is not None:
                    session.send(answer)
            case "request_go":
                ask = read_ask(request.request_go)
                session.send(await or_no_go(ask, lambda: self._rules.request_go(session.key, ask)))
            case "goodbye":
                session.said_goodbye = True
                session.end()
            case "rotate_key":
                session.send(await rotate_key(self._services, session.key, request.rotate_key))
            case "log_lines":
                log.debug("host_log", agent=session.key.agent_id, lines=len(request.log_lines.lines))
            case "identify" | "hello" | None:
                session.end(refusal(Code.INVALID_ARGUMENT, "the session is open already, or the message is unknown"))
            case other:
                assert_never(other)

    async def _renew_tokens(self) -> None:
        """Give every session a fresh token before its old one ends."""
        while True:
            await asyncio.sleep(SESSION_TOKEN_SECONDS * 2 / 3)
            for session in self._registry:
                token = new_session_token(self._services, session.key)
                session.send(stream_pb2.ConnectResponse(session_token=token))


async def _settled(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Wait until all have ended; cancel what takes too long."""
    if not tasks:
        return
    _done, late = await asyncio.wait(tuple(tasks), timeout=STOP_SECONDS)
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)


async def _read(requests: AsyncIterator[stream_pb2.ConnectRequest]) -> stream_pb2.ConnectRequest | None:
    """Return the next message, nothing at the end; a read that is cancelled before it began has asked for nothing."""
    return await anext(requests, None)
