"""An agent without a host: speaks the real stream with real keys and the real ratchet, and does what a test tells it.

What would be on disk is in :class:`~tests.faults.virtual_disk.Disk`; a copy of it is a cloned machine, or the host as
it was before a crash. Nothing here decides anything: a test says when it takes, stages, asks, applies, commits.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import grpc

from fleetroll.v1 import agent_stream_pb2 as stream_pb2
from fleetroll.v1 import agent_stream_pb2_grpc, types_pb2
from fleetroll_agent.identity.ratchet import on_welcome
from fleetroll_common.values.generations import MAX_JUMP
from fleetroll_common.values.ids import SystemIds
from fleetroll_common.wire.channel import AGENT_OPTIONS
from fleetroll_common.wire.signing import hello_bytes, public_key, sign
from tests.faults.virtual_disk import ENDS, PLATFORM, PRODUCT, Disk, attempt_state, code_name
from tests.faults.virtual_evidence import new_key, remember_end, with_evidence

if TYPE_CHECKING:
    from collections.abc import Iterable

PATIENCE_SECONDS = 15.0
"""How long anything that must come may take: the machine is shared."""
NOBODY = 2**40
"""A generation that no attempt has."""


class RefusedError(Exception):
    """The server refused the stream; ``code`` is why."""

    def __init__(self, refusal: stream_pb2.Refusal) -> None:
        """Keep what was said."""
        self.code = code_name(refusal.code)
        self.retry_after = refusal.retry_after.ToTimedelta().total_seconds()
        super().__init__(f"{self.code}: {refusal.message}")


@dataclass
class Session:
    """One stream, from the agent's side."""

    call: Any
    challenge: stream_pb2.Challenge
    inbox: list[stream_pb2.ConnectResponse] = field(default_factory=list)
    news: asyncio.Condition = field(default_factory=asyncio.Condition)
    reader: asyncio.Task[None] | None = None
    over: bool = False
    ask: int = 0


