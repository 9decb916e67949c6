"""One host that updates itself, with fault points in its launcher and in its agents, and the server that it asks.

Everything is real but the server's decisions: launcher and agents are processes, the slots hold the whole program, the
artefact is fetched, verified and unpacked, TLS and identity are the host's own. A host costs milliseconds to make: its
first slot is linked to that of one host that was enrolled by the program.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from fleetroll_agent.enrol import make_folder
from fleetroll_agent.identity.store import IdentityStore
from fleetroll_agent.jobs.journal import Entry, read_journal
from fleetroll_agent.launcher.install import first_record
from fleetroll_agent.launcher.record import decode
from fleetroll_agent.session.enrolling import ask_to_enrol
from fleetroll_common.values.ids import SystemIds
from tests.agent.fake_server.server import FakeServer
from tests.crash.update.kills import Kill
from tests.faults import run_launcher
from tests.faults.plans import Plan, Source

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from fleetroll_agent.launcher.values import Record
    from fleetroll_server.certificates import Pair
    from tests.agent.fake_server.releases import Releases
    from tests.faults.plans import Act, Chase

OLD, NEW = "1.0.0", "1.1.0"
FIRST = 7
"""The generation of the first attempt; those after it follow."""
LAUNCHER, STARTING, SELF_TEST, OLD_AGENT, NEW_AGENT = "launcher", "starting", "self-test", "old-agent", "new-agent"
ROLES = (
    ("child.py", STARTING),
    ("self-test", SELF_TEST),
    (f"agent/{NEW}-", NEW_AGENT),
    (f"agent/{OLD}-", OLD_AGENT),
    ("run_launcher.py", LAUNCHER),
)
_BOOT = Source("boot.json", [["trial.tries_left", "trial.promoted"], ["current.version", "boot_id?"]])
_AGENT = Source(
    "products/agent.json",
    [
        ["attempt.stage", "attempt.step", "attempt.sha256?", "attempt.promoted"],
        ["outcomes.-1.said", "outcomes.-1.acked_at?"],
    ],
)
RECORDS = {LAUNCHER: _BOOT, STARTING: _BOOT, OLD_AGENT: _AGENT, NEW_AGENT: _AGENT}
"""Where the state is read in which a process is at a point: the record that it writes, or that it was started for."""
LIMITS = {"start": 20.0, "hang": 20.0, "grace": 5.0, "backoff_base": 0.05, "backoff_cap": 0.1, "rewrite": 0.2}
"""The launcher's waiting times, seconds: long enough for a busy machine to start a Python."""
SETTINGS = """
[host]
containers = true
[products.agent]
min_update_interval_seconds = 0
[reconnect]
base_seconds = 0.1
cap_seconds = 0.5
[go]
ask_interval_seconds = 1.0
"""
SOAK_SECONDS = 0.3
OUTCOME_SECONDS = 60.0
FINAL = ("SUCCEEDED", "ROLLED_BACK", "FAILED", "CANCELLED")


@dataclass(frozen=True)
class Kit:
    """What all hosts have in common: releases, the server's CA, the first slot's state folder, and byte code."""

    releases: Releases
    ca: Pair
    template: Path
    code: Path


