"""One host in virtual time: the agent's own code from the desk to the disk, with what it cannot have here replaced.

Real: desk, keeper, rules, record, journal, job lock, hands, jobs, staging, slots, switch, way back. Replaced: processes
and what they do (``world``), the server (``upstream``), the signed metadata, the bytes of the artefact, and time.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fleetroll_agent.jobs import events
from fleetroll_agent.jobs.artefacts import Ways
from fleetroll_agent.jobs.desk import Desk
from fleetroll_agent.jobs.journal import Journal
from fleetroll_agent.jobs.keeper import ProductFile
from fleetroll_agent.jobs.lock import JobLock
from fleetroll_agent.jobs.values import ByHand, ProductRecord
from fleetroll_agent.jobs.work import Installed
from fleetroll_agent.products.assembling import Shared, seat_of
from fleetroll_agent.slots import SlotStore
from fleetroll_common.values.errors import AgentError
from fleetroll_common.values.ids import SequentialIds
from tests.crash.products.points import Crash, Moment, Points
from tests.crash.products.promises import BrokenPromiseError, require
from tests.crash.products.releases import NEW, NEXT, OLD, PRODUCT, Release, Trust
from tests.crash.products.upstream import Server, Wire
from tests.crash.products.virtual import VirtualClock, VirtualLoop
from tests.crash.products.world import Database, World
from tests.faults.jobs import boot_record

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fleetroll_agent.jobs.effects import AskGo
    from fleetroll_agent.jobs.state import State
    from fleetroll_agent.jobs.values import Attempt
    from tests.crash.products.scenarios import Scenario

RESTART_SECONDS = 1.0
"""From the agent's death to the next one's start."""
GENERATION = 7
SOAK_SECONDS = 4.0
WRONG_SECONDS = 3600.0
"""How long a wrong clock is wrong."""
_PROGRAMS = frozenset(Release(version).program for version in (OLD, NEW, NEXT))
_SEE_NOTHING_NEW = frozenset({"write", "fsync_file", "fsync_dir", "write_file", "create", "truncate"})
"""Before these nothing can have changed that was not looked at before the call that comes ahead of them."""
ROLLBACK = events.StartedLocally(OLD, "root", ByHand.ROLLBACK, sha256=Release(OLD).sha256, reason="it leaks")


class Host:
    """One run of a scenario: a host, its server, and at most one thing that goes wrong at one point."""

    def __init__(
        self, scenario: Scenario, folder: Path, at: int = 0, fault: Callable[[Host], None] | None = None
    ) -> None:
        """Make the host in ``folder``, whose content is replaced; ``fault`` strikes before point number ``at``."""
        self.scenario = scenario
        self.state = folder / "state"
        self.wrong_seconds = WRONG_SECONDS
        self.loop = VirtualLoop()
        self.clock = VirtualClock(self.loop)
        self.server = Server(self.loop)
        self.world = World(self.state, scenario, self.loop.time)
        self._at = at
        self.points = Points(0, self._strike, lambda _kind: None, self.moment)
        self.lives = 0
        self.struck: ProductRecord | None = None
        """The record as it was when the fault struck; None = it did not."""
        self._fault = fault
        self._seen = str(scenario.link(self.state) if scenario.kind == "slots" else scenario.file(self.state))
        self._life: Life | None = None
        shutil.rmtree(folder, ignore_errors=True)
        self.state.mkdir(parents=True)

    def install(self) -> None:
        """Put on disk what an earlier update left, all of it durable."""
        scenario, record = self.scenario, ProductRecord(PRODUCT)
        if not scenario.fresh:
            slots = SlotStore(self.state, product=PRODUCT) if scenario.kind != "command" else None
            for version in (OLD, NEW) if scenario.by_hand else (OLD,):
                record = self._installed(record, version, slots)
        else:
            self.world.service = self.world.active = ""
        scenario.file(self.state).parent.mkdir()
        if scenario.kind == "file" and record.current is not None:
            scenario.file(self.state).write_bytes(Release(record.current.version).program)
        if not scenario.by_hand:
            self.server.wants = self.assigned(GENERATION, NEW)
        ProductFile(self.state, PRODUCT).write(record)
        self.points = Points(self._at, self._strike, self._look, self.moment)

    def _installed(self, record: ProductRecord, version: str, slots: SlotStore | None) -> ProductRecord:
        """Return the record with ``version`` as the current one, which is then in use."""
        release, scenario = Release(version), self.scenario
        backup = "backup-0" if version == NEW else ""
        if backup:
            self.world.backups[backup] = Database()
            self.world.database = Database(2, "orders as the new version writes them")
        if slots is not None:
            slot = release.install(slots)
            link = scenario.link(self.state)
            link.parent.mkdir(exist_ok=True)
            if scenario.kind == "slots":
                link.unlink(missing_ok=True)
                link.symlink_to(slot.path)
        self.world.active = self.world.service = version
        current = Installed(version, release.sha256, backup, migrated=bool(backup))
        return replace(record, current=current, previous=record.current)

    def assigned(self, generation: int, version: str) -> events.Assigned:
        return events.Assigned(generation, version, soak_seconds=SOAK_SECONDS, retry_bad=True)

    def run(self) -> None:
        """Live, die, live again, until nothing happens any more."""
        while True:
            self.lives += 1
            self._life = Life(self)
            try:
                self.loop.until_quiet(self._life.live())
            except (Crash, OSError, AgentError):
                # Also a disk that refuses at the start ends the process: the launcher starts the next.
                self._bury(self._life)
            else:
                return

    @property
    def life(self) -> Life:
        """The process at hand."""
        if self._life is None:
            raise AssertionError("no agent was started")
        return self._life

    def want(self, generation: int, version: str) -> None:
        """Let the server want something else, and run until all is quiet again."""
        self.wish(generation, version)
        self.loop.run_forever()

    def wish(self, generation: int, version: str) -> None:
        """Let the server want something else."""
        self.server.wants = self.assigned(generation, version)
        self.server.push(self.server.wants)

    def close(self) -> None:
        """End what still waits."""
        self.points.dead = True
        self.loop.end_all(asyncio.all_tasks(self.loop))
        if self._life is not None:
            self._life.lock.release(PRODUCT)
        self.loop.close()

    def die(self) -> None:
        """Let the agent be killed here."""
        self.points.dead = True
        self.loop.broken = Crash()
        raise self.loop.broken

    def moment(self) -> Moment:
        """Return the instant at hand."""
        return Moment(self.loop.at, self.loop.turns, self.loop.asked, self.clock.looks)

    def record(self) -> ProductRecord:
        """Return the product's record as it lies on disk."""
        self.points.paused = True
        try:
            return ProductFile(self.state, PRODUCT).read()
        finally:
            self.points.paused = False

    def facts(self) -> tuple[object, ...]:
        """Return what a run that begins now could depend on."""
        return self.world.facts()

    def _strike(self) -> None:
        self.struck = self.record()
        if self._fault is not None:
            self._fault(self)

    def _bury(self, life: Life) -> None:
        """Let everything of the dead process go; what it tried to do meanwhile has not happened."""
        self.points.dead = True
        self.loop.end_all(asyncio.all_tasks(self.loop))
        life.lock.release(PRODUCT)
        self.world.settle()
        self.world.agent_died()
        self.server.close = lambda: None
        self.server.push = lambda _assigned: None
        self.points.dead = False
        self.loop.at += RESTART_SECONDS

    def _look(self, kind: str) -> None:
        """Look at the host as a supervisor does that starts the product at this instant."""
        try:
            self._supervise(kind)
        except BrokenPromiseError as error:
            self.loop.broken = error
            raise

    def _supervise(self, kind: str) -> None:
        """Look where something may have changed since the last look."""
        if self.scenario.kind == "command" or kind in _SEE_NOTHING_NEW:
            return
        path, fresh = self._seen, self.scenario.fresh
        if self.scenario.kind == "slots":
            if not os.path.islink(path):  # noqa: PTH114 (a path object for each of a million looks costs minutes)
                require(fresh, "no version is active: the link is gone")
                return
            require(os.path.exists(f"{path}/COMPLETE"), "the active version is not complete")  # noqa: PTH110 (the same)
            path = f"{path}/run"
        try:
            with open(path, "rb", buffering=0) as program:  # noqa: PTH123 (the same)
                whole = program.read() in _PROGRAMS
        except FileNotFoundError:
            require(fresh and self.scenario.kind == "file", "no version is active: its file is gone")
            return
        require(whole, "the active version is not whole")


