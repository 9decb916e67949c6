"""The server, as far as one host sees it: it wants something, permits it, and holds what it was told.

``Server`` lives as long as the case; it may be away, silent, or started anew. ``Wire`` is the agent's end, which does
what the real session does in its order, and dies with the agent. Every message, either way, is a point.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fleetroll_agent.jobs import events
from tests.crash.products.promises import require
from tests.crash.products.releases import PRODUCT

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from fleetroll_agent.jobs.effects import AskGo
    from fleetroll_agent.jobs.journal import Entry, Journal
    from tests.crash.products.points import Points
    from tests.crash.products.virtual import VirtualClock, VirtualLoop

    class Told(Protocol):
        """Whom the session brings its events to."""

        def post(self, product: str, event: events.Event) -> None:
            """Bring an event to the rules of ``product``; returns at once."""

        async def told(self, product: str | None, event: events.Event) -> None:
            """Bring an event to the rules and wait until it has happened."""


LATENCY_SECONDS = 0.01
RECONNECT_SECONDS = 1.0
DEAF_SECONDS = 60.0
"""After so long without a word an agent gives a session up."""
SKEW_SECONDS = 300.0


@dataclass
class Server:
    """What the server knows, and how it can be reached."""

    loop: VirtualLoop
    epoch: int = 0
    wants: events.Assigned | None = None
    held: int = 0
    journal_id: str = ""
    told: list[Entry] = field(default_factory=list)
    away_until: float = 0.0
    silent_until: float = 0.0
    asked_when_wrong: bool = False
    close: Callable[[], None] = lambda: None
    """Ends the open session at once."""
    push: Callable[[events.Assigned], None] = lambda _assigned: None
    """Says in the open session what is wanted."""

    @property
    def reachable(self) -> bool:
        return self.loop.at >= self.away_until

    @property
    def silent(self) -> bool:
        return self.loop.at < self.silent_until

    def take(self, journal_id: str, entries: list[Entry]) -> None:
        """Hold what follows on what is held."""
        require(journal_id == self.journal_id, "the journal changed within a session")
        for entry in entries:
            if entry.sequence == self.held + 1:
                self.told.append(entry)
                self.held = entry.sequence

    def greet(self, journal_id: str) -> None:
        """Open the next session."""
        if journal_id != self.journal_id:
            self.journal_id, self.held = journal_id, 0
        self.epoch += 1


class Wire:
    """The agent's sessions, one after the other."""

    product = PRODUCT
    """What the server wants something of."""

    def __init__(self, server: Server, desk: Told, journal: Journal, points: Points, clock: VirtualClock) -> None:
        self._server = server
        self._desk = desk
        self._journal = journal
        self._points = points
        self._clock = clock
        self._incoming: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        self._sent = 0
        self._wake = asyncio.Event()
        self.session = 0
        self._skewed = False

    async def run(self) -> None:
        """Hold a session until the process ends."""
        while True:
            if self._server.silent:
                await asyncio.sleep(self._server.silent_until - self._clock_at)
            elif not self._server.reachable:
                await asyncio.sleep(self._server.away_until - self._clock_at)
            else:
                await self._one()
                await asyncio.sleep(RECONNECT_SECONDS)

    @property
    def _clock_at(self) -> float:
        return self._server.loop.at

    def ask_go(self, ask: AskGo) -> None:
        """Send RequestGo."""
        self.request_go(ask.session, ask.generation, ask.ask)

    def request_go(self, session: int, generation: int, ask: int) -> None:
        """Ask, and be permitted."""
        if session != self.session:
            return
        self._points.reach("send", f"ask {ask}")
        require(not self._skewed, "it asks for Go under a wrong clock")
        self._answer("go", events.GoGiven(session, generation, ask))

    def reports_ready(self) -> None:
        self._wake.set()

    async def over(self, session: int, seconds: float) -> None:
        end = self._clock_at + seconds
        while self.session == session and self._clock_at < end:
            await asyncio.sleep(0.1)

    async def _one(self) -> None:
        server = self._server
        self._incoming = asyncio.Queue()
        server.push = self._push
        server.close = lambda: self._incoming.put_nowait(("close", None))
        self._points.reach("send", "hello")
        await self._say_hello()
        server.greet(self._journal.journal_id)
        await asyncio.sleep(LATENCY_SECONDS)
        self._points.reach("receive", "welcome")
        self._welcomed()
        self._skewed = abs(self._clock.wrong_by.total_seconds()) > SKEW_SECONDS
        self._acked(server.held)
        self._sent, self.session = server.held, server.epoch
        await self._desk.told(None, events.SessionOpened(server.epoch, frozenset(), self._skewed))
        self._opened()
        if server.wants is not None:
            self._answer("assignment", server.wants)
        self._wake.set()
        writing = asyncio.ensure_future(self._write())
        try:
            await self._read()
        finally:
            writing.cancel()
            session, self.session = self.session, 0
            self._closed()
            with contextlib.suppress(asyncio.CancelledError):
                await writing
        await self._desk.told(None, events.SessionClosed(session))

    async def _say_hello(self) -> None:
        """Say what the hello says."""
        await self._desk.told(None, events.HelloBuilt())

    def _welcomed(self) -> None:
        """Take note of a Welcome."""

    def _opened(self) -> None:
        """Take note that the server may say something."""

    def _closed(self) -> None:
        """Take note that the session is over."""

    def _push(self, assigned: events.Assigned) -> None:
        """Let the server say what it wants, in an open session."""
        if self.session:
            self._answer("assignment", assigned)

    def _answer(self, kind: str, word: Any) -> None:
        if not self._server.silent:
            self._server.loop.call_later(LATENCY_SECONDS, self._incoming.put_nowait, (kind, word))

    async def _read(self) -> None:
        while True:
            kind, word = await self._incoming.get()
            if kind == "close":
                return
            self._points.reach("receive", kind)
            if kind == "ack":
                self._acked(word)
                self._wake.set()
            else:
                await self._desk.told(self.product, word)

    def _acked(self, sequence: int) -> None:
        for product, number in self._journal.ack(self._server.journal_id, sequence).items():
            self._desk.post(product, events.Acked(number))

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            entries = self._journal.unacked(self._sent, 100)
            if not entries:
                continue
            self._points.reach("send", f"reports to {entries[-1].sequence}")
            self._sent = entries[-1].sequence
            if self._server.silent:
                continue
            self._server.take(self._journal.journal_id, entries)
            self._answer("ack", self._server.held)
