"""One host of a test: its state folder, and, while it runs, its launcher."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fleetroll_agent.jobs.journal import read_journal
from fleetroll_agent.jobs.keeper import ProductFile
from fleetroll_common.durable import dump_record, load_record
from tests.e2e.fleet.processes import AGENT, Child, Processes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fleetroll_agent.jobs.values import ProductRecord, Report

SETTINGS = """
[host]
containers = true
[products.agent]
min_update_interval_seconds = 0
[reconnect]
base_seconds = 0.5
cap_seconds = 1.0
[go]
ask_interval_seconds = 2.0
"""


@dataclass(frozen=True)
class Untouched:
    """What must not change when something is refused."""

    slots: tuple[str, ...]
    boot: bytes
    agent_pid: int


class Host:
    """One state folder."""

    def __init__(self, name: str, state: Path, processes: Processes) -> None:
        """Use ``state``; nothing runs."""
        self.name = name
        self.state = state
        self._processes = processes
        self._launcher: Child | None = None

    @property
    def agent_id(self) -> str:
        return str(load_record((self.state / "identity" / "agent.json").read_bytes())["agent_id"])

    @property
    def launcher(self) -> Child:
        if self._launcher is None:
            raise AssertionError(f"{self.name} does not run")
        return self._launcher

    def aim(self, address: str) -> None:
        """Let the agent look for its server at ``address`` from its next start on."""
        path = self.state / "identity" / "agent.json"
        path.write_bytes(dump_record({**load_record(path.read_bytes()), "addresses": [address]}))

    def start(self, *options: str) -> None:
        """Start the launcher."""
        (self.state / "agent.toml").write_text(SETTINGS)
        log = self.state.parent / f"{self.name}.log"
        self._launcher = self._processes.start(*AGENT, "run", "--state", str(self.state), *options, log=log)

    def stop(self) -> None:
        """Stop launcher and agent in order."""
        assert self.launcher.stop() == 0
        self._launcher = None

    def boot(self) -> dict[str, Any]:
        """Return the launcher's record."""
        record: dict[str, Any] = json.loads((self.state / "boot.json").read_bytes())["record"]
        return record

    def status(self) -> dict[str, Any]:
        """Return what the launcher says of itself."""
        status: dict[str, Any] = json.loads((self.state / "launcher.status").read_bytes())
        return status

    def product(self) -> ProductRecord:
        """Return the agent's own record."""
        return ProductFile(self.state).read()

    def journal(self, generation: int | None = None) -> list[Report]:
        """Return the reports of the host's own journal, all or those of one attempt."""
        reports = [entry.report for entry in read_journal(self.state / "journal")]
        return [report for report in reports if generation in (None, report.generation)]

    def told(self, generation: int) -> list[str]:
        """Return what the journal says of an attempt: states, steps behind them, each once."""
        words = [f"{report.said.value} {report.step}".strip() for report in self.journal(generation)]
        return list(dict.fromkeys(words))

    def slots(self) -> tuple[str, ...]:
        """Return the names of what stands in the folder of slots."""
        return tuple(sorted(path.name for path in (self.state / "slots" / "agent").iterdir()))

    def untouched(self) -> Untouched:
        """Return what a refusal leaves as it is."""
        return Untouched(self.slots(), (self.state / "boot.json").read_bytes(), int(self.status()["child_pid"]))

    def wait(self, what: str, holds: Callable[[], bool], seconds: float = 30.0) -> None:
        """Look until it holds; else fail with the end of the host's log."""
        wait(f"{self.name}: {what}", holds, seconds, lambda: self.launcher.said()[-3000:])


def wait(what: str, holds: Callable[[], bool], seconds: float, more: Callable[[], str] = str) -> None:
    """Look every 50 ms until it holds.

    Raises:
        AssertionError: not in time; ``more`` says what else is known.
    """
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds:g} s\n{more()}")
        time.sleep(0.05)
