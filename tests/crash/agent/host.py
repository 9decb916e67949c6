"""One host in virtual time whose agent updates itself: launcher and agent, each with its own code, in one loop.

Real: the launcher's core, executor, record and files; the agent's daemon with desk, keeper, rules, record, journal, job
lock, hands, update, slots; what goes through the pipe, as bytes. Replaced: processes, the self-test, the server, the
signed metadata, the bytes of the artefact, and time. A service manager starts a launcher that died a second later.
"""

from __future__ import annotations

import shutil
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from fleetroll_agent.jobs import events
from fleetroll_agent.jobs.keeper import ProductFile
from fleetroll_agent.launcher.install import first_record
from fleetroll_agent.launcher.record import decode
from fleetroll_agent.slots import SlotStore
from fleetroll_common.values.platform import Platform
from tests.crash.agent.launching import PYTHON, Launcher
from tests.crash.agent.living import Life
from tests.crash.agent.processes import Process, SharedLoop, SharedPoints, running
from tests.crash.agent.releases import release
from tests.crash.agent.upstream import KeepingServer
from tests.crash.agent.watching import Watch
from tests.crash.products.faults import AGENT, DISK_SECONDS, LAUNCHER
from tests.crash.products.points import Crash, Moment
from tests.crash.products.promises import BrokenPromiseError, final, require
from tests.crash.products.releases import NEW, OLD
from tests.crash.products.virtual import VirtualClock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fleetroll_agent.jobs.values import ProductRecord
    from fleetroll_agent.launcher.values import Record
    from tests.crash.agent.scenarios import Scenario

MANAGER_SECONDS = 1.0
"""From a launcher's death to the next one's start."""
LOCK_SECONDS = 10.0
"""How long a launcher waits for the agent that an earlier one left behind."""
GENERATION, AGAIN = 7, 9
SOAK_SECONDS, LEASE_SECONDS = 4.0, 10.0
WRONG_SECONDS = 120.0
QUIET_SECONDS = 3.0
"""Nothing happens for so long but beats: it is over."""
LONGEST_SECONDS = 3600.0
MONOTONIC = 1000.0


