"""A whole daemon in the test's own loop, under a launcher that is a few lines: fast, and open to the test."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from fleetroll_agent.daemon import Daemon
from fleetroll_agent.enrol import make_folder
from fleetroll_agent.identity.store import IdentityStore
from fleetroll_agent.jobs.journal import read_journal
from fleetroll_agent.launcher import pipe
from fleetroll_agent.launcher.record import record_to_json
from fleetroll_agent.launcher.values import Record, SlotRef
from fleetroll_agent.parts import assemble
from fleetroll_agent.session.enrolling import ask_to_enrol
from fleetroll_agent.slots import Slot
from fleetroll_common.values.ids import SystemIds
from fleetroll_common.values.version import Version
from fleetroll_publishing.artefact import build_artefact
from tests.agent.fake_server.hosts import ALLOWED
from tests.faults.jobs import OLD, boot_record

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from fleetroll_agent.jobs.values import Report
    from fleetroll_publishing.artefact import BuiltArtefact
    from tests.agent.fake_server.server import FakeServer

PYTHON = os.path.realpath(sys.executable)
ENTRY = """import json, sys
print(json.dumps({{"version": "{version}", "sha": "0" * 40}}))
"""


def small_artefact(folder: Path, version: str, reported: str = "") -> BuiltArtefact:
    """Build an artefact that only knows its self-test, and reports ``reported`` there (its version)."""
    tree = folder / f"tree-{version}"
    tree.mkdir()
    (tree / "entry.py").write_text(ENTRY.format(version=reported or version))
    (tree / "ballast.bin").write_bytes(os.urandom(600_000))
    return build_artefact(tree, folder / f"{version}.tar.zst", entry_point="entry.py", level=1)


class FakeLauncher:
    """The other end of the pipe: shows a record, answers arming, keeps what it heard."""

    def __init__(self, record: Record) -> None:
        """Open both pipes; nothing is read yet."""
        self.record = record
        self.heard: list[dict[str, Any]] = []
        self.arms = True
        to_child, self._write = os.pipe()
        self._read, from_child = os.pipe()
        self.child_fds = (to_child, from_child)
        self._lines = pipe.Lines()
        self._changed = asyncio.Event()

    async def until_said(self, kind: str, seconds: float = 10.0) -> None:
        """Wait until the child has sent a message of a kind."""
        async with asyncio.timeout(seconds):
            while not self.said(kind):
                self._changed.clear()
                await self._changed.wait()

    def attach(self) -> None:
        """Begin to listen, and show the record."""
        os.set_blocking(self._read, False)
        asyncio.get_running_loop().add_reader(self._read, self._hear)
        self.show(self.record)

    def show(self, record: Record) -> None:
        """Send a record."""
        self.record = record
        self.send({"type": "record", "record": record_to_json(record)})

    def send(self, message: dict[str, Any]) -> None:
        os.write(self._write, json.dumps(message).encode() + b"\n")

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._read)
        os.close(self._read)
        os.close(self._write)

    def said(self, kind: str) -> list[dict[str, Any]]:
        """Return the child's messages of a kind."""
        return [message for message in self.heard if message["type"] == kind]

    def _hear(self) -> None:
        try:
            data = os.read(self._read, 65536)
        except BlockingIOError:
            return
        if not data:
            asyncio.get_running_loop().remove_reader(self._read)
            return
        for line in self._lines.feed(data):
            message = json.loads(line)
            self.heard.append(message)
            self._changed.set()
            if message["type"] == "arm" and self.arms:
                self.send({"type": "armed", "attempt": message["attempt"]})


class InProcessHost:
    """One enrolled host whose daemon runs, stops and runs again as the test wants."""

    def __init__(self, folder: Path, server: FakeServer) -> None:
        """Use ``folder``; nothing is there yet."""
        self.folder = folder
        self.server = server
        self.launcher: FakeLauncher | None = None
        self.daemon: Daemon | None = None
        self.slot = Slot(
            folder / "slots" / "agent" / "1.0.0-aaaaaaaa",
            Version(1, 0, 0),
            OLD,
            "1" * 64,
            "2" * 64,
            "entry.py",
            "cp311",
        )

    async def enrol(self) -> None:
        """Become an agent of the server."""
        make_folder(self.folder)
        store = IdentityStore(self.folder / "identity", SystemIds())
        store.enrol(await ask_to_enrol(self.server.join_string(), store.candidate(), "host-1", {"site": "a"}))
        (self.folder / "agent.toml").write_text(
            f"{ALLOWED}[reconnect]\nbase_seconds = 0.05\ncap_seconds = 0.2\n[go]\nask_interval_seconds = 0.5\n"
        )

    @asynccontextmanager
    async def running(self, record: Record | None = None, slot: Slot | None = None) -> AsyncIterator[Daemon]:
        """Run a daemon until the block ends: then it dies without a word, as after SIGKILL."""
        known = boot_record()
        record = record or known._replace(current=SlotRef(**{**known.current._asdict(), "python": PYTHON}))
        self.launcher = FakeLauncher(record)
        parts = await asyncio.to_thread(assemble, self.folder, slot or self.slot)
        self.daemon = Daemon(parts, self.launcher.child_fds)
        self.launcher.attach()
        work = asyncio.create_task(self.daemon.run())
        self.work = work
        try:
            yield self.daemon
        finally:
            if not work.done():
                work.cancel()
            with suppress(asyncio.CancelledError):
                await work
            self.launcher.close()

    def journal(self) -> list[Report]:
        """Return what the host's journal says."""
        return [entry.report for entry in read_journal(self.folder / "journal")]

    def said(self, generation: int) -> list[str]:
        """Return what the journal says about one attempt, in words."""
        return [
            " ".join(part for part in (told.said.value, told.step, told.code.value if told.code else "") if part)
            for told in self.journal()
            if told.generation == generation
        ]