class Life:
    """One process of the agent."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.lock = JobLock(host.state)
        self.desk = Desk(host.clock, lambda: self.wire.reports_ready())  # noqa: PLW0108 (the wire comes later)
        self.wire: Wire
        self.journal: Journal

    async def live(self) -> None:
        """Do what the daemon does."""
        host = self.host
        self.journal = Journal(host.state / "journal", SequentialIds(f"{host.loop.at} {host.lives}"))
        self.wire = Wire(host.server, self.desk, self.journal, host.points, host.clock)
        trust: Any = Trust((Release(NEW, host.scenario.migrating), Release(NEXT, host.scenario.migrating)))
        ways = Ways(clock=host.clock)
        shared = Shared(host.state, "agent-1", trust, self.journal, self.lock, host.clock, ways, 20.0, "UTC")
        self.desk.seat(PRODUCT, seat_of(self._product(), shared, self, self))
        await self.desk.begin(boot_record())
        await asyncio.gather(self.desk.run(), self.wire.run(), self._person())

    @property
    def state(self) -> State:
        return self.desk.state(PRODUCT)

    def post(self, event: events.Event) -> None:
        self.desk.post(PRODUCT, event)

    def ask_go(self, ask: AskGo) -> None:
        self.wire.ask_go(ask)

    def trial(self) -> str:
        """Say that no agent is on trial: there is none."""
        return ""

    def must_wait(self) -> str:
        return ""

    def live_line(self, attempt: Attempt, line: str) -> None:
        pass

    def repository(self, session: int) -> Any:
        return session

    async def over(self, session: int, seconds: float) -> None:
        await self.wire.over(session, seconds)

    def _product(self) -> Any:
        scenario, state = self.host.scenario, self.host.state
        if scenario.kind != "file":
            return scenario.product
        return replace(scenario.product, path=str(scenario.file(state)))

    async def _person(self) -> None:
        """Ask for the way back, as long as nothing says that it was heard."""
        if self.host.scenario.by_hand and not self.state.record.locals:
            self.host.points.reach("receive", "a person's wish")
            await self.desk.told(PRODUCT, ROLLBACK)
