"""The stream itself: lets an agent in, passes its messages to the engine, writes what is queued for it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
import structlog

from fleetroll.v1 import agent_stream_pb2 as stream_pb2
from fleetroll.v1 import agent_stream_pb2_grpc
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import FleetrollError
from fleetroll_common.wire.handshake import HANDSHAKE_SECONDS
from fleetroll_server.gateway.admission import TooManyHellosError
from fleetroll_server.gateway.anteroom import expect
from fleetroll_server.gateway.session import refusal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fleetroll_server.gateway.gateway import Gateway
    from fleetroll_server.gateway.session import Session

    Requests = AsyncIterator[stream_pb2.ConnectRequest]

log = structlog.get_logger(__name__)

OPENING_SECONDS = HANDSHAKE_SECONDS
"""How long a hello may take to be committed: the agent waits no longer for its welcome."""
HELLO_SECONDS = 10.0
"""How long an agent that was challenged may take to say hello: a slow disk syncs its ratchet and journal in it, and who
holds a place for nothing holds it no longer."""
AGAIN_SECONDS = 10.0
"""When an agent may come back that is refused by no fault of its own: as soon as one that is refused Go meanwhile. A
trial takes a refusal with a time for the server's word that it is not to blame."""
_PASSING = frozenset({Code.STORE_FAILED, Code.DRAINING, Code.UNAVAILABLE})

_Context = grpc.aio.ServicerContext[Any, Any]


class AgentStreamServicer(agent_stream_pb2_grpc.AgentStreamServiceServicer):
    """One coroutine per stream writes; a task that the gateway owns reads."""

    def __init__(self, gateway: Gateway) -> None:
        """Serve streams of ``gateway``."""
        self._gateway = gateway

    async def Connect(  # type: ignore[override]  # read/write style: 15 % less memory and time than a generator
        self, request_iterator: AsyncIterator[stream_pb2.ConnectRequest], context: _Context
    ) -> None:
        """Carry one stream from the first message to the last."""
        try:
            session = await self._let_in(aiter(request_iterator), context)
        except (FleetrollError, TimeoutError) as error:
            if isinstance(error, FleetrollError) and error.code in _PASSING:
                self._gateway.door.refuse()
            await context.write(_last_word(error))
            return
        await self._gateway.serve(session, context)

    async def _let_in(self, requests: Requests, context: _Context) -> Session:
        """Wait for the agent's name, then for a place, and run the handshake in it.

        Raises:
            FleetrollError: the agent is refused, no place is free, or the store failed.
            TimeoutError: the agent said nothing for too long, or the store took too long.
        """
        identify = await self._gateway.anteroom.identify(requests)
        async with self._gateway.admission.admit(identify.agent_id, lambda: self._is_on_trial(identify.agent_id)):
            return await self._greet(identify, requests, context)

    async def _is_on_trial(self, agent_id: str) -> bool:
        """Look the agent's attempt up, in the time of a hello; a lookup that takes longer is a refusal of ours."""
        try:
            async with asyncio.timeout(HELLO_SECONDS):
                return await self._gateway.is_on_trial(agent_id)
        except TimeoutError:
            self._gateway.door.refuse()
            raise

    async def _greet(self, identify: stream_pb2.Identify, requests: Requests, context: _Context) -> Session:
        """Run the handshake, each side's part within its time; raises as :meth:`_let_in`.

        Time that ran out before the challenge was read from the database is no agent's.
        """
        challenged = None
        try:
            async with asyncio.timeout(HELLO_SECONDS):
                challenged, challenge = await self._gateway.handshake.challenge(identify)
                await context.write(challenge)
                hello = await expect(requests, "hello")
        except TimeoutError:
            if challenged is None:
                self._gateway.door.refuse()
            raise
        try:
            async with asyncio.timeout(OPENING_SECONDS):
                return await self._gateway.openings.open(challenged, hello.hello, requests)
        except TimeoutError:
            self._gateway.door.refuse()
            raise


def _last_word(error: FleetrollError | TimeoutError) -> stream_pb2.ConnectResponse:
    """Return the refusal that ends a stream before it is open."""
    if isinstance(error, TimeoutError):
        return refusal(Code.UNAVAILABLE, "the handshake took too long", AGAIN_SECONDS)
    log.info("hello_refused", code=error.code, reason=error.message)
    return refusal(error.code, error.message, _wait_seconds(error))


def _wait_seconds(error: FleetrollError) -> float:
    """Return when the agent may come back; 0 where waiting mends nothing."""
    if isinstance(error, TooManyHellosError):
        return error.retry_after.total_seconds()
    return AGAIN_SECONDS if error.code in _PASSING else 0.0
