"""From the first message to the welcome: identify, challenge, hello, one durable commit, then the session is open.

1. The agent names its id; the nonce is bound to the epoch of its row, read then, and to the database's incarnation.
2. The hello's sizes and its signature are checked before anything of it is read.
3. One transaction judges the ratchet, writes the row and reconciles the attempts. The session enters the registry with
   that commit, its welcome first in the queue: nothing that is pushed later can overtake or miss it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import sqlalchemy as sa
from google.protobuf.message import DecodeError

from fleetroll.v1 import agent_stream_pb2 as stream_pb2
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.wire import handshake as sizes
from fleetroll_common.wire.macs import receipt_mac, session_token
from fleetroll_common.wire.signing import hello_bytes, verify
from fleetroll_server.gateway.checkins import next_check_in
from fleetroll_server.gateway.convert_evidence import read_evidence
from fleetroll_server.gateway.convert_in import MAX_TEXT, read_host, require_count
from fleetroll_server.gateway.journals import held_sequence
from fleetroll_server.gateway.rules import Greeted
from fleetroll_server.gateway.session import Session, SessionKey
from fleetroll_server.gateway.suspensions import suspensions_of
from fleetroll_server.identity.ratchet import Accept, Fork, HelloFacts, Refused, Stale, judge
from fleetroll_server.identity.rows import retirement_of, write_identity
from fleetroll_server.recovery.evidence import Shown
from fleetroll_server.recovery.metadata import ShownMetadata
from fleetroll_server.recovery.proof import Proof, went_back
from fleetroll_server.recovery.restopping import stop_again
from fleetroll_server.recovery.showing import may_show
from fleetroll_server.recovery.speaking import Spoken, audited, known_agent, not_younger
from fleetroll_server.recovery.state import incarnation_of, is_recovering
from fleetroll_server.recovery.younger import is_barred
from fleetroll_server.store.fleets import every_fleet
from fleetroll_server.store.tables import AgentRow, table_of
from fleetroll_server.store.tx import EventFact

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import RowMapping

    from fleetroll_server.gateway.registry import SessionRegistry
    from fleetroll_server.gateway.rules import StreamRules
    from fleetroll_server.identity.ratchet import IdentityRow
    from fleetroll_server.recovery.evidence import Evidence
    from fleetroll_server.services import Services
    from fleetroll_server.store.tx import Tx

AGENT = table_of(AgentRow)
WHOSE = "the agent's fleet is what is found out"


@dataclass(frozen=True, slots=True)
class Challenged:
    """A stream between challenge and hello. ``nonce_epoch`` is 0 for an agent that the database does not know."""

    agent_id: str
    nonce: bytes
    nonce_epoch: int
    incarnation: str
    is_known: bool = True


class Handshake:
    """Opens sessions."""

    def __init__(self, services: Services, registry: SessionRegistry, rules: StreamRules) -> None:
        """Keep what a handshake needs."""
        self._services = services
        self._registry = registry
        self._rules = rules
        self._shown = ShownMetadata(services)

    async def challenge(self, identify: stream_pb2.Identify) -> tuple[Challenged, stream_pb2.ConnectResponse]:
        """Return the state of the stream and the challenge to send.

        One that the database does not know is challenged too: it may be younger than the database, and prove it.

        Raises:
            RequestError: IDENTITY_REVOKED or PROTOCOL_UNSUPPORTED (the agent's fault).
        """
        protocol = sizes.choose_protocol(identify.protocol_min, identify.protocol_max)
        async with self._services.store.read() as connection:
            query = sa.select(AGENT.c.epoch, AGENT.c.revoked).where(AGENT.c.id == identify.agent_id)
            row = (await connection.execute(every_fleet(query, WHOSE))).one_or_none()
            incarnation = await incarnation_of(connection)
            revoked = row.revoked if row is not None else await is_barred(connection, identify.agent_id)
        if revoked:
            raise _refused(Code.IDENTITY_REVOKED)
        nonce = self._services.ids.token(sizes.NONCE_BYTES)
        answer = stream_pb2.Challenge(
            nonce=nonce,
            server_id=self._services.server_id,
            incarnation=incarnation,
            protocol=protocol,
        )
        answer.time.FromDatetime(self._services.clock.now())
        epoch = 0 if row is None else row.epoch
        known = row is not None
        challenged = Challenged(identify.agent_id, nonce, epoch, incarnation, known)
        return challenged, stream_pb2.ConnectResponse(challenge=answer)

    async def open(self, challenged: Challenged, hello: stream_pb2.Hello, wanted: Callable[[], bool]) -> Session:
        """Verify the hello and commit it; the session that is returned is registered, its welcome queued.

        Args:
            challenged: the stream.
            hello: what it said.
            wanted: asked when the store's turn comes. A hello whose peer is gone by then is not committed: where hellos
                wait, it would only make the next one of the same agent stale.

        Raises:
            RequestError: no proof, or the ratchet says STALE_HELLO, IDENTITY_FORKED … (the agent's fault).
            StoreError: the commit failed.
        """
        self._verify(challenged, hello)
        try:
            payload = stream_pb2.HelloPayload.FromString(hello.payload)
        except DecodeError as error:
            message = "hello.payload: it can't be read"
            raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy="update the agent") from error

        evidence = read_evidence(payload, (self._services.server_key, *self._services.former_keys))
        proof = Proof(payload.receipt.incarnation, payload.receipt.epoch, payload.receipt.mac)
        enrolled = evidence is not None and evidence.proves(challenged.agent_id)
        if not (challenged.is_known or enrolled or proof.holds(self._services.server_key, challenged.agent_id)):
            raise _refused(Code.IDENTITY_UNKNOWN)
        await self._take_files(challenged, hello, evidence)

        async def job(tx: Tx) -> Session | Code:
            return await self._commit(tx, challenged, hello, payload, (proof, evidence)) if wanted() else Code.RECONNECT

        outcome = await self._services.store.writer.command(job)
        if isinstance(outcome, Code):
            if outcome is Code.RECONNECT and challenged.incarnation != self._services.incarnation:
                await stop_again(self._services)
            raise _refused(outcome)
        return outcome

    async def _take_files(self, challenged: Challenged, hello: stream_pb2.Hello, evidence: Evidence | None) -> None:
        """Sign above the files that a host shows, before its welcome; whoever it is was judged before."""
        if evidence is None or not evidence.files:
            return
        facts = _facts(challenged, hello)
        async with self._services.store.read() as connection:
            counts = await may_show(connection, challenged.agent_id, facts, evidence)
            incarnation = await incarnation_of(connection)
        if counts and incarnation == challenged.incarnation:
            await self._shown.take(evidence.files, incarnation)

    def _verify(self, challenged: Challenged, hello: stream_pb2.Hello) -> None:
        """Check sizes, then the proof of possession."""
        sizes.require_size("hello.ratchet_current", hello.ratchet_current, sizes.RATCHET_BYTES)
        sizes.require_size("hello.ratchet_next", hello.ratchet_next, sizes.RATCHET_BYTES)
        require_count("hello.advances", hello.advances)
        said = hello_bytes(
            challenged.nonce,
            self._services.server_id,
            challenged.agent_id,
            hello.key,
            hello.ratchet_current,
            hello.ratchet_next,
            hello.advances,
            hello.payload,
        )
        verify(hello.key, said, hello.signature)

    async def _commit(
        self,
        tx: Tx,
        challenged: Challenged,
        hello: stream_pb2.Hello,
        payload: stream_pb2.HelloPayload,
        brought: tuple[Proof, Evidence | None],
    ) -> Session | Code:
        """Judge and write in one transaction; a code says why the stream is refused."""
        agent_id, services = challenged.agent_id, self._services
        if await incarnation_of(tx.connection) != challenged.incarnation:
            return Code.RECONNECT
        proof, evidence = brought
        facts = _facts(challenged, hello)
        if await went_back(tx, services, agent_id, proof, facts, evidence):
            return Code.RECONNECT
        name = payload.host_name[:MAX_TEXT]
        said = Spoken(agent_id, name, hello.key, hello.ratchet_current, read_host(payload))
        known = await known_agent(tx, said, evidence)
        if isinstance(known, Code):
            return known
        row, identity = known
        facts = replace(facts, retired=await retirement_of(tx, agent_id, row["fleet_id"], hello.key))
        verdict = judge(identity, facts)
        if isinstance(verdict, Refused):
            return verdict.code
        retired_key = verdict.retired_key if isinstance(verdict, Accept) else None
        await write_identity(tx, agent_id, row["fleet_id"], verdict.row, retired_key)
        if verdict.alert:
            tx.emit(_alert(row["fleet_id"], agent_id, verdict))
        if isinstance(verdict, Stale):
            return Code.STALE_HELLO
        if isinstance(verdict, Fork):
            await not_younger(tx, row)
            if not verdict.welcome:
                return Code.IDENTITY_FORKED
        unknown = isinstance(verdict, Accept) and verdict.unknown
        if unknown:
            tx.emit(audited(row["fleet_id"], agent_id))
        is_first = isinstance(verdict, Accept) and not identity.greeted
        shown = await _shown(tx, evidence if is_first else None, unconfirmed=unknown or identity.younger)
        key = SessionKey(agent_id, row["fleet_id"], verdict.row.epoch)
        return await self._open(tx, key, row, verdict.row, said, shown)

    async def _open(
        self, tx: Tx, key: SessionKey, row: RowMapping, identity: IdentityRow, said: Spoken, shown: Shown | None
    ) -> Session:
        """Make the session of an accepted hello; it enters the registry with the commit."""
        held = await held_sequence(tx, row, said.host.journal_id)
        if shown is not None:
            held = max(held, shown.evidence.journal_first - 1)
        greeted = Greeted(key, quarantined=identity.quarantined, host=said.host, held=held, shown=shown)
        session = Session(key)
        session.heard_at = tx.now
        session.on_trial = any(product.on_trial for product in greeted.host.products)
        session.send(await self._welcome(tx, greeted, identity.acked))
        for message in await self._rules.greet(tx, greeted):
            session.send(message)
        tx.after_commit(lambda: self._registry.add(session))
        return session

    async def _welcome(self, tx: Tx, hello: Greeted, acked: bytes) -> stream_pb2.ConnectResponse:
        """Build the welcome."""
        services, key = self._services, hello.key
        incarnation = await incarnation_of(tx.connection)
        answer = stream_pb2.Welcome(
            epoch=key.epoch,
            acknowledged_next=acked,
            receipt=stream_pb2.Receipt(
                incarnation=incarnation,
                epoch=key.epoch,
                mac=receipt_mac(services.server_key, incarnation, key.agent_id, key.epoch),
            ),
            session_token=new_session_token(services, key),
            metadata=stream_pb2.MetadataNotice(timestamp_version=services.catalogue.timestamp_version),
            suspensions=await suspensions_of(tx, key.fleet_id),
            ack=stream_pb2.Ack(journal_id=hello.host.journal_id, sequence=hello.held),
            quarantined=hello.quarantined,
        )
        answer.heartbeat_interval.FromTimedelta(timedelta(seconds=sizes.HEARTBEAT_SECONDS))
        answer.time.FromDatetime(services.clock.now())
        if hello.host.check_in is not None:
            answer.next_check_in.FromTimedelta(await next_check_in(tx, services, key))
        return stream_pb2.ConnectResponse(welcome=answer)


def new_session_token(services: Services, key: SessionKey) -> stream_pb2.SessionToken:
    """Return a token for the unary calls of a session."""
    expires_at = services.clock.now() + timedelta(seconds=sizes.SESSION_TOKEN_SECONDS)
    answer = stream_pb2.SessionToken(token=session_token(services.server_key, key.agent_id, key.epoch, expires_at))
    answer.expires_at.FromDatetime(expires_at)
    return answer


def _facts(challenged: Challenged, hello: stream_pb2.Hello) -> HelloFacts:
    """Return what the hello shows of its identity."""
    return HelloFacts(
        nonce_epoch=challenged.nonce_epoch,
        key=hello.key,
        current=hello.ratchet_current,
        next=hello.ratchet_next,
        advances=hello.advances,
    )


async def _shown(tx: Tx, evidence: Evidence | None, *, unconfirmed: bool) -> Shown | None:
    """Return what the first hello of an agent shows to this incarnation."""
    return None if evidence is None else Shown(evidence, unconfirmed, counts=await is_recovering(tx.connection))


_REMEDIES = {
    Code.IDENTITY_UNKNOWN: "enroll this host",
    Code.IDENTITY_REVOKED: "an admin decided so; enroll the host again if it shall come back",
    Code.IDENTITY_FORKED: "readmit the right host",
    Code.STALE_HELLO: "say hello again",
    Code.RECONNECT: "connect again",
    Code.INVALID_ARGUMENT: "look at this host: what it shows can't be",
}


def _refused(code: Code) -> RequestError:
    """Return the error of a stream that is not opened."""
    return RequestError(f"the stream is refused: {code}", code=code, remedy=_REMEDIES[code])


def _alert(fleet_id: str, agent_id: str, verdict: Accept | Stale | Fork) -> EventFact:
    """Return the fact that somebody must look at this identity."""
    kind = "alert.identity_cloned" if isinstance(verdict, Fork) else "alert.hello_repeats"
    code = Code.IDENTITY_FORKED if isinstance(verdict, Fork) else Code.STALE_HELLO
    return EventFact(
        fleet_id=fleet_id, kind=kind, actor_kind="engine", actor_id="handshake", code=code, agent_id=agent_id
    )
