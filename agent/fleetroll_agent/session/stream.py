"""One open session: three tasks that read, write and beat, and one way to leave.

Reports go out in the order of the journal, from what the server holds on; control messages wait in a short queue. A
server that reads too slowly ends the session: the next one begins from a clean state.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import TYPE_CHECKING, Protocol

import structlog

from fleetroll.v1 import agent_stream_pb2 as stream_pb2
from fleetroll_agent import convert
from fleetroll_agent.jobs import events
from fleetroll_agent.session.facts import End, Ended
from fleetroll_agent.session.hello import Call, EndedError, Opened, lost, read, write
from fleetroll_agent.session.lines import LiveLines
from fleetroll_agent.session.meaning import BROKEN_CALL, understood
from fleetroll_agent.session.polling import next_check_in_seconds
from fleetroll_agent.session.waits import named_wait_seconds
from fleetroll_agent.waiting import within

if TYPE_CHECKING:
    from collections.abc import Callable

    from fleetroll_agent.jobs.journal import Journal
    from fleetroll_agent.session.link import Noticed
    from fleetroll_agent.session.ports import SessionHost
    from fleetroll_agent.session.rotation import Rotation

log = structlog.get_logger(__name__)

QUEUE_MESSAGES = 64
MAX_HEARTBEAT_SECONDS = 300.0
"""A server that names more would see this host as offline, and a dead line would be found too late."""
BATCH_REPORTS = 100
"""The contract's bound of one batch."""
UNACKED_REPORTS = 1000
"""On their way at most; the journal holds the rest."""
LINGER_SECONDS = 5.0
"""How long a visit lasts at least: what the server has for this host comes with the Welcome, or right behind it."""
VISIT_LOOK_SECONDS = 1.0
LEAVE_SECONDS = 2.0
"""How long a goodbye waits for the server to hold the last reports; they are journaled in any case."""
DRAIN_EXTENSION_SECONDS = 60.0
"""What a trial asks for beyond the wait that a busy server names: it takes turns with the rest of the fleet."""


class Line(Protocol):
    """What a stream needs of whoever holds it."""

    @property
    def anchors_serial(self) -> int:
        """Return the serial of the anchors that this host goes by."""

    @property
    def noticed(self) -> Noticed:
        """Return who is told which timestamp of signed metadata the server names."""


