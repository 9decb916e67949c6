"""A server for agents under test: real TLS, the real ratchet's verdicts, the contract's services; the rest is a script.

Everything that it heard stands in its lists; everything that it does beyond the handshake is asked for by the test:
assignments, Go, Promote, refusals, lost answers, lost acks.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

import grpc

from fleetroll.v1 import agent_stream_pb2 as stream_pb2
from fleetroll.v1 import (
    agent_stream_pb2_grpc,
    enrolment_pb2,
    enrolment_pb2_grpc,
    reasons_pb2,
    repository_pb2,
    repository_pb2_grpc,
    types_pb2,
)
from fleetroll_common.values.ids import SystemIds
from fleetroll_common.wire import signing
from fleetroll_common.wire.channel import CHUNK_BYTES, SERVER_OPTIONS
from fleetroll_common.wire.handshake import SESSION_TOKEN_KEY
from fleetroll_common.wire.joinstring import JoinString
from fleetroll_server.certificates import Pair, issue_leaf, make_ca
from fleetroll_server.identity.ratchet import Accept, Fork, HelloFacts, IdentityRow, Stale, judge
from tests.agent.fake_server.addressing import refuse_others
from tests.agent.fake_server.garbage import Garbler
from tests.agent.fake_server.naming import name_first
from tests.agent.fake_server.promoting import is_due
from tests.agent.fake_server.script import Script

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.agent.fake_server.releases import Releases

SERVER_ID, INCARNATION, FLEET = "server-1", "incarnation-1", "fleet-1"
TOKEN = "token-1"
_Context = grpc.aio.ServicerContext[Any, Any]
_STATE = types_pb2.AttemptState


@dataclass
class Agent:
    """One agent as the server knows it."""

    agent_id: str
    row: IdentityRow
    assignments: dict[str, stream_pb2.Assignment] = field(default_factory=dict)
    reports: list[stream_pb2.Report] = field(default_factory=list)
    journal_id: str = ""
    held: int = 0
    forks: int = 0


@dataclass
class Session:
    """One open stream."""

    agent: Agent
    epoch: int
    hello: stream_pb2.HelloPayload
    outgoing: asyncio.Queue[stream_pb2.ConnectResponse | None] = field(default_factory=asyncio.Queue)
    heard: list[stream_pb2.ConnectRequest] = field(default_factory=list)

    def send(self, **message: Any) -> None:
        self.outgoing.put_nowait(stream_pb2.ConnectResponse(**message))

    def end(self) -> None:
        self.outgoing.put_nowait(None)


class FakeServer(
    agent_stream_pb2_grpc.AgentStreamServiceServicer,
    enrolment_pb2_grpc.EnrolmentServiceServicer,
    repository_pb2_grpc.RepositoryServiceServicer,
):
    """One server on a loopback port; use it as an async context manager."""

    def __init__(self, releases: Releases, ca: Pair | None = None) -> None:
        """Serve ``releases``; ``ca`` None makes a CA of its own."""
        self.releases = releases
        self.script = Script()
        self.ca = ca or make_ca("test", datetime.now(UTC))
        self.agents: dict[str, Agent] = {}
        self.enrolments: dict[tuple[str, bytes], enrolment_pb2.EnrollResponse] = {}
        self.uses = 0
        self.asked: list[enrolment_pb2.NameFirstVersionRequest] = []
        self.sessions: list[Session] = []
        self.streams = 0
        self.goodbyes: list[str] = []
        self.fetched: list[repository_pb2.FetchTargetRequest] = []
        self.address = ""
        self._changed = asyncio.Condition()
        self._ids = SystemIds()
        self._server: grpc.aio.Server | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.stop()

    async def start(self, port: int = 0) -> None:
        """Open the port; a stopped server comes back on its old one."""
        leaf = issue_leaf(self.ca, ["127.0.0.1"], datetime.now(UTC))
        credentials = grpc.ssl_server_credentials([(leaf.key, leaf.certificate)])
        self._server = grpc.aio.server(options=list(SERVER_OPTIONS), interceptors=[Garbler(self.script.garbage)])
        agent_stream_pb2_grpc.add_AgentStreamServiceServicer_to_server(self, self._server)
        enrolment_pb2_grpc.add_EnrolmentServiceServicer_to_server(self, self._server)
        repository_pb2_grpc.add_RepositoryServiceServicer_to_server(self, self._server)
        port = port or (int(self.address.split(":")[1]) if self.address else 0)
        bound = self._server.add_secure_port(f"127.0.0.1:{port}", credentials)
        self.address = f"127.0.0.1:{bound}"
        await self._server.start()

    async def stop(self) -> None:
        """Close the port and every stream at once, as a killed server does."""
        if self._server is not None:
            await self._server.stop(None)
            self._server = None

    def join_string(self, token: str = TOKEN) -> JoinString:
        return JoinString((self.address,), token, self.ca.certificate, self.releases.root_sha256)

    @property
    def agent(self) -> Agent:
        """The one agent."""
        (agent,) = self.agents.values()
        return agent

    @property
    def session(self) -> Session:
        """The newest session."""
        return self.sessions[-1]

    def assign(self, version: str, generation: int, **more: Any) -> None:
        """Desire ``version`` and push it to an open session."""
        soak, lease = more.pop("soak", 0.2), more.pop("lease", 30.0)
        product = more.pop("product", "agent")
        assignment = stream_pb2.Assignment(product=product, version=version, generation=generation, **more)
        assignment.soak.FromTimedelta(timedelta(seconds=soak))
        assignment.lease.FromTimedelta(timedelta(seconds=lease))
        self.agent.assignments[product] = assignment
        if self.sessions:
            self.session.send(assignment=assignment)

    def states(self, generation: int, product: str = "agent") -> list[str]:
        """Return the names of the states that were reported for ``generation``, steps behind them."""
        return [
            " ".join(part for part in (_STATE.Name(told.state).removeprefix("ATTEMPT_STATE_"), told.step) if part)
            for told in self.agent.reports
            if (told.product, told.generation) == (product, generation)
        ]

    def result(self, generation: int, product: str = "agent") -> stream_pb2.Report | None:
        """Return the report that ended ``generation``; None while it goes on."""
        ends = (told for told in self.agent.reports if told.state >= _STATE.ATTEMPT_STATE_SUCCEEDED)
        return next((told for told in ends if (told.product, told.generation) == (product, generation)), None)

    async def until(self, condition: Any, seconds: float = 40.0) -> None:
        """Wait until ``condition()`` holds."""

        async def wait() -> None:
            async with self._changed:
                await self._changed.wait_for(condition)

        await asyncio.wait_for(wait(), seconds)

    async def Enroll(self, request: enrolment_pb2.EnrollRequest, context: _Context) -> enrolment_pb2.EnrollResponse:
        signing.verify(request.public_key, signing.enroll_bytes(request.token, request.public_key), request.signature)
        if request.token != TOKEN and not request.token.startswith("readmit:"):
            await context.abort(grpc.StatusCode.NOT_FOUND, "the token is not known")
        known = self.enrolments.get((request.token, request.public_key))
        if known is None:
            await refuse_others(request, context)
            known = self._enroll(request)
            self.enrolments[request.token, request.public_key] = known
            self.uses += 1
        if self.script.lose_enrolments > 0:
            self.script.lose_enrolments -= 1
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the answer got lost")
        return known

    async def NameFirstVersion(
        self, request: enrolment_pb2.NameFirstVersionRequest, context: _Context
    ) -> enrolment_pb2.NameFirstVersionResponse:
        await self._authenticate(context)
        self.asked.append(request)
        return await name_first(request, context, self.script.names, self.releases)

    def _enroll(self, request: enrolment_pb2.EnrollRequest) -> enrolment_pb2.EnrollResponse:
        readmitted = request.token.removeprefix("readmit:") if request.token.startswith("readmit:") else ""
        agent_id = readmitted or self._ids.new("agent")
        epoch = self.agents[readmitted].row.epoch + 1 if readmitted else 0
        row = IdentityRow(public_key=request.public_key, acked=request.ratchet, epoch=epoch)
        if readmitted:
            self.agents[agent_id].row = row
        else:
            self.agents[agent_id] = Agent(agent_id, row)
        return enrolment_pb2.EnrollResponse(
            agent_id=agent_id,
            fleet_id=FLEET,
            receipt=b"receipt",
            receipt_mac=bytes(32),
            root=self.releases.root,
            ca_pem=self.ca.certificate,
            addresses=[self.address],
            incarnation=INCARNATION,
            labels=dict(request.labels),
        )

    async def GetMetadata(
        self, request: repository_pb2.GetMetadataRequest, context: _Context
    ) -> repository_pb2.GetMetadataResponse:
        await self._authenticate(context)
        data = self.releases.files.get(request.name)
        if data is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such file")
        return repository_pb2.GetMetadataResponse(payload=data)

    async def FetchTarget(
        self, request: repository_pb2.FetchTargetRequest, context: _Context
    ) -> AsyncIterator[repository_pb2.FetchTargetResponse]:
        await self._authenticate(context)
        self.fetched.append(request)
        data = self.releases.artefacts.get(request.path, b"")
        end = len(data) if self.script.cut_after is None else min(len(data), request.offset + self.script.cut_after)
        for start in range(request.offset, end, CHUNK_BYTES):
            yield repository_pb2.FetchTargetResponse(chunk=data[start : min(end, start + CHUNK_BYTES)])
        if end < len(data):
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the line was cut")

    async def Connect(  # type: ignore[override]
        self, request_iterator: AsyncIterator[stream_pb2.ConnectRequest], context: _Context
    ) -> None:
        self.streams += 1
        if self.script.refusals:
            await anext(request_iterator, None)
            await context.write(stream_pb2.ConnectResponse(refusal=self.script.refusals.pop(0)))
            return
        session = await self._greet(request_iterator, context)
        if session is None:
            return
        reader = asyncio.create_task(self._read(session, request_iterator))
        try:
            while (message := await session.outgoing.get()) is not None:
                await context.write(message)
        finally:
            reader.cancel()

    async def _greet(self, requests: AsyncIterator[stream_pb2.ConnectRequest], context: _Context) -> Session | None:
        identify = (await anext(requests)).identify
        agent = self.agents[identify.agent_id]
        nonce, epoch = self._ids.token(32), agent.row.epoch
        challenge = stream_pb2.Challenge(nonce=nonce, server_id=SERVER_ID, incarnation=INCARNATION, protocol=1)
        challenge.time.FromDatetime(datetime.now(UTC) + timedelta(seconds=self.script.clock_skew))
        if self.script.clock_seconds is not None:
            challenge.time.seconds = self.script.clock_seconds
        await context.write(stream_pb2.ConnectResponse(challenge=challenge))
        hello = (await anext(requests)).hello
        said = signing.hello_bytes(
            nonce,
            SERVER_ID,
            agent.agent_id,
            hello.key,
            hello.ratchet_current,
            hello.ratchet_next,
            hello.advances,
            hello.payload,
        )
        signing.verify(hello.key, said, hello.signature)
        facts = HelloFacts(epoch, hello.key, hello.ratchet_current, hello.ratchet_next, hello.advances)
        verdict = judge(agent.row, facts)
        if isinstance(verdict, Stale):
            await self._refuse(context, reasons_pb2.REASON_CODE_STALE_HELLO)
            return None
        if not isinstance(verdict, (Accept, Fork)):
            await self._refuse(context, reasons_pb2.REASON_CODE_IDENTITY_UNKNOWN)
            return None
        agent.forks += isinstance(verdict, Fork)
        agent.row = verdict.row
        if self.script.lose_welcomes > 0:
            self.script.lose_welcomes -= 1
            return None
        session = Session(agent, agent.row.epoch, stream_pb2.HelloPayload.FromString(hello.payload))
        if self.script.before_welcome is not None:
            await self.script.before_welcome(session)
        self._welcome(session)
        self.sessions.append(session)
        await self._notify()
        return session

    def _welcome(self, session: Session) -> None:
        agent = session.agent
        if session.hello.journal_id != agent.journal_id:
            agent.journal_id, agent.held = session.hello.journal_id, 0
        welcome = stream_pb2.Welcome(
            epoch=session.epoch,
            acknowledged_next=agent.row.acked,
            receipt=stream_pb2.Receipt(incarnation=INCARNATION, epoch=session.epoch, mac=bytes(32)),
            session_token=stream_pb2.SessionToken(token=self._token(agent)),
            quarantined=self.script.quarantined,
            suspensions=[
                stream_pb2.Suspension(scope=scope, epoch=1, active=True) for scope in sorted(self.script.suspended)
            ],
            ack=stream_pb2.Ack(journal_id=agent.journal_id, sequence=agent.held),
        )
        welcome.heartbeat_interval.FromTimedelta(timedelta(seconds=self.script.heartbeat))
        if self.script.check_in:
            welcome.next_check_in.FromTimedelta(timedelta(seconds=self.script.check_in))
        session.send(welcome=welcome)
        for assignment in agent.assignments.values():
            session.send(assignment=assignment)
        for shown in session.hello.attempts:
            if shown.state == types_pb2.ATTEMPT_STATE_TRIAL and self.script.promote:
                self._promote(session, shown)

    async def _read(self, session: Session, requests: AsyncIterator[stream_pb2.ConnectRequest]) -> None:
        async for request in requests:
            session.heard.append(request)
            kind = request.WhichOneof("message")
            if kind == "reports":
                self._take(session, request.reports)
            elif kind == "request_go" and self.script.grant:
                ask = request.request_go
                session.send(go=stream_pb2.Go(product=ask.product, generation=ask.generation, ask=ask.ask))
            elif kind == "goodbye":
                self.goodbyes.append(request.goodbye.reason)
                session.end()
            await self._notify()

    def _take(self, session: Session, batch: stream_pb2.ReportBatch) -> None:
        agent = session.agent
        for report in batch.reports:
            if report.sequence == max(0, agent.held) + 1:
                agent.reports.append(report)
                agent.held = report.sequence
            if report.state == types_pb2.ATTEMPT_STATE_TRIAL and self.script.promote:
                self._promote(session, report)
        if self.script.ack:
            session.send(ack=stream_pb2.Ack(journal_id=batch.journal_id, sequence=agent.held))

    def _promote(self, session: Session, told: stream_pb2.AttemptReport | stream_pb2.Report) -> None:
        """Allow to keep what is on trial; what root on the host tries out is the host's to choose."""
        if told.local_number or is_due(session.hello, session.agent.assignments, told.generation, told.sha256):
            promote = stream_pb2.Promote(product="agent", generation=told.generation, sha256=told.sha256)
            promote.local_number = told.local_number
            session.send(promote=promote)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _token(self, agent: Agent) -> bytes:
        return hashlib.sha256(f"{agent.agent_id}/{agent.row.epoch}".encode()).digest()

    async def _authenticate(self, context: _Context) -> None:
        shown = dict(context.invocation_metadata() or ()).get(SESSION_TOKEN_KEY)
        if shown not in {self._token(agent) for agent in self.agents.values()}:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "the session token is not of an open session")

    async def _refuse(self, context: _Context, code: reasons_pb2.ReasonCode.ValueType) -> None:
        await context.write(stream_pb2.ConnectResponse(refusal=stream_pb2.Refusal(code=code)))
