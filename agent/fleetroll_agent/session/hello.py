"""The handshake: identify, challenge, hello, welcome, and the ratchet on disk before anything else."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc

from fleetroll.v1 import agent_stream_pb2 as stream_pb2
from fleetroll_agent.convert import hello_payload, read_code, reason_of, receipt_of, seconds_of
from fleetroll_agent.session.facts import End, Ended
from fleetroll_agent.session.meaning import BROKEN_CALL, understood
from fleetroll_agent.session.waits import named_wait_seconds
from fleetroll_agent.waiting import within
from fleetroll_common.values.codes import Code
from fleetroll_common.wire import handshake, signing

if TYPE_CHECKING:
    from fleetroll_agent.identity.facts import Identity
    from fleetroll_agent.identity.store import IdentityStore, Kept
    from fleetroll_agent.session.ports import Greeter
    from fleetroll_common.values.clock import Clock

MAX_SKEW_SECONDS = 300.0
"""Clocks that differ by more are a reason to wait (trust.md): certificates and expiries would be judged wrongly."""

Call = Any
"""``grpc.aio.StreamStreamCall``: its stubs name no read and write."""


class EndedError(Exception):
    """The stream is over; ``ended`` says how."""

    def __init__(self, ended: Ended) -> None:
        """Keep the reason."""
        super().__init__(ended.message)
        self.ended = ended


@dataclass(frozen=True, slots=True)
class Opened:
    """An open session.

    Attributes:
        welcome: the server's answer.
        kept: the identity as it is on disk now.
        skewed: the clocks differ too much.
        ahead_seconds: how far this host's clock is ahead of the server's, the way of the message included.
    """

    welcome: stream_pb2.Welcome
    kept: Kept
    skewed: bool
    ahead_seconds: float


async def open_session(call: Call, identity: Identity, store: IdentityStore, host: Greeter, clock: Clock) -> Opened:
    """Run the handshake on a fresh stream.

    Raises:
        EndedError: the server refused, went away, or said nothing within its time.
        RequestError: the server's challenge is not of this protocol, or what it sent is no message.
    """
    identify = stream_pb2.Identify(
        agent_id=identity.enrolment.agent_id,
        protocol_min=handshake.PROTOCOL_OLDEST,
        protocol_max=handshake.PROTOCOL,
    )
    await write(call, stream_pb2.ConnectRequest(identify=identify))
    challenge = (await _expect(call, "challenge")).challenge
    handshake.require_size("challenge.nonce", challenge.nonce, handshake.NONCE_BYTES)
    ahead_seconds = clock.now().timestamp() - challenge.time.seconds
    facts = await host.before_hello(identity.receipt, evidence=identity.is_new_to(challenge.incarnation))
    payload = hello_payload(facts, identity)
    await write(call, stream_pb2.ConnectRequest(hello=_hello(identity, challenge, payload)))
    welcome = (await _expect(call, "welcome")).welcome
    receipt = understood(welcome.receipt, receipt_of)
    kept = await asyncio.to_thread(store.welcomed, identity, welcome.acknowledged_next, receipt)
    return Opened(welcome, kept, abs(ahead_seconds) > MAX_SKEW_SECONDS, ahead_seconds)


async def read(call: Call) -> stream_pb2.ConnectResponse:
    """Return the next message.

    Raises:
        EndedError: there is none, or it is a refusal.
        NoMessageError: what came is no message.
    """
    try:
        message = await call.read()
    except BROKEN_CALL as error:
        raise EndedError(lost(error)) from error
    if message is grpc.aio.EOF:
        code = await call.code()
        raise EndedError(Ended(End.LOST, message=f"the server ended the stream ({code.name})"))
    refused = understood(message, _refusal_in)
    if refused is not None:
        raise EndedError(refused)
    return message  # type: ignore[no-any-return]  # the call is untyped


async def write(call: Call, message: stream_pb2.ConnectRequest) -> None:
    """Send a message.

    Raises:
        EndedError: the stream is over, or takes nothing for too long.
    """
    try:
        await within(WRITE_SECONDS, call.write(message))
    except asyncio.TimeoutError as error:
        raise EndedError(Ended(End.LOST, message=f"the stream took nothing for {WRITE_SECONDS:g} s")) from error
    except BROKEN_CALL as error:
        raise EndedError(lost(error)) from error


WRITE_SECONDS = 60.0
"""A server that reads nothing for three heartbeats is gone, whatever TCP says."""


def lost(error: Exception) -> Ended:
    """Return the end that a broken call means."""
    if not isinstance(error, grpc.aio.AioRpcError):
        return Ended(End.LOST, message=str(error) or type(error).__name__)
    # The library itself refuses with this status when a server has all the streams that it takes.
    busy = error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    return Ended(End.LOST, Code.TOO_MANY_HANDSHAKES if busy else None, error.details() or type(error).__name__)


async def _expect(call: Call, kind: str) -> stream_pb2.ConnectResponse:
    """Return the next message, which is ``kind``."""
    try:
        message = await within(handshake.HANDSHAKE_SECONDS, read(call))
    except asyncio.TimeoutError as error:
        text = f"no {kind} within {handshake.HANDSHAKE_SECONDS:g} s"
        raise EndedError(Ended(End.UNREACHABLE, message=text)) from error
    said = message.WhichOneof("message")
    if said != kind:
        raise EndedError(Ended(End.LOST, message=f"{said or 'something unknown'} came where {kind} was due"))
    return message


def _hello(identity: Identity, challenge: stream_pb2.Challenge, payload: bytes) -> stream_pb2.Hello:
    """Return the signed hello."""
    private, ratchet = identity.keys.speaking, identity.ratchet
    key = signing.public_key(private)
    said = signing.hello_bytes(
        challenge.nonce,
        challenge.server_id,
        identity.enrolment.agent_id,
        key,
        ratchet.current,
        ratchet.next,
        ratchet.advances,
        payload,
    )
    return stream_pb2.Hello(
        payload=payload,
        signature=signing.sign(private, said),
        key=key,
        ratchet_current=ratchet.current,
        ratchet_next=ratchet.next,
        advances=ratchet.advances,
    )


def _refusal_in(message: stream_pb2.ConnectResponse) -> Ended | None:
    """Return the end that a message means; None when it is no refusal."""
    return _refused(message.refusal) if message.WhichOneof("message") == "refusal" else None


def _refused(refusal: stream_pb2.Refusal) -> Ended:
    """Return the end that a refusal means."""
    wait = named_wait_seconds(seconds_of(refusal.retry_after))
    return Ended(End.REFUSED, read_code(refusal.code), reason_of(refusal.message), wait or None)