class UpdatingHost:
    """One state folder at 1.0.0, its server, and whatever launcher runs on it; an async context manager."""

    def __init__(self, kit: Kit, folder: Path, act: Act | None = None, hunt: Chase | None = None) -> None:
        """Use the new folder ``folder``; ``act`` or ``hunt`` say what goes wrong."""
        folder.mkdir(parents=True)
        self.kit = kit
        self.folder = folder
        self.state = folder / "state"
        self.server = FakeServer(kit.releases, kit.ca)
        self.plan = Plan(folder / "shim", [self.state], ROLES, act, records=RECORDS, hunt=hunt, code=kit.code)
        self.assigned = FIRST
        self._lines: list[dict[str, Any]] = []
        self._read_bytes = 0
        self._launcher: asyncio.subprocess.Process | None = None
        self._keeping: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.server.start()
        await self._enrol()
        self.assign(FIRST)
        self._keeping = asyncio.create_task(self._keep_launched())
        return self

    async def __aexit__(self, *_error: object) -> None:
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        if self._launcher is not None and self._launcher.returncode is None:
            self._launcher.send_signal(signal.SIGKILL)
            await self._launcher.wait()
        await self.server.stop()
        async with asyncio.timeout(10):
            while self.living():
                await asyncio.sleep(0.01)

    async def _enrol(self) -> None:
        """Become an agent of this server, with the first slot of the host that was enrolled by the program."""
        make_folder(self.state)
        store = IdentityStore(self.state / "identity", SystemIds())
        identity = store.enrol(await ask_to_enrol(self.server.join_string(), store.candidate(), "host-1", {}))
        store.stamp_key(identity, time.time())
        shutil.copytree(self.kit.template / "slots", self.state / "slots", copy_function=os.link)
        (self.state / "agent.toml").write_text(SETTINGS)
        first = decode((self.kit.template / "boot.json").read_bytes()).current
        first_record(str(self.state), first.name, first.version, first.digest, str(self.plan.write()), first.abi)

    async def _keep_launched(self) -> None:
        """Do what a service manager does: start the launcher, again whenever it ended."""
        command = (str(self.plan.folder / "python"), run_launcher.__file__, str(self.state), json.dumps(LIMITS))
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        while True:
            with (self.folder / "launcher.err").open("ab") as errors:
                self._launcher = await asyncio.create_subprocess_exec(*command, stderr=errors, env=environment)
            await self._launcher.wait()

    def assign(self, generation: int, *, retry_bad: bool = False) -> None:
        """Desire the new version; ``retry_bad`` is a person's consent to a digest that was put back."""
        self.assigned = generation
        self.server.assign(NEW, generation, soak=SOAK_SECONDS, retry_bad=retry_bad)

    async def until(self, condition: Callable[[], Any], what: str, seconds: float = OUTCOME_SECONDS) -> None:
        """Look again and again until ``condition`` holds; fail with all that is known."""
        try:
            async with asyncio.timeout(seconds):
                while not condition():
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"{what} did not come in {seconds:g} s\n{self.story()}") from None

    def ended(self, generation: int) -> str:
        """Return the result of an attempt as the server knows it; empty while there is none."""
        return next((state for state in reversed(self.server.states(generation)) if state in FINAL), "")

    def record(self) -> Record:
        """Return the launcher's record."""
        return decode((self.state / "boot.json").read_bytes())

    def journal(self) -> list[Entry]:
        """Return what the host's own journal says."""
        return read_journal(self.state / "journal")

    def lines(self) -> list[dict[str, Any]]:
        """Return the trace; what was read before is not read again."""
        with contextlib.suppress(FileNotFoundError), (self.plan.folder / "trace.jsonl").open("rb") as trace:
            trace.seek(self._read_bytes)
            whole, newline, _rest = trace.read().rpartition(b"\n")
            self._read_bytes += len(whole + newline)
            self._lines += [json.loads(line) for line in whole.splitlines()]
        return self._lines

    def kills(self) -> list[Kill]:
        """Return the kills of a hunt, as the shim wrote them down before each."""
        path = self.plan.folder / "kills.jsonl"
        return [Kill.of(json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []

    def claims(self) -> set[int]:
        """Return the quarries that a process of this host went for; one that ended too early did not kill."""
        path = self.plan.folder / "claims"
        return set(map(int, path.read_text().split())) if path.exists() else set()

    def agents(self) -> list[tuple[int, str]]:
        """Return pid and role of each agent's points, in the order of the trace."""
        return [(line["pid"], line["role"]) for line in self.lines() if line["role"] in (OLD_AGENT, NEW_AGENT)]

    def greeted_since_kill(self) -> bool:
        """Tell whether an agent that began after the last kill of the trace has sent a hello, and lives."""
        return bool(greeting(self.lines()) & set(self.living()))

    def said(self, kill: Kill) -> set[str]:
        """Return the messages that the agent at the point, or among the victims, had sent to the launcher by then."""
        pids = {kill.pid, *kill.pids}
        written = [line for line in self.lines() if line["pid"] in pids and line["role"] != LAUNCHER]
        messages = [line for line in written if line["point"].startswith("write:pipe:") and line["do"] != "kill-before"]
        return {line["point"].removeprefix("write:pipe:") for line in messages}

    def after(self, kill: Kill) -> list[dict[str, Any]]:
        """Return what the process at the point still did when it was not killed itself: it outlives its launcher by a
        moment.
        """
        mine = [line for line in self.lines() if line["pid"] == kill.pid]
        since = next((number for number, line in enumerate(mine) if line["do"]), len(mine))
        return mine[since + 1 :]

    def last_word(self, kill: Kill) -> str:
        """Return the message that an agent was perhaps just writing when another process killed it; mostly none."""
        victims = set(kill.pids) - {kill.pid}
        points = [line["point"] for line in self.lines() if line["pid"] in victims and line["role"] != LAUNCHER]
        return points[-1].removeprefix("write:pipe:") if points and points[-1].startswith("write:pipe:") else ""

    def living(self) -> list[int]:
        """Return the pids of agents that had a point and live."""
        return [pid for pid in {pid for pid, _role in self.agents()} if _lives(pid)]

    def story(self) -> str:
        """Return all that is known of this host, for the message of a failure."""
        parts = [f"generation {n}: {self.server.states(n)}" for n in range(FIRST, self.assigned + 1)]
        parts += [str(kill) for kill in self.kills()]
        for name in ("launcher.err", "state/launcher.status", "state/agent.log"):
            with contextlib.suppress(FileNotFoundError):
                parts.append(f"--- {name}\n{(self.folder / name).read_text()[-4000:]}")
        return "\n".join(parts)


def greeting(lines: Sequence[Mapping[str, Any]]) -> set[int]:
    """Return who began after the last kill of a trace and has sent a hello.

    An agent whose launcher was killed goes on for a moment: what it sends then says nothing of what comes up.
    """
    since = max(number for number, line in enumerate(lines) if line["do"])
    before = {line["pid"] for line in lines[: since + 1]}
    return {line["pid"] for line in lines[since + 1 :] if line["point"] == "send:ConnectRequest.hello"} - before


def _lives(pid: int) -> bool:
    """Tell whether a process runs; a dead one that nobody collected yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False
