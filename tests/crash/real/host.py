"""One host of real processes with fault points in its launcher and in its agents, and the server that it asks.

Everything is real but the server's decisions: launcher and agents are processes, the slots hold the whole program,
artefacts are fetched, verified and unpacked, TLS and identity are the host's own. A host costs milliseconds to make:
its first slot is linked to that of one host that was enrolled by the program.
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
from typing import TYPE_CHECKING, Any, ClassVar, Self

from fleetroll_agent.enrol import make_folder
from fleetroll_agent.identity.store import IdentityStore
from fleetroll_agent.jobs.journal import Entry, read_journal
from fleetroll_agent.launcher.install import first_record
from fleetroll_agent.launcher.record import decode
from fleetroll_agent.session.enrolling import ask_to_enrol
from fleetroll_common.values.ids import SystemIds
from tests.agent.fake_server.server import FakeServer
from tests.crash.real.kill import Kill
from tests.faults import run_launcher
from tests.faults.ending import WITH_ITS_PARENT
from tests.faults.plans import Plan, Source

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from fleetroll.v1 import agent_stream_pb2 as stream_pb2
    from fleetroll_agent.launcher.values import Record
    from fleetroll_server.certificates import Pair
    from tests.agent.fake_server.releases import Releases
    from tests.faults.plans import Act, Chase

FIRST = 7
"""The generation of the first attempt; those after it follow."""
LAUNCHER = "launcher"
BOOT = Source("boot.json", [["trial.tries_left", "trial.promoted"], ["current.version", "boot_id?"]])
"""Where the state of a launcher is read."""
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
OUTCOME_SECONDS = 60.0
SUCCEEDED = "SUCCEEDED"
FINAL = (SUCCEEDED, "ROLLED_BACK", "FAILED", "CANCELLED", "ROLLBACK_FAILED")


@dataclass(frozen=True)
class Kit:
    """What all hosts have in common: releases, the server's CA, the first slot's state folder, and byte code."""

    releases: Releases
    ca: Pair
    template: Path
    code: Path


class RealHost:
    """One state folder, its server, and whatever launcher runs on it; an async context manager.

    What is updated, and what may become of it, is the business of those that inherit from it.
    """

    product: ClassVar[str]
    """What is updated."""
    roles: ClassVar[Sequence[tuple[str, str]]]
    records: ClassVar[Mapping[str, Source]]
    """Where the state is read in which a process is at a point, by its role."""
    agents_roles: ClassVar[frozenset[str]]
    """Roles of processes that are an agent in its session."""
    bare: ClassVar[Sequence[str]] = ()
    """Texts in the commands of processes without points."""

    def __init__(self, kit: Kit, folder: Path, act: Act | None = None, hunt: Chase | None = None) -> None:
        """Use the new folder ``folder``; ``act`` or ``hunt`` say what goes wrong."""
        folder.mkdir(parents=True)
        self.kit = kit
        self.folder = folder
        self.state = folder / "state"
        self.server = FakeServer(kit.releases, kit.ca)
        shim = folder / "shim"
        self.plan = Plan(
            shim, [self.state], self.roles, act, records=self.records, hunt=hunt, code=kit.code, bare=self.bare
        )
        self.assigned = FIRST - 1
        """Generation of the newest attempt."""
        self._lines: list[dict[str, Any]] = []
        self._read_bytes = 0
        self._launcher: asyncio.subprocess.Process | None = None
        self._keeping: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.server.start()
        await self._lay_line()
        await self._enrol()
        self.begin()
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

    async def _lay_line(self) -> None:
        """Put something between the host and its server."""

    def answer(self) -> None:
        """Let the process go on that waits at its point until the test has done what it wants."""
        (self.plan.folder / "answered").touch()

    def begin(self) -> None:
        """Assign what the host is to do first."""
        raise NotImplementedError

    def next_attempt(self, results: Sequence[str], *, more: bool) -> bool:
        """Assign what follows those ``results``; tell whether there is anything, ``more`` = something is still hunted.

        The last attempt of a life has to succeed.
        """
        raise NotImplementedError

    def bears_another(self) -> bool:
        """Tell whether a kill now would still be none too many."""
        raise NotImplementedError

    async def check_come_up(self, hello: stream_pb2.HelloPayload) -> None:
        """Judge what says hello after a kill."""
        raise NotImplementedError

    def check_attempts(self) -> None:
        """Judge every attempt that has ended by the kills that struck it."""
        raise NotImplementedError

    async def check_end(self) -> None:
        """Judge the host at the end of its life."""
        raise NotImplementedError

    def settings(self) -> str:
        """Return the host's agent.toml."""
        return SETTINGS

    async def _enrol(self) -> None:
        """Become an agent of this server, with the first slot of the host that was enrolled by the program."""
        make_folder(self.state)
        store = IdentityStore(self.state / "identity", SystemIds())
        identity = store.enrol(await ask_to_enrol(self.server.join_string(), store.candidate(), "host-1", {}))
        store.stamp_key(identity, time.time())
        shutil.copytree(self.kit.template / "slots", self.state / "slots", copy_function=os.link)
        (self.state / "agent.toml").write_text(self.settings())
        (self.folder / "tmp").mkdir()
        first = decode((self.kit.template / "boot.json").read_bytes()).current
        first_record(str(self.state), first.name, first.version, first.digest, str(self.plan.write()), first.abi)

    async def _keep_launched(self) -> None:
        """Do what a service manager does: start the launcher, again whenever it ended."""
        python = str(self.plan.folder / "python")
        command = (*WITH_ITS_PARENT, python, run_launcher.__file__, str(self.state), json.dumps(LIMITS))
        path = os.pathsep.join(path for path in sys.path if path)
        environment = {**os.environ, "PYTHONPATH": path, "TMPDIR": str(self.folder / "tmp")}
        while True:
            with (self.folder / "launcher.err").open("ab") as errors:
                self._launcher = await asyncio.create_subprocess_exec(*command, stderr=errors, env=environment)
            await self._launcher.wait()

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
        return next((state for state in reversed(self.server.states(generation, self.product)) if state in FINAL), "")

    def result_of(self, generation: int) -> str:
        """Return an attempt's result, ``unproven`` behind it where that was said."""
        mine = (self.product, generation)
        told = [report for report in self.server.agent.reports if (report.product, report.generation) == mine]
        return self.ended(generation) + (" unproven" if told and told[-1].unproven else "")

    def waits(self) -> bool:
        """Tell whether the host reported that it tries again later."""
        reports = self.server.agent.reports
        return bool(reports) and reports[-1].HasField("retry_at")

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
        if not path.exists():
            return []
        return [Kill.of(json.loads(line), self.product) for line in path.read_text().splitlines()]

    def claims(self) -> set[int]:
        """Return the quarries that a process of this host went for; one that ended too early did not kill."""
        path = self.plan.folder / "claims"
        return set(map(int, path.read_text().split())) if path.exists() else set()

    def agents(self) -> list[tuple[int, str]]:
        """Return pid and role of each agent's points, in the order of the trace."""
        return [(line["pid"], line["role"]) for line in self.lines() if line["role"] in self.agents_roles]

    def greeted_since_kill(self) -> bool:
        """Tell whether an agent that began after the last kill of the trace has sent a hello, and lives."""
        return bool(greeting(self.lines()) & set(self.living()))

    def living(self) -> list[int]:
        """Return the pids of agents that had a point and live."""
        return [pid for pid in {pid for pid, _role in self.agents()} if lives(pid)]

    def story(self) -> str:
        """Return all that is known of this host, for the message of a failure."""
        parts = [f"generation {n}: {self.server.states(n, self.product)}" for n in range(FIRST, self.assigned + 1)]
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


def lives(pid: int) -> bool:
    """Tell whether a process runs; a dead one that nobody collected yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False