class VirtualAgent:
    """One agent. ``session`` is its open stream."""

    def __init__(self, address: str, ca_pem: bytes, disk: Disk) -> None:
        """Speak with the server at ``address``."""
        self.disk = disk
        self.product = PRODUCT
        self.fresh = SystemIds()
        self._target = (address, grpc.ssl_channel_credentials(ca_pem))
        self._channel: grpc.aio.Channel | None = None
        self.session: Session | None = None
        self.refused: RefusedError | None = None
        self.welcome = stream_pb2.Welcome()

    # The handshake, step by step.

    @property
    def key(self) -> bytes:
        """Return the public key."""
        return public_key(self.disk.seed)

    async def open(self, *, protocol: tuple[int, int] = (1, 1), agent_id: str | None = None) -> Session:
        """Send identify; return the stream with its challenge.

        Raises:
            RefusedError: the server refuses.
        """
        call = self._stub().Connect()
        names = {"protocol_min": protocol[0], "protocol_max": protocol[1]}
        identify = stream_pb2.Identify(agent_id=self.disk.agent_id if agent_id is None else agent_id, **names)
        await call.write(stream_pb2.ConnectRequest(identify=identify))
        answer = await _first(call)
        return Session(call, answer.challenge)

    def hello(self, challenge: stream_pb2.Challenge, **changes: Any) -> stream_pb2.ConnectRequest:
        """Build the hello; ``changes`` lie about nonce, seed, key or signature."""
        ratchet, seed = self.disk.ratchet, changes.get("seed", self.disk.seed)
        said = with_evidence(self.payload(), self.disk, challenge)
        payload = changes.get("payload", said.SerializeToString())
        key = changes.get("key", public_key(seed))
        signed = hello_bytes(
            changes.get("nonce", challenge.nonce),
            challenge.server_id,
            changes.get("agent_id", self.disk.agent_id),
            key,
            ratchet.current,
            ratchet.next,
            ratchet.advances,
            payload,
        )
        return stream_pb2.ConnectRequest(
            hello=stream_pb2.Hello(
                payload=payload,
                signature=changes.get("signature", sign(seed, signed)),
                key=key,
                ratchet_current=ratchet.current,
                ratchet_next=ratchet.next,
                advances=ratchet.advances,
            )
        )

    def payload(self) -> stream_pb2.HelloPayload:
        """Return the state of the host, from its disk."""
        disk = self.disk
        product = stream_pb2.ProductState(
            product=PRODUCT,
            version=disk.version,
            sha256=bytes.fromhex(disk.sha256),
            highest_generation=disk.highest,
            previous_version=disk.previous,
            on_trial=disk.on_trial,
            healthy=disk.healthy,
        )
        return stream_pb2.HelloPayload(
            host_name=disk.name,
            platform=PLATFORM,
            products=[product],
            attempts=[stream_pb2.AttemptReport(product=PRODUCT, **disk.attempt)] if disk.attempt else [],
            journal_id=disk.journal_id,
            receipt=disk.receipt,
            agent_version=disk.calls_itself or disk.version,
            check_in_interval=disk.check_in,
            time_zone=disk.time_zone,
        )

    async def greet(self, session: Session, **changes: Any) -> stream_pb2.Welcome:
        """Send the hello and return the welcome, which nobody has read yet on this host.

        Raises:
            RefusedError: the server refuses.
        """
        await session.call.write(self.hello(session.challenge, **changes))
        return (await _first(session.call)).welcome

    def remember(self, welcome: stream_pb2.Welcome) -> None:
        """Write what a welcome moves on."""
        self.disk.ratchet = on_welcome(self.disk.ratchet, welcome.acknowledged_next, self.fresh.token(32))
        self.disk.receipt = welcome.receipt

    async def connect(self, *, lose_welcome: bool = False) -> stream_pb2.Welcome:
        """Go through the whole handshake and use the session; with ``lose_welcome`` it is cut before it is read."""
        session = await self.open()
        welcome = await self.greet(session)
        if lose_welcome:
            session.call.cancel()
            return welcome
        self.remember(welcome)
        await self.use(session)
        self.welcome = welcome
        return welcome

    async def use(self, session: Session) -> None:
        """Drop the older stream and listen on this one."""
        await self.cut()
        self.session = session
        session.reader = asyncio.create_task(self._listen(session))

    # The session.

    async def cut(self) -> None:
        """The line is gone: no goodbye."""
        session, self.session = self.session, None
        if session is None:
            return
        session.call.cancel()
        if session.reader is not None:
            await session.reader

    async def goodbye(self) -> None:
        """Leave on purpose."""
        session = self.here
        await self.send(goodbye=stream_pb2.Goodbye(reason="restart into trial"))
        await self.ended(session)
        self.session = None

    async def close(self) -> None:
        """End everything."""
        await self.cut()
        if self._channel is not None:
            await self._channel.close()

    @property
    def here(self) -> Session:
        """Return the open session."""
        assert self.session is not None, "not connected"
        return self.session

    async def send(self, **message: Any) -> None:
        """Send one message."""
        await self.here.call.write(stream_pb2.ConnectRequest(**message))

    async def expect(self, *kinds: str, within: float = PATIENCE_SECONDS) -> Any:
        """Return the next message of one of these kinds; others stay where they are."""
        session = self.here

        def found() -> stream_pb2.ConnectResponse | None:
            return next((item for item in session.inbox if item.WhichOneof("message") in kinds), None)

        async with asyncio.timeout(within), session.news:
            while (item := found()) is None:
                assert not session.over, f"the stream ended ({self.refused}) while {kinds} was due"
                await session.news.wait()
            session.inbox.remove(item)
        return getattr(item, str(item.WhichOneof("message")))

    async def fence(self) -> None:
        """Return when everything that the server had queued before has arrived."""
        answer = await self.ask(generation=NOBODY)
        assert code_name(answer.code) == "NOT_FOUND"

    async def waiting(self, *kinds: str) -> list[str]:
        """Return the kinds of what has arrived until now, of these kinds alone when any are named."""
        await self.fence()
        arrived = [str(item.WhichOneof("message")) for item in self.here.inbox]
        return [kind for kind in arrived if not kinds or kind in kinds]

    async def ended(self, session: Session | None = None, within: float = PATIENCE_SECONDS) -> RefusedError | None:
        """Wait until the stream is over; return the refusal that ended it."""
        session = session or self.here
        async with asyncio.timeout(within), session.news:
            await session.news.wait_for(lambda: session.over)
        return self.refused

    # What hosts do.

    @property
    def generation(self) -> int:
        """Return the generation of the open attempt."""
        assert self.disk.attempt is not None, "no attempt is open"
        return int(self.disk.attempt["generation"])

    async def take(self) -> stream_pb2.Assignment:
        """Take the next assignment of a version, with one write of highest and attempt."""
        while not (assignment := await self.assigned()).version:
            self.disk.highest = max(self.disk.highest, assignment.generation)
        assert assignment.generation > self.disk.highest, "only a generation above the highest starts anything"
        self.disk.highest = assignment.generation
        self.disk.attempt = {"generation": assignment.generation, "version": assignment.version}
        self.disk.attempt["state"] = types_pb2.ATTEMPT_STATE_OFFERED
        return assignment

    async def assigned(self) -> stream_pb2.Assignment:
        """Return the next assignment; those too far above the highest are passed over."""
        while (found := await self.expect("assignment")).generation > self.disk.highest + MAX_JUMP:
            pass
        return found  # type: ignore[no-any-return]

    async def stage(self, sha256: str) -> None:
        """Take the assignment, download, and say so."""
        await self.take()
        assert self.disk.attempt is not None
        self.disk.attempt["sha256"] = bytes.fromhex(sha256)
        await self.report("downloading", "staged")

    async def ask(
        self, *, generation: int | None = None, sha256: bytes | None = None, number: int | None = None
    ) -> Any:
        """Ask for Go; return the Go or NoGo that answers this ask."""
        await self.request(generation=generation, sha256=sha256, number=number)
        return await self.expect("go", "no_go")

    async def request(
        self, *, generation: int | None = None, sha256: bytes | None = None, number: int | None = None
    ) -> None:
        """Ask for Go and read no answer."""
        session = self.here
        if number is None:
            session.ask += 1
        attempt = self.disk.attempt or {}
        ask = stream_pb2.RequestGo(
            product=self.product,
            generation=self.generation if generation is None else generation,
            ask=session.ask if number is None else number,
            sha256=attempt.get("sha256", b"") if sha256 is None else sha256,
        )
        await self.send(request_go=ask)

    async def granted(self) -> None:
        """Ask; the answer must be Go."""
        answer = await self.ask()
        assert isinstance(answer, stream_pb2.Go), answer

    async def refused_go(self) -> str:
        """Ask; the answer must be NoGo: return why."""
        answer = await self.ask()
        assert isinstance(answer, stream_pb2.NoGo), answer
        return code_name(answer.code)

    def journal(self, *states: str, **facts: Any) -> list[stream_pb2.Report]:
        """Write the next reports of the open attempt to the journal; return them for sending."""
        assert self.disk.attempt is not None
        reports = []
        for state in states:
            self.disk.sequence += 1
            now = self.disk.attempt["state"] = attempt_state(state)
            values = {"generation": self.generation, "sha256": self.disk.attempt.get("sha256", b"")} | facts
            reports.append(stream_pb2.Report(sequence=self.disk.sequence, product=self.product, state=now, **values))
            if now in ENDS:
                remember_end(self.disk, reports[-1])
        self.disk.reports += reports
        return reports

    async def report(self, *states: str, **facts: Any) -> int:
        """Journal and send reports; return the acknowledged sequence. An attempt that ended is shown no more."""
        acked = await self.deliver(self.journal(*states, **facts))
        if self.disk.attempt is not None and self.disk.attempt["state"] in ENDS:
            self.disk.attempt = None
        return acked

    async def deliver(self, reports: Iterable[stream_pb2.Report]) -> int:
        """Send reports of the journal; return the sequence that the answer acknowledges."""
        await self.send(reports=stream_pb2.ReportBatch(journal_id=self.disk.journal_id, reports=reports))
        ack: stream_pb2.Ack = await self.expect("ack")
        assert ack.journal_id == self.disk.journal_id
        return ack.sequence

    async def try_out(self, version: str, sha256: str) -> stream_pb2.Welcome:
        """Restart into the trial: leave with a goodbye, come back as the new version."""
        await self.goodbye()
        self.switch(version, sha256)
        return await self.connect()

    def switch(self, version: str, sha256: str) -> None:
        """Run the new version on trial."""
        disk = self.disk
        assert disk.attempt is not None
        disk.previous, disk.version, disk.sha256, disk.on_trial = disk.version, version, sha256, True
        disk.attempt["state"] = types_pb2.ATTEMPT_STATE_TRIAL

    async def commit(self) -> None:
        """The launcher kept the version."""
        self.disk.on_trial = False
        await self.report("succeeded", running_version=self.disk.version)

    async def back(self, state: str = "rolled_back", **facts: Any) -> None:
        """The launcher went back to the version before."""
        disk = self.disk
        if disk.on_trial:
            disk.version, disk.sha256, disk.on_trial = disk.previous, "", False
        await self.report(state, running_version=disk.version, **facts)

    async def rotate(self, seed: bytes) -> stream_pb2.RotateKeyResult:
        """Propose a new key; return the answer."""
        wish = new_key(self.disk, seed)
        await self.send(rotate_key=wish)
        result: stream_pb2.RotateKeyResult = await self.expect("rotate_key_result")
        return result

    def _stub(self) -> Any:
        """Return a stub on this agent's own connection."""
        if self._channel is None:
            self._channel = grpc.aio.secure_channel(*self._target, options=AGENT_OPTIONS)
        return agent_stream_pb2_grpc.AgentStreamServiceStub(self._channel)

    async def _listen(self, session: Session) -> None:
        """Put what arrives into the inbox until the end."""
        try:
            while (message := await session.call.read()) is not grpc.aio.EOF:
                async with session.news:
                    if message.WhichOneof("message") == "refusal":
                        self.refused = RefusedError(message.refusal)
                    session.inbox.append(message)
                    session.news.notify_all()
        except (grpc.RpcError, asyncio.CancelledError):
            pass
        finally:
            async with session.news:
                session.over = True
                session.news.notify_all()


async def _first(call: Any) -> stream_pb2.ConnectResponse:
    """Return the next message of a handshake.

    Raises:
        RefusedError: it is a refusal.
    """
    async with asyncio.timeout(PATIENCE_SECONDS):
        answer = await call.read()
    assert answer is not grpc.aio.EOF, "the stream ended without a word"
    if answer.WhichOneof("message") == "refusal":
        raise RefusedError(answer.refusal)
    response: stream_pb2.ConnectResponse = answer
    return response
