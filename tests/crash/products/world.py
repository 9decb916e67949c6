"""What lives on the host beside the agent: the product's service, its database, and the processes of commands.

None of it dies with the agent. A command does half of its work when it begins and the rest when it ends, a second
later: killed in between it leaves the half. The promises that are about commands are judged here, as they are broken.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from fleetroll_agent.jobs.work import Child
from tests.crash.products.promises import require
from tests.crash.products.releases import ENTRY, NEW, OLD, PRODUCT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.crash.products.scenarios import Scenario

COMMAND_SECONDS = 1.0
HALF = -1
"""A schema that nobody can use."""


@dataclass(frozen=True)
class Database:
    """The product's data."""

    schema: int = 1
    orders: str = "orders of old"


@dataclass
class Process:
    """One command: held behind its gate, at work, or over."""

    pid: int
    hook: str
    env: Mapping[str, str]
    boot: str
    ends_at: float = 0.0
    state: str = "held"
    exit_code: int = 0

    @property
    def step(self) -> str:
        return self.env["FLEETROLL_STEP"]

    @property
    def child(self) -> Child:
        return Child(self.pid, self.pid * 10, self.boot)


@dataclass
class World:
    """One host without its agent."""

    state: Path
    scenario: Scenario
    now: Callable[[], float]
    database: Database = field(default_factory=Database)
    backups: dict[str, Database] = field(default_factory=dict)
    active: str = OLD
    """What a product of commands was switched to."""
    service: str = OLD
    """The version that serves; empty = it is down."""
    since: float = 0.0
    """When it was started."""
    boots: int = 1
    processes: dict[int, Process] = field(default_factory=dict)
    runs: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How often each attempt's step was let run."""

    def spawn(self, hook: str, env: Mapping[str, str]) -> Process:
        """Start a command behind its gate."""
        process = Process(self.boots * 1000 + len(self.processes), hook, env, f"boot {self.boots}")
        self.processes[process.pid] = process
        return process

    def open(self, process: Process) -> None:
        """Give it the word; it must be written down, and the only one."""
        self.settle()
        require(process.pid in self._written(), f"{process.step} runs and is not written down")
        self.require_alone(process.step)
        self.runs[process.env["FLEETROLL_ATTEMPT"], process.step] += 1
        process.state, process.ends_at = "at work", self.now() + COMMAND_SECONDS
        getattr(self, f"_begin_{process.hook}", lambda _process: None)(process)

    def require_alone(self, step: str) -> None:
        """Nothing may be begun while a command is at work."""
        others = [other.step for other in self.processes.values() if other.state == "at work"]
        require(not others, f"{step} begins while {', '.join(others)} runs")

    def settle(self) -> None:
        """Let what is over by now have its whole effect."""
        for process in self.processes.values():
            if process.state == "at work" and process.ends_at <= self.now():
                process.state = "over"
                process.exit_code = 1 if self._is_bad(process) else 0
                if not process.exit_code:
                    getattr(self, f"_end_{process.hook}", lambda _process: None)(process)

    def kill(self, pid: int) -> None:
        """End a command where it stands; the number of an earlier boot is nobody's."""
        self.settle()
        if pid in self.processes:
            self.processes[pid].state = "over"

    def agent_died(self) -> None:
        """Let every command that waits for its word see that nobody will give it."""
        for process in self.processes.values():
            if process.state == "held":
                process.state = "over"

    def power_on(self) -> None:
        """Start anew: no command runs any more, and the supervisor starts what it finds."""
        self.boots += 1
        self.processes = {}
        self.service, self.since = self.in_use(), self.now()

    def healthy(self) -> tuple[bool, str]:
        """Tell whether the service works, and the version that it says."""
        self.settle()
        works = bool(self.service) and self.database.schema == self.schema_of(self.service)
        bad = self.scenario.bad if self.service == NEW else ""
        failing = bad == "health" or (bad == "soak" and self.now() > self.since + 3.0)
        return works and not failing, self.service

    def schema_of(self, version: str) -> int:
        """Return the schema that a version needs."""
        return 2 if self.scenario.migrating and version not in (OLD, "0.9.0") else 1

    def last_word(self, process: Process) -> str:
        """Return the last line of a command's output."""
        if process.hook == "version":
            said = (self.state / process.env["FLEETROLL_SLOT"] / ENTRY).read_text()
            return "9.9.9" if self.scenario.bad == "check" and said == NEW else said
        return f"backup-{process.pid}" if process.hook == "backup" else ""

    def facts(self) -> tuple[object, ...]:
        """Return what a run that begins now could depend on."""
        self.settle()
        running = tuple((one.step, one.state) for one in self.processes.values() if one.state != "over")
        return self.database, tuple(self.backups.items()), self.active, self.service, running

    def in_use(self) -> str:
        """Return the version that a start of the service would take now; empty = none."""
        kind = self.scenario.kind
        if kind == "command":
            return self.active
        path = self.scenario.link(self.state) / ENTRY if kind == "slots" else self.scenario.file(self.state)
        return path.read_text() if path.exists() else ""

    def _is_bad(self, process: Process) -> bool:
        forward = process.env["FLEETROLL_VERSION"] == NEW and process.step == process.hook
        return forward and self.scenario.bad == process.hook

    def _written(self) -> set[int]:
        document = json.loads((self.state / "products" / f"{PRODUCT}.json").read_bytes())["record"]
        work: dict[str, Any] = (document["attempt"] or {}).get("work") or {}
        child = work.get("child")
        return {child["pid"]} if child else set()

    def _end_backup(self, process: Process) -> None:
        self.backups[f"backup-{process.pid}"] = self.database

    def _begin_migrate(self, _process: Process) -> None:
        self.database = replace(self.database, schema=HALF)

    def _end_migrate(self, process: Process) -> None:
        self.database = Database(2, "orders as the new version writes them")

    def _begin_restore(self, _process: Process) -> None:
        self.database = replace(self.database, schema=HALF)

    def _end_restore(self, process: Process) -> None:
        self.database = self.backups[process.env["FLEETROLL_BACKUP_ID"]]

    def _begin_restart(self, _process: Process) -> None:
        self.service = ""

    def _end_restart(self, _process: Process) -> None:
        self.service, self.since = self.in_use(), self.now()

    def _begin_switch(self, _process: Process) -> None:
        self.active = self.service = ""

    def _end_switch(self, process: Process) -> None:
        self.active = self.service = process.env["FLEETROLL_VERSION"]
        self.since = self.now()

    def _begin_rollback(self, _process: Process) -> None:
        self.active = self.service = ""

    def _end_rollback(self, process: Process) -> None:
        self.active = self.service = process.env["FLEETROLL_FROM_VERSION"]
        self.since = self.now()
