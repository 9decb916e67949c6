"""The server that keeps new agents, and the agent's link to it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fleetroll_agent.fetch.values import SourceFailed
from fleetroll_agent.jobs import events
from fleetroll_agent.jobs.values import Said
from tests.crash.agent.living import life_at_hand
from tests.crash.agent.processes import running
from tests.crash.agent.scenarios import AGENT, Bad
from tests.crash.products.promises import require
from tests.crash.products.upstream import Server, Wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from fleetroll_agent.daemon import Daemon
    from fleetroll_agent.jobs.journal import Journal
    from tests.crash.agent.living import Life
    from tests.crash.agent.processes import Process
    from tests.crash.products.virtual import VirtualClock

SOON_SECONDS = 0.001
"""Before the server's next word."""


@dataclass
class KeepingServer(Server):
    """A server that promotes whatever is on trial in a session of its own."""

    holder: Process | None = None
    """Who holds the open session."""
    promoted: set[tuple[int, str]] = field(default_factory=set)
    """Generations and digests that an agent heard of."""

    def greet(self, journal_id: str) -> None:
        process = running()
        others = self.holder is not None and self.holder is not process and not self.holder.dead
        require(not others, "two agents hold a session at once")
        self.holder = process
        super().greet(journal_id)

    def left(self, process: Process) -> None:
        """Take note that the session of ``process`` has ended."""
        if self.holder is process:
            self.holder = None
            self.close = lambda: None
            self.push = lambda _assigned: None


class _Told:
    """Brings the session's events to the daemon, as the real link does."""

    def __init__(self, agent: Daemon, heard: Callable[[events.Promoted], None]) -> None:
        self._agent = agent
        self._heard = heard

    def post(self, product: str, event: events.Event) -> None:
        self._agent._desk.post(product, event)

    async def told(self, product: str | None, event: events.Event) -> None:
        if isinstance(event, events.Promoted):
            self._heard(event)
        await self._agent.tell(event, product)


class Link(Wire):
    """The daemon's way to the server."""

    product = AGENT

    def __init__(
        self,
        _store: Life,
        _rotation: Any,
        agent: Daemon,
        journal: Journal,
        _settings: Any,
        clock: VirtualClock,
        _whereabouts: Any,
    ) -> None:
        self.address, self.noticed = "", None  # the server here names no metadata
        self._agent = agent
        self.life = life_at_hand(agent._parts)
        self._keeping = self.life.host.server
        self._facts: Any = None
        super().__init__(self._keeping, _Told(agent, self._promoted), journal, self.life.host.points, clock)

    async def run(self) -> None:
        if self.life.bad is Bad.LOST:
            await asyncio.Event().wait()
        await super().run()

    def send(self, session: int, message: Any) -> bool:
        asked = message.request_go
        self.request_go(session, asked.generation, asked.ask)
        return session == self.session

    def repository(self, session: int) -> Any:
        if session != self.session:
            raise SourceFailed("the session is over")
        return session

    async def leave(self, _reason: str) -> None:
        session = self.session
        if session:
            self._points.reach("send", "goodbye")
            self._incoming.put_nowait(("close", None))
            await self.over(session, 1.0)

    def renew(self, _reason: str) -> None: ...

    def come(self) -> None: ...

    async def _say_hello(self) -> None:
        self._facts = await self._agent.before_hello(None)

    def _welcomed(self) -> None:
        self._agent.welcomed()
        if self.life.bad is Bad.HELLO:
            self.life.after(SOON_SECONDS, self.life.die)

    def _opened(self) -> None:
        """Let the server keep what is on trial: its hello says so."""
        (own,) = self._facts.products
        on_trial = [known for known in own.attempts if known.said in (Said.APPLYING, Said.TRIAL)]
        if not own.on_trial or not on_trial:
            return
        self._answer("promote", events.Promoted(on_trial[-1].generation, own.sha256))

    def _promoted(self, word: events.Promoted) -> None:
        """Take note that the server's word has come."""
        self._keeping.promoted.add((word.generation, word.sha256))

    def _closed(self) -> None:
        self._keeping.left(self.life.process)
