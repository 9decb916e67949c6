"""A server in this process: the real engine on a store, with a registry of sessions that are lists of messages.

Of the gateway there is what the engine relies on: a hello's transaction (the epoch, the journal, the welcome), a
session that enters the registry with its commit, reports and asks under their session's key, the word that a session
is over. There are no ratchets here: they decide who speaks, and that is tested elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sa

from fleetroll_server.domain.heard import Batch
from fleetroll_server.engine import engine as engines
from fleetroll_server.engine.engine import Engine
from fleetroll_server.gateway.journals import held_sequence
from fleetroll_server.gateway.rules import Greeted
from fleetroll_server.gateway.session import SessionKey
from fleetroll_server.gateway.suspensions import suspensions_of
from fleetroll_server.services import Born, Services
from fleetroll_server.store.tables import AgentRow, ServerRow, table_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fleetroll.v1 import agent_stream_pb2 as stream_pb2
    from fleetroll_common.values.clock import Clock
    from fleetroll_common.values.ids import IdSource
    from fleetroll_server.domain.heard import Ask, HostSaid, ReportLine
    from fleetroll_server.store.tx import Tx

FLEET = "default"
CHECK_IN_SECONDS = 600.0
ROW, LEASE = table_of(AgentRow), table_of(ServerRow)


@dataclass
class Line:
    """One session: ``inbox`` is what the host has not read yet. ``over``: the server knows that it has ended."""

    key: SessionKey
    server: Server
    inbox: list[stream_pb2.ConnectResponse] = field(default_factory=list)
    over: bool = False


@dataclass
class Welcome:
    """What a host learns with its session: how much of its journal is held, which switches are pressed."""

    line: Line
    held: int
    suspended: set[str]


class Lines:
    """The open sessions of one server; what is queued is lost with them."""

    def __init__(self) -> None:
        """Begin with none."""
        self.open: dict[str, Line] = {}

    def send(self, agent_id: str, message: stream_pb2.ConnectResponse) -> bool:
        """Queue a message."""
        line = self.open.get(agent_id)
        if line is not None:
            line.inbox.append(message)
        return line is not None

    def broadcast(self, message: stream_pb2.ConnectResponse, wanted: Callable[[Any], bool]) -> int:
        """Queue one message for each wanted session."""
        return sum(self.send(name, message) for name, line in list(self.open.items()) if wanted(line))

    def is_online(self, agent_id: str) -> bool:
        """Tell whether there is a session."""
        return agent_id in self.open

    def close(self, agent_id: str, _last: object = None) -> bool:
        """End a session; the host finds out by itself."""
        line = self.open.get(agent_id)
        if line is not None:
            line.inbox.clear()
        return line is not None


class Server:
    """One process of the server."""

    def __init__(self, store: Any, clock: Clock, ids: IdSource) -> None:
        """Come up; :meth:`start` begins the work."""
        self.lines, self.clock = Lines(), clock
        nothing: Any = None
        self.services = Services(
            store=store,
            clock=clock,
            ids=ids,
            settings=cast("Any", SimpleNamespace(check_in_seconds=CHECK_IN_SECONDS)),
            folder=nothing,
            secrets=nothing,
            server_key=bytes(32),
            server_id=ids.new("server"),
            born=Born("inc.1"),
            demo=True,
            leaf=nothing,
            addresses=(),
            catalogue=nothing,
            sessions=cast("Any", self.lines),
        )
        self.engine = Engine(self.services)

    @property
    def store(self) -> Any:
        """Return the store."""
        return self.services.store

    async def start(self) -> None:
        """Say that it lives, and take over what an earlier server has left."""
        now = self.clock.now()
        values = {"id": self.services.server_id, "started_at": now, "lease_until": now + timedelta(days=9999)}
        await self.store.writer.command(lambda tx: tx.execute(sa.insert(LEASE).values(**values)))
        await self.engine.tick()
        while await self.engine._take_over(alone=self.store.is_sqlite):
            pass

    async def end(self, *, clean: bool) -> None:
        """Be gone; with a word, or without. Its lease runs out at once."""
        if clean:
            self.services.door.shut()
            await self.engine.drain()
        gone = sa.delete(LEASE).where(LEASE.c.id == self.services.server_id)
        await self.store.writer.command(lambda tx: tx.execute(gone))

    async def sweep(self) -> None:
        """Do what time brings about, then what was too much for one transaction."""
        await self.engine.sweep()
        await self.carry_on()

    async def carry_on(self) -> None:
        """Work off what the engine has put off."""
        again = self.services.look_again
        while again._due:
            rollout_id, fleet_id = await again.next()
            await self.store.writer.report(
                lambda tx, one=rollout_id, fleet=fleet_id: engines._next_hosts(self.services, one, fleet, tx)
            )

    async def greet(self, agent_id: str, said: HostSaid, *, cloned: bool) -> Welcome | None:
        """Accept a hello; nothing for a host that is revoked. A cloned one is quarantined by it."""
        mine = (ROW.c.id == agent_id, ROW.c.fleet_id == FLEET)

        async def job(tx: Tx) -> Welcome | None:
            row = (await tx.execute(sa.select(ROW).where(*mine).with_for_update())).mappings().one()
            if row["revoked"]:
                return None
            epoch, quarantined = row["epoch"] + 1, row["quarantined"] or cloned
            await tx.execute(sa.update(ROW).where(*mine).values(epoch=epoch, quarantined=quarantined))
            held = await held_sequence(tx, row, said.journal_id)
            pressed = {one.scope for one in await suspensions_of(tx, FLEET)}
            line = Line(SessionKey(agent_id, FLEET, epoch), self)
            greeted = Greeted(line.key, quarantined=quarantined, host=said, held=held)
            line.inbox.extend(await self.engine.greet(tx, greeted))
            tx.after_commit(lambda: self.lines.open.__setitem__(agent_id, line))
            return Welcome(line, held, pressed)

        return cast("Welcome | None", await self.store.writer.command(job))

    async def left(self, line: Line, *, goodbye: bool) -> None:
        """See that a session is over."""
        if self.lines.open.get(line.key.agent_id) is line:
            del self.lines.open[line.key.agent_id]
        line.over = True

        async def job(tx: Tx) -> None:
            if not self.lines.is_online(line.key.agent_id):
                await self.engine.left(tx, line.key, heard_at=None, goodbye=goodbye)

        await self.store.writer.report(job)

    async def reports(self, line: Line, journal_id: str, lines: Sequence[ReportLine]) -> stream_pb2.ConnectResponse:
        """Take reports."""
        return await self.engine.reports(line.key, Batch(journal_id, tuple(lines)))

    async def ask(self, line: Line, ask: Ask) -> stream_pb2.ConnectResponse:
        """Decide about Go; the answer is queued behind what was pushed with it."""
        answer = await self.engine.request_go(line.key, ask)
        line.inbox.append(answer)
        return answer