class Stream:
    """One session. Use :meth:`run` once."""

    def __init__(
        self, call: Call, opened: Opened, host: SessionHost, journal: Journal, rotation: Rotation, line: Line
    ) -> None:
        """Take over a call whose handshake is done; kill switches of other fleets are not ours."""
        self._line = line
        self._scopes = frozenset({"global", f"fleet/{rotation.identity.enrolment.fleet_id}"})
        self._rotation = rotation
        self._agreed = not opened.skewed
        self._call = call
        self._host = host
        self._journal = journal
        self._sent = 0
        self._wake = asyncio.Event()
        self._queue: asyncio.Queue[stream_pb2.ConnectRequest] = asyncio.Queue(QUEUE_MESSAGES)
        named = convert.seconds_of(opened.welcome.heartbeat_interval)
        self._interval = min(max(1.0, named), MAX_HEARTBEAT_SECONDS)
        self._lines = LiveLines()
        self._ack_heard = asyncio.Event()
        self._left: Ended | None = None
        self._goodbye_said = asyncio.Event()
        self._named_check_in = convert.seconds_of(opened.welcome.next_check_in)
        self.session = int(opened.welcome.epoch)
        self.token = bytes(opened.welcome.session_token.token)

    async def run(self, opened: Opened, poll_seconds: float | None = None) -> Ended:
        """Exchange messages until the session is over; say how it ended.

        Args:
            opened: the handshake's end.
            poll_seconds: how often this host checks in; None = it holds its stream.
        """
        welcome = opened.welcome
        if welcome.ack.journal_id == self._journal.journal_id:
            await self._go_back(int(welcome.ack.sequence))
            await self._ack(welcome.ack)
            self._sent = max(0, int(welcome.ack.sequence))
        suspended = self._scopes & {known.scope for known in welcome.suspensions if known.active}
        await self._host.tell(events.SessionOpened(self.session, suspended, opened.skewed))
        self.reports_ready()
        works = [self._read_all(), self._write_all(), self._beat()]
        works += [] if poll_seconds is None else [self._visit(poll_seconds)]
        tasks = [asyncio.create_task(work) for work in works]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return self._left or _end_of(done)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._host.tell(events.SessionClosed(self.session))

    def send(self, message: stream_pb2.ConnectRequest) -> bool:
        """Queue a message; False when the server takes none any more."""
        try:
            self._queue.put_nowait(message)
        except asyncio.QueueFull:
            log.warning("server_reads_too_slowly", session=self.session)
            self._call.cancel()
            return False
        self._wake.set()
        return True

    def reports_ready(self) -> None:
        """Take note that the journal may hold more than was sent."""
        self._wake.set()

    def live_line(self, product: str, generation: int, line: str) -> None:
        """Take a line of a running job; it goes when nothing else waits."""
        self._lines.add(product, generation, line)
        self._wake.set()

    def renew(self, reason: str) -> None:
        """End the stream so that the next hello says what has changed on this host."""
        self._left = Ended(End.RENEWED, message=reason, opened=True)
        self.send(stream_pb2.ConnectRequest(goodbye=stream_pb2.Goodbye(reason=reason[:200])))

    async def leave(self, reason: str) -> None:
        """Let the last reports arrive, if that is quick, and say goodbye."""
        self.reports_ready()
        with contextlib.suppress(asyncio.TimeoutError):
            await within(LEAVE_SECONDS, self._all_acked())
        self._left = Ended(End.LEFT, opened=True)
        self.send(stream_pb2.ConnectRequest(goodbye=stream_pb2.Goodbye(reason=reason[:200])))

    async def _go_back(self, held: int) -> None:
        """Let wait again what a restored server has lost.

        A disk that can't be read costs this session those reports, and the next one tries it anew.
        """
        if held >= self._journal.acked:
            return
        try:
            await asyncio.to_thread(self._journal.rewind, held)
        except OSError as error:
            log.warning("journal_not_rewound", held=held, reason=error.strerror)

    async def _all_acked(self) -> None:
        while self._journal.acked < self._journal.last_sequence:
            self._ack_heard.clear()
            await self._ack_heard.wait()

    async def _read_all(self) -> None:
        while True:
            await self._hear(await read(self._call))

    async def _hear(self, message: stream_pb2.ConnectResponse) -> None:
        """Let one message take effect; what a newer server says beyond this contract is passed over."""
        self._host.heard()
        kind = message.WhichOneof("message")
        if kind == "ack":
            await self._ack(message.ack)
            self.reports_ready()
        elif kind == "session_token":
            self.token = bytes(message.session_token.token)
        elif kind == "rotate_key_result":
            self._key_answered(message.rotate_key_result)
        elif kind == "metadata_notice":
            self._line.noticed(int(message.metadata_notice.timestamp_version), opened=False)
        elif kind == "drain":
            await self._drain(named_wait_seconds(understood(message.drain.slot, convert.seconds_of)))
        else:
            event = understood(message, self._event)
            if event is not None:
                await self._host.tell(event[0], event[1])

    def _event(self, message: stream_pb2.ConnectResponse) -> tuple[events.Event, str | None] | None:
        """Return what a message means for the rules, and of which product; None for what is none of their business."""
        if message.WhichOneof("message") == "suspension":
            switch = message.suspension
            return (events.Suspended(switch.scope, switch.active), None) if switch.scope in self._scopes else None
        return self._of_product(message)

    def _of_product(self, message: stream_pb2.ConnectResponse) -> tuple[events.Event, str | None] | None:
        """Return what a message about a product means; None for a product that this host does not keep."""
        kind = message.WhichOneof("message")
        if kind not in _ABOUT_PRODUCTS:
            return None
        product = getattr(message, kind).product
        if not self._host.keeps(product):
            log.warning("product_not_kept_here", kind=kind, product=product)
            return None
        if kind == "go":
            # On record before the rules judge it: a Go that they find void leaves no other trace on the host.
            log.info("go_received", product=product, generation=message.go.generation, ask=message.go.ask)
        return _ABOUT_PRODUCTS[kind](self.session, message), product

    async def _drain(self, slot_seconds: float) -> None:
        await self._host.tell(events.ServerBusy(slot_seconds + DRAIN_EXTENSION_SECONDS))
        raise EndedError(Ended(End.DRAINED, retry_after_seconds=slot_seconds, opened=True))

    def _key_answered(self, answer: stream_pb2.RotateKeyResult) -> None:
        """Renew the stream when the server holds the new key: only a hello with it ends the old one."""
        if self._rotation.heard(answer):
            raise EndedError(Ended(End.RENEWED, message="the next stream speaks with the new key", opened=True))

    async def _ack(self, ack: stream_pb2.Ack) -> None:
        await self._host.acked(ack.journal_id, int(ack.sequence))
        self._ack_heard.set()

    async def _write_all(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self._write_reports()
            while not self._queue.empty():
                message = self._queue.get_nowait()
                await write(self._call, message)
                if message.WhichOneof("message") == "goodbye":
                    await self._done_writing()
                    self._goodbye_said.set()
                    await asyncio.Event().wait()  # nothing follows; the other side ends it
            lines = self._lines.take()
            if lines is not None:
                await write(self._call, lines)
                self._wake.set()

    async def _done_writing(self) -> None:
        """Say that nothing follows.

        Raises:
            EndedError: the call is over already.
        """
        try:
            await self._call.done_writing()
        except BROKEN_CALL as error:
            raise EndedError(lost(error)) from error

    async def _visit(self, poll_seconds: float) -> None:
        """Stay until nothing is left to say or to do, then leave until the next check-in."""
        await asyncio.sleep(LINGER_SECONDS)
        while self._host.busy or self._journal.acked < self._journal.last_sequence:  # noqa: ASYNC110 (many things end it)
            await asyncio.sleep(VISIT_LOOK_SECONDS)
        chance = random.random()  # noqa: S311 (spreads the fleet)
        seconds = next_check_in_seconds(self._named_check_in, poll_seconds, chance, self._host.rest_seconds)
        # The server ends the stream at the goodbye: whichever task sees that first, it was this host that left.
        self._left = Ended(End.VISITED, message="until the next check-in", retry_after_seconds=seconds, opened=True)
        reason = f"until the check-in in {seconds:.0f} s"
        self.send(stream_pb2.ConnectRequest(goodbye=stream_pb2.Goodbye(reason=reason)))
        with contextlib.suppress(asyncio.TimeoutError):
            await within(LEAVE_SECONDS, self._goodbye_said.wait())

    async def _write_reports(self) -> None:
        """Send what the journal holds and was not sent in this session."""
        while self._sent - self._journal.acked < UNACKED_REPORTS:
            entries = self._journal.unacked(self._sent, BATCH_REPORTS)
            if not entries:
                return
            await write(self._call, convert.report_batch(self._journal.journal_id, entries))
            self._sent = entries[-1].sequence

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._interval * random.uniform(0.8, 1.0))  # noqa: S311 (spreads the fleet)
            beat = stream_pb2.Heartbeat(healthy=self._host.healthy, anchors_serial=self._line.anchors_serial)
            self.send(stream_pb2.ConnectRequest(heartbeat=beat))
            wish = await self._rotation.wish(agreed=self._agreed, idle=self._host.idle)
            if wish is not None:
                self.send(stream_pb2.ConnectRequest(rotate_key=wish))


_ABOUT_PRODUCTS: dict[str, Callable[[int, stream_pb2.ConnectResponse], events.Event]] = {
    "assignment": lambda _session, said: convert.assigned(said.assignment),
    "go": lambda session, said: events.GoGiven(session, said.go.generation, said.go.ask),
    "no_go": lambda session, said: convert.refused_go(session, said.no_go),
    "ask_again": lambda session, said: events.AskAgain(session, said.ask_again.generation),
    "promote": lambda _session, said: events.Promoted(
        said.promote.generation, said.promote.sha256.hex(), said.promote.local_number
    ),
}


def _end_of(done: set[asyncio.Task[None]]) -> Ended:
    """Return how the first task that ended did so."""
    for task in done:
        error = None if task.cancelled() else task.exception()
        if isinstance(error, EndedError):
            ended = error.ended
            return Ended(ended.kind, ended.code, ended.message, ended.retry_after_seconds, opened=True)
        if error is not None:
            raise error
    return Ended(End.LOST, message="this host gave the session up", opened=True)
