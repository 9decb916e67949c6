"""A short session for one purpose: to get at the repository before there is an agent to run."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import grpc

from fleetroll.v1 import agent_stream_pb2 as stream_pb2
from fleetroll.v1 import agent_stream_pb2_grpc
from fleetroll_agent.session.channel import connected
from fleetroll_agent.session.faults import unreachable
from fleetroll_agent.session.hello import EndedError, open_session
from fleetroll_agent.session.repository import Repository
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fleetroll_agent.identity.facts import Identity, WelcomeReceipt
    from fleetroll_agent.identity.store import IdentityStore
    from fleetroll_agent.session.facts import HostFacts
    from fleetroll_common.values.clock import Clock


class _Visitor:
    """Says what it was given and takes nothing: assignments are for the agent, and come again with its hello."""

    def __init__(self, facts: HostFacts) -> None:
        self._facts = facts

    async def before_hello(self, _receipt: WelcomeReceipt | None) -> HostFacts:
        return self._facts


@contextlib.asynccontextmanager
async def visiting(
    store: IdentityStore, identity: Identity, facts: HostFacts, clock: Clock
) -> AsyncIterator[Repository]:
    """Open a session, give its repository, say goodbye.

    Raises:
        AgentError: UNAVAILABLE: no server could be reached.
        RequestError: the server refused the session.
    """
    last: Exception | None = None
    for address in identity.enrolment.addresses:
        async with contextlib.AsyncExitStack() as stack:
            try:
                channel = await stack.enter_async_context(connected(address, identity.enrolment.ca_pem))
            except OSError as error:
                last = error
                continue
            async with _session(channel, store, identity, facts, clock) as repository:
                yield repository
            return
    raise unreachable(identity.enrolment.addresses, last) from last


@contextlib.asynccontextmanager
async def _session(
    channel: grpc.aio.Channel, store: IdentityStore, identity: Identity, facts: HostFacts, clock: Clock
) -> AsyncIterator[Repository]:
    call = agent_stream_pb2_grpc.AgentStreamServiceStub(channel).Connect()
    try:
        try:
            opened = await open_session(call, identity, store, _Visitor(facts), clock)
        except EndedError as error:
            ended = error.ended
            text = f"the server opened no session: {ended.message}"
            raise RequestError(text, code=ended.code or Code.UNAVAILABLE, remedy="run it again") from error
        token = bytes(opened.welcome.session_token.token)
        yield Repository(channel, lambda: token)
        goodbye = stream_pb2.Goodbye(reason="installed")
        with contextlib.suppress(grpc.RpcError, asyncio.InvalidStateError):
            await call.write(stream_pb2.ConnectRequest(goodbye=goodbye))
            await call.done_writing()
    finally:
        call.cancel()
