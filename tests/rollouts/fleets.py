"""A fleet around the real engine: hosts, their lines, the servers, the clocks.

Each act returns whether it was possible. Hosts go by a clock of their own, which no jump of the servers' touches. Lines
break silently; what was on its way in one that broke may still arrive, late.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fleetroll_common.values.codes import Code
from fleetroll_common.values.ids import SequentialIds
from fleetroll_server.domain.states import AttemptState
from fleetroll_server.store.tables import SpellRow, table_of
from tests.rollouts import pictures
from tests.rollouts.agents import AGENT, APP, ON_THE_WAY, Host, Job, Product, asked, job_may_begin
from tests.rollouts.first_rows import write_first_rows
from tests.rollouts.ground import Store
from tests.rollouts.judge import OUT, Judge
from tests.rollouts.servers import Line, Server

if TYPE_CHECKING:
    from fleetroll_common.values.clock import FakeClock
    from fleetroll_server.domain.heard import Ask as Asked
    from fleetroll_server.domain.heard import ReportLine

A = AttemptState
BEAT_SECONDS = 5.0
SEEN_THROUGH = 120.0
"""Longer times pass as if every tick had been written."""
SPELL = table_of(SpellRow)


@dataclass
class Stray:
    """Something of a line that broke, still on its way."""

    line: Line
    ask: Asked | None = None
    journal_id: str = ""
    reports: tuple[ReportLine, ...] = ()


class Fleet:
    """Servers on one store, and their hosts."""

    def __init__(self, seed: int, clock: FakeClock, *stores: Any) -> None:
        """Prepare a fleet that only ``seed`` decides about, of as many servers as stores; :meth:`begin` begins."""
        self.chance = random.Random(seed)
        self.clock, self.ids, self.stores = clock, SequentialIds(str(seed)), stores
        self.judge = Judge()
        self.hosts: dict[str, Host] = {}
        self.lines: dict[str, Line] = {}
        self.strays: list[Stray] = []
        self.servers = [Server(store, self.clock, self.ids) for store in stores]
        self.up = True
        self.wrong: AssertionError | None = None

    async def begin(self) -> None:
        """Write the first rows, let the server come up, and most hosts with it."""
        chance = self.chance
        has_app = chance.random() < 0.3
        for number in range(1, chance.randint(1, 6) + 1):
            name = f"host-{number}"
            products = {AGENT: Product(AGENT)} | ({APP: Product(APP)} if has_app else {})
            check_in = 600.0 if chance.random() < 0.12 else 0.0
            self.hosts[name] = Host(name, chance.choice(("x86_64", "aarch64")), products, check_in)
        await self.stores[0].writer.command(lambda tx: write_first_rows(tx, self.hosts.values(), chance))
        if isinstance(self.stores[0], Store):
            self.stores[0].on_commit = self._look
        for server in self.servers:
            await server.start()
        await self.observe()
        sleepers = 0.6 if chance.random() < 0.35 else 0.0
        for host in self.hosts.values():
            host.asleep = host.name != "host-1" and chance.random() < sleepers
            host.alive = not host.asleep and chance.random() < 0.8
            if chance.random() < 0.85:
                await self.connect(host)

    def _look(self) -> None:
        """Judge a commit; the engine may take what that says for a fault of its own, so the first is kept."""
        try:
            self.judge.look(pictures.read(self.stores[0].raw), self.clock.now())
        except AssertionError as error:
            self.wrong = self.wrong or error
            raise

    async def observe(self) -> None:
        """Judge what has become of both sides; a real store is read here, not at every commit."""
        if not isinstance(self.stores[0], Store):
            async with self.stores[0].read() as connection:
                now = await pictures.read_through(connection)
            self.judge.look(now, self.clock.now())
        if self.judge.last is not None:
            self.check_truth(self.judge.last)

    @property
    def server(self) -> Server:
        """Return a server, any where there are more."""
        return self.servers[0] if len(self.servers) == 1 else self.chance.choice(self.servers)

    @property
    def now(self) -> float:
        """Return the hosts' own clock, in seconds."""
        return self.clock.boottime()

    # Lines.

    def talks(self, host: Host) -> Line | None:
        """Return the host's line, while both ends know of it."""
        line = self.lines.get(host.name)
        return line if line is not None and not line.over and self.up and line.server in self.servers else None

    async def connect(self, host: Host, *, lose_welcome: bool = False) -> bool:
        """Say hello."""
        if not host.alive or host.revoked or host.name in self.lines or not self.up:
            return False
        server = self.server
        welcome = await server.greet(host.name, host.hello(), cloned=host.cloned)
        await server.carry_on()
        host.epoch = host.epoch if welcome is None else welcome.line.key.epoch
        if welcome is None:
            host.revoked = True
        elif not lose_welcome:
            self.lines[host.name] = welcome.line
            host.acked(welcome.held)
            host.switch(welcome.suspended)
        return True

    async def come(self, host: Host) -> bool:
        """Say hello when it is time, or there is something to say."""
        due = self.now >= host.comes_at or bool(host.journal) or any(host.jobs())
        return due and await self.connect(host)

    async def connect_in_vain(self, host: Host) -> bool:
        """Say hello, and lose the welcome."""
        return await self.connect(host, lose_welcome=True)

    async def cut(self, host: Host) -> bool:
        """The line breaks; the server does not know yet. A Go that came before is good until the next hello."""
        line = self.lines.pop(host.name, None)
        if line is None:
            return False
        if host.journal and self.chance.random() < 0.6:
            self.strays.append(Stray(line, journal_id=host.journal_id, reports=tuple(host.journal[:3])))
        if host.ask is not None:
            job = host.products[host.ask.product].job
            if job is not None and self.chance.random() < 0.6:
                self.strays.append(Stray(line, ask=asked(host, host.products[host.ask.product], job, host.ask)))
        return True

    async def notice(self, host: Host) -> bool:
        """The server sees that a session is over."""
        found = [line for server in self.servers if (line := server.lines.open.get(host.name)) is not None]
        over = [line for line in found if self.lines.get(host.name) is not line]
        if not over or not self.up:
            return False
        await over[0].server.left(over[0], goodbye=False)
        await over[0].server.carry_on()
        return True

    async def goodbye(self, host: Host) -> bool:
        """Leave on purpose."""
        line = self.talks(host)
        if line is None:
            return False
        self.lines.pop(host.name)
        host.comes_at = self.now + host.check_in
        await line.server.left(line, goodbye=True)
        await line.server.carry_on()
        return True

    async def arrive_late(self) -> bool:
        """Let something of an older line arrive: no server listens to it."""
        while self.strays:
            stray = self.strays.pop(self.chance.randrange(len(self.strays)))
            if not self.up or stray.line.server not in self.servers:
                continue
            server, line = stray.line.server, stray.line
            if stray.ask is not None:
                answer = await server.ask(line, stray.ask)
            else:
                answer = await server.reports(line, stray.journal_id, stray.reports)
            await server.carry_on()
            older = line.key.epoch < self.hosts[line.key.agent_id].epoch
            assert answer.HasField("refusal") or not older, f"a word of an older session is answered: {answer}"
            self.judge.counts["late messages"] += 1
            return True
        return False

    async def flush(self, host: Host, *, lose_ack: bool = False) -> bool:
        """Send the journal; without the ack all of it stays, and is sent again."""
        line = self.talks(host)
        if line is None or not host.journal:
            return False
        answer = await line.server.reports(line, host.journal_id, host.journal[:100])
        if answer.HasField("refusal"):
            await self.cut(host)
        elif not lose_ack:
            host.acked(answer.ack.sequence)
        await line.server.carry_on()
        return True

    async def lose_ack(self, host: Host) -> bool:
        """Send the journal, and lose the ack."""
        return await self.flush(host, lose_ack=True)

    async def read(self, host: Host) -> bool:
        """Take the next message."""
        line = self.talks(host)
        if line is None or not line.inbox:
            return False
        message = line.inbox.pop(0)
        kind = message.WhichOneof("message")
        body = getattr(message, str(kind))
        if kind == "assignment":
            host.assigned(host.products[body.product], body)
        elif kind == "suspension":
            host.switch(host.suspended | {body.scope} if body.active else host.suspended - {body.scope})
        elif kind == "refusal":
            await self.cut(host)
        elif kind == "no_go":
            host.refused_go(body, self.now)
        elif kind == "go":
            host.given_go(body)
        elif kind == "ask_again":
            host.ask_again(body)
        elif kind == "promote":
            host.promote(body)
        return True

    # Judgement of both sides.

    def check_truth(self, now: pictures.Picture) -> None:
        """Whoever is past Go, or may go there, is held for it by the server."""
        places = {(p.agent_id, p.product, p.generation): p for p in now.places.values()}
        for host in self.hosts.values():
            for product, job in host.jobs():
                if job.local or not (job.stage in ON_THE_WAY or self._may_go(host, product, job)):
                    continue
                place = places.get((host.name, product.name, job.generation))
                told = place is not None and place.state in OUT | {"lost"}
                assert told, f"{host.name} is {job.stage} with {product.name} {job.generation}, believed {place}"

    def _may_go(self, host: Host, product: Product, job: Job) -> bool:
        ask = host.ask
        return ask is not None and ask.product == product.name and ask.go and job_may_begin(product, job, ask, self.now)

    # Hosts come and go.

    async def die(self, host: Host) -> bool:
        """The host vanishes."""
        if not host.alive:
            return False
        host.alive, host.ask = False, None
        await self.cut(host)
        return True

    async def revive(self, host: Host, *, at_last: bool = False) -> bool:
        """It is there again, with any truth: what went on is back, kept, or stopped in the middle."""
        now = self.judge.last
        over = now is not None and any(rollout.state == "completed" for rollout in now.rollouts.values())
        if host.alive or (host.asleep and not over and not at_last):
            return False
        host.alive, host.asleep = True, False
        for product in host.products.values():
            job = product.job
            if job is None or job.stage not in ON_THE_WAY:
                continue
            if job.stage is A.APPLYING:
                host.end(product, A.FAILED, Code.STEP_FAILED, unproven=True)
            elif (job.promoted or job.stage is A.SOAKING) and self.chance.random() < 0.6:
                host.end(product, A.SUCCEEDED)
            elif job.stage is A.TRIAL and not job.promoted and self.chance.random() < 0.5:
                host.end(product, A.ROLLED_BACK, Code.LOST_CONTACT, unproven=True)
            else:
                host.end(product, A.ROLLED_BACK, Code.HEALTH_FAILED)
        return True

    async def forget(self, host: Host) -> bool:
        """The host gets a new disk, under its old name: it knows of nothing."""
        if host.asleep:
            return False
        await self.cut(host)
        host.alive, host.life, host.sequence, host.asks, host.ask = True, host.life + 1, 0, 0, None
        host.journal, host.suspended = [], set()
        host.products = {name: Product(name) for name in host.products}
        return True

    async def clone(self, host: Host) -> bool:
        """The identity is in doubt, from the next hello on."""
        if host.cloned:
            return False
        host.cloned = True
        await self.cut(host)
        return True

    # Servers and time.

    async def outage(self, seconds: float, *, clean: bool) -> bool:
        """The server ends, and another one comes up on the same store; hosts do without."""
        await self.stop(clean=clean)
        self.pass_on_hosts(seconds)
        await self.come_up()
        return True

    async def stop(self, *, clean: bool) -> None:
        """End the server; with a word, or without."""
        for server in self.servers:
            await server.end(clean=clean)
        self.up = False
        self.strays.clear()
        for host in self.hosts.values():
            await self.cut(host)
        self.strays.clear()

    async def come_up(self) -> None:
        """Start a new process."""
        self.servers, self.up = [Server(store, self.clock, self.ids) for store in self.stores], True
        for server in self.servers:
            await server.start()
            await server.carry_on()

    async def pass_time(self, seconds: float) -> bool:
        """Let time pass with the server there all along, then let it look."""
        left = seconds
        if seconds > SEEN_THROUGH:
            self.pass_on_hosts(seconds)
            now = self.clock.now()
            change = sa.update(SPELL).where(SPELL.c.over.is_(False)).values(ticked_at=now)
            await self.stores[0].writer.command(lambda tx: tx.execute(change))
            self._beat()
            left = 0.0
        while left > 0:
            self.pass_on_hosts(min(left, BEAT_SECONDS))
            left -= BEAT_SECONDS
            self._beat()
        self.judge.up_seconds += seconds
        await self._sweep()
        return True

    async def jump(self, seconds: float) -> bool:
        """Set the servers' clock, forward or back."""
        self.clock.jump(seconds)
        self.judge.set_back |= seconds < 0
        await self._sweep()
        return True

    def _beat(self) -> None:
        for server in self.servers:
            server.services.door.beat(self.clock.now())

    async def _sweep(self) -> None:
        """Let every server do what time brings about: two at the same moment."""
        if len(self.servers) == 1:
            await self.servers[0].sweep()
        else:
            await asyncio.gather(*[server.sweep() for server in self.servers])

    def pass_on_hosts(self, seconds: float) -> None:
        """Let hosts act on their own clocks."""
        self.clock.advance(seconds)
        self.clock._now += timedelta(microseconds=self.chance.randrange(1, 1000))  # no two instants are the same
        for host in self.hosts.values():
            for product in host.products.values():
                job = product.job
                over = job is not None and job.lease_until is not None and self.now >= job.lease_until
                if host.alive and job is not None and job.stage is A.TRIAL and over and not job.promoted:
                    host.end(product, A.ROLLED_BACK, Code.LOST_CONTACT, unproven=True)
