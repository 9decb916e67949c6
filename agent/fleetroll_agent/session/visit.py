"""A short session for one purpose: to hear what to begin with, and to fetch it, before there is an agent to run."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fleetroll.v1 import agent_stream_pb2 as stream_pb2
from fleetroll.v1 import agent_stream_pb2_grpc
from fleetroll_agent.session.beginning import Naming
from fleetroll_agent.session.channel import connected
from fleetroll_agent.session.facts import End, Evidence
from fleetroll_agent.session.faults import unreachable
from fleetroll_agent.session.hello import EndedError, open_session
from fleetroll_agent.session.meaning import BROKEN_CALL
from fleetroll_agent.session.repository import Repository
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError, FleetrollError, RequestError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import grpc

    from fleetroll_agent.identity.facts import Identity, WelcomeReceipt
    from fleetroll_agent.identity.store import IdentityStore
    from fleetroll_agent.session.facts import Ended, HostFacts
    from fleetroll_common.values.clock import Clock


@dataclass(frozen=True, slots=True)
class Visit:
    """What an open session gives to a host that has no version yet."""

    repository: Repository
    naming: Naming


class _Visitor:
    """Says what it was given and takes nothing: assignments are for the agent, and come again with its hello."""

    def __init__(self, facts: HostFacts) -> None:
        self._facts = facts

    async def before_hello(self, _receipt: WelcomeReceipt | None, *, evidence: bool = False) -> HostFacts:
        return replace(self._facts, evidence=Evidence()) if evidence else self._facts


@contextlib.asynccontextmanager
async def visiting(store: IdentityStore, identity: Identity, facts: HostFacts, clock: Clock) -> AsyncIterator[Visit]:
    """Open a session, give what it offers, say goodbye.

    Raises:
        AgentError: UNAVAILABLE: no server could be reached, or it went away before the session was open.
        RequestError: the server refused the session, or sent what is no message.
    """
    last: Exception | None = None
    for address in identity.enrolment.addresses:
        async with contextlib.AsyncExitStack() as stack:
            try:
                channel = await stack.enter_async_context(connected(address, identity.enrolment.ca_pem))
            except OSError as error:
                last = error
                continue
            async with _session(channel, store, identity, facts, clock) as visit:
                yield visit
            return
    raise unreachable(identity.enrolment.addresses, last) from last


@contextlib.asynccontextmanager
async def _session(
    channel: grpc.aio.Channel, store: IdentityStore, identity: Identity, facts: HostFacts, clock: Clock
) -> AsyncIterator[Visit]:
    call = agent_stream_pb2_grpc.AgentStreamServiceStub(channel).Connect()
    try:
        try:
            opened = await open_session(call, identity, store, _Visitor(facts), clock)
        except EndedError as error:
            raise _not_opened(error.ended) from error
        token = bytes(opened.welcome.session_token.token)
        yield Visit(Repository(channel, lambda: token), Naming(channel, lambda: token))
        goodbye = stream_pb2.Goodbye(reason="installed")
        with contextlib.suppress(*BROKEN_CALL):
            await call.write(stream_pb2.ConnectRequest(goodbye=goodbye))
            await call.done_writing()
    finally:
        call.cancel()


def _not_opened(ended: Ended) -> FleetrollError:
    """Return what a session that did not open means: a refusal is the server's word, anything else is no answer."""
    text = f"the server opened no session: {ended.message}"
    if ended.kind is End.REFUSED:
        return RequestError(text, code=ended.code or Code.INTERNAL, remedy="run it again")
    return AgentError(text, code=Code.UNAVAILABLE, remedy="run it again")