class Host:
    """One run of a scenario, with at most one thing that goes wrong at one point."""

    def __init__(
        self, scenario: Scenario, folder: Path, at: int = 0, fault: Callable[[Host], None] | None = None
    ) -> None:
        """Make the host in ``folder``, whose content is replaced; ``fault`` strikes before point number ``at``."""
        self.scenario = scenario
        self.state = folder / "state"
        self.wrong_seconds = WRONG_SECONDS
        self.loop = SharedLoop(self._is_over)
        self.clock = VirtualClock(self.loop)
        self.server = KeepingServer(self.loop)
        enrolled = SimpleNamespace(agent_id="agent-1", labels={}, addresses=(), ca_pem=b"")
        self.identity: Any = SimpleNamespace(enrolment=enrolled, anchors=None)
        self.points = SharedPoints(0, self._strike, lambda _kind: None, self.moment)
        self.watch = Watch(self.state, self.server)
        self._at, self._fault = at, fault
        self.lives = 0
        self.struck: ProductRecord | None = None
        """The agent's record as it was when the fault struck; None = it did not."""
        self.booting: Record | None = None
        """The launcher's record as it was then."""
        self.kept = ""
        """The digest of what was kept then, for all that somebody knew."""
        self._refused_until = 0.0
        self._quiet_since = 0.0
        self.life: Life | None = None
        self.launcher: Launcher
        self._manager = Process(self.loop, "manager")
        shutil.rmtree(folder, ignore_errors=True)
        self.state.mkdir(parents=True)

    def install(self) -> None:
        """Put a host on disk that was just enrolled with the old version."""
        self.points.paused = True
        slot = release(OLD).install(SlotStore(self.state))
        abi = Platform.current().abi
        first_record(str(self.state), slot.path.name, OLD, slot.sha256, PYTHON, abi)
        self.server.wants = self.assigned(GENERATION, NEW)
        self.points = SharedPoints(self._at, self._strike, self._look, self.moment)
        self.points.processes = self._processes
        self.points.done = self.watch.done

    def assigned(self, generation: int, version: str, *, retry_bad: bool = False) -> events.Assigned:
        return events.Assigned(generation, version, SOAK_SECONDS, LEASE_SECONDS, retry_bad=retry_bad)

    def run(self) -> None:
        """Start the service, and let everything happen until all is quiet."""
        self._manager.soon(self._start_launcher)
        self._go_on()

    def again(self) -> None:
        """Let the server want the version once more, with a person's consent, and run until all is quiet."""
        self.server.wants = self.assigned(AGAIN, NEW, retry_bad=True)
        self.server.push(self.server.wants)
        self._go_on()

    def wish(self, generation: int, version: str) -> None:
        """Let the server want something else."""
        self.server.wants = self.assigned(generation, version)
        self.server.push(self.server.wants)

    def spawn(self, slot: Path) -> Life:
        """Start an agent."""
        record = self.boot_record()
        require(self.life is None or self.life.process.dead, "a second agent is started beside one that lives")
        self.watch.started(slot.name, record)
        self.lives += 1
        self.life = Life(self, slot)
        self.life.process.start(self.life.run())
        return self.life

    def end_agent(self, life: Life, how: str, *, refuses: bool = False) -> None:
        """Let an agent be gone, however it ended; its launcher sees it behind its last words."""
        if life.process.dead:
            return
        life.process.end()
        life.lock.release()
        self.server.left(life.process)
        launcher = self.launcher
        launcher.process.soon(lambda: launcher.bury(life, how, refuses=refuses))

    def kill(self, roles: frozenset[str]) -> None:
        """Kill processes at this very moment; the one that runs now does not come back from here."""
        if LAUNCHER in roles:
            self.launcher.process.end()
            if self.life is not None and not self.life.process.dead:
                self.life.launcher_gone()
            self._manager.later(self.loop.at + MANAGER_SECONDS, self._start_launcher)
        if AGENT in roles and self.life is not None:
            self.end_agent(self.life, "signal SIGKILL")
        if running().dead:
            raise Crash

    def break_with(self, what: str) -> None:
        """End the run: a promise is broken."""
        self.loop.broken = BrokenPromiseError(what)

    def close(self) -> None:
        """End what still waits."""
        for process in self._processes():
            process.end()
        self.loop.end_all(set())
        if self.life is not None:
            self.life.lock.release()
        self.loop.close()

    def moment(self) -> Moment:
        """Return the instant at hand."""
        return Moment(self.loop.at, self.loop.turns, self.loop.asked, self.clock.looks)

    def instant(self, monotonic: float) -> float:
        """Return when the monotonic clock shows so much."""
        return monotonic - MONOTONIC

    def record(self) -> ProductRecord:
        """Return the agent's record as it lies on disk."""
        self.points.paused = True
        try:
            return ProductFile(self.state).read()
        finally:
            self.points.paused = False

    def boot_record(self) -> Record:
        """Return the launcher's record as it lies on disk."""
        return decode((self.state / "boot.json").read_bytes())

    def facts(self) -> tuple[object, ...]:
        """Return what a run that begins now could depend on."""
        record = self.boot_record()
        return record.current.version, record.last, record.bad, record.unproven, self.watch.starts

    def _processes(self) -> list[Process]:
        life = [] if self.life is None else [self.life.process]
        return [self.launcher.process, *life]

    def _start_launcher(self, waited: float = 0.0) -> None:
        """Start the service: it waits for the lock that an agent of an earlier launcher still has."""
        if self.life is not None and not self.life.process.dead:
            if waited >= LOCK_SECONDS:
                self.break_with("an agent does not end without its launcher")
            self._manager.later(self.loop.at + 0.05, lambda: self._start_launcher(waited + 0.05))
            return
        self.launcher = Launcher(self)
        self.launcher.process.soon(self.launcher.begin)

    def _go_on(self) -> None:
        self._quiet_since = self.loop.at
        try:
            self.loop.run_forever()
        finally:
            self.loop.broken = None

    def _strike(self) -> None:
        self.struck, self.booting, self.kept = self.record(), self.boot_record(), self.watch.kept
        willing = self.points.refusal
        if self._fault is not None:
            self._fault(self)
        if self.points.refusal is not willing:
            self._refused_until = self.loop.at + DISK_SECONDS

    def _look(self, _kind: str) -> None:
        try:
            self.watch.look()
        except BrokenPromiseError as error:
            self.loop.broken = error
            raise

    def _is_over(self) -> bool:
        """Tell whether nothing will happen any more."""
        if self.loop.at > LONGEST_SECONDS:
            raise AssertionError(f"not quiet after {self.loop.at:.0f} s")
        if not self._is_quiet():
            self._quiet_since = self.loop.at
        return self.loop.at >= self._quiet_since + QUIET_SECONDS

    def _is_quiet(self) -> bool:
        server, life = self.server, self.life
        if life is None or life.process.dead or self.launcher.process.dead or life.journal is None:
            return False
        if self.clock.wrong_by or not server.reachable or server.silent or server.holder is not life.process:
            return False
        if self.loop.at < self._refused_until:
            return False
        state = self.launcher.state
        if state.record.trial is not None or state.rewrite_at is not None or server.wants is None:
            return False
        known = life.journal.acked == life.journal.last_sequence == server.held
        ended = {report.generation for report in final(server.told)}
        return known and server.wants.generation in ended
