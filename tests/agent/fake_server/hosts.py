"""A host with a real launcher: the agent's own programs as children of the test, ended by their own pid."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from typing import TYPE_CHECKING, Any

from fleetroll_agent.jobs.journal import read_journal
from tests.faults import run_launcher

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from fleetroll_agent.jobs.values import Report
    from fleetroll_common.wire.joinstring import JoinString

ALLOWED = "[host]\ncontainers = true\n[products.agent]\nmin_update_interval_seconds = 0\n"
"""Of agent.toml: tests run in containers too, and update at once."""
PROGRAM = (sys.executable, "-m", "fleetroll_agent.app")


class RealHost:
    """One state folder and, while it runs, its launcher."""

    def __init__(self, state: Path) -> None:
        """Use ``state``; nothing runs."""
        self.state = state
        self._launcher: asyncio.subprocess.Process | None = None

    async def call(self, *arguments: str) -> tuple[int, str, str]:
        """Run one command of the agent's; return exit code and both outputs."""
        pipe = asyncio.subprocess.PIPE
        child = await asyncio.create_subprocess_exec(*PROGRAM, *arguments, stdout=pipe, stderr=pipe)
        out, err = await child.communicate()
        return child.returncode or 0, out.decode(), err.decode()

    async def enroll(self, join: JoinString, *more: str) -> tuple[int, str, str]:
        return await self.call("enroll", join.encode(), "--state", str(self.state), *more)

    @property
    def pid(self) -> int:
        """The launcher's, while it runs."""
        assert self._launcher is not None
        assert self._launcher.returncode is None, "the launcher ended"
        return self._launcher.pid

    async def start(self, *more: str, limits: Mapping[str, float] | None = None, settings: str = ALLOWED) -> None:
        """Start the launcher.

        Args:
            more: options.
            limits: other waiting times than its own (fields of its ``Limits``).
            settings: of agent.toml, before how it reconnects.
        """
        (self.state / "agent.toml").write_text(f"{settings}[reconnect]\nbase_seconds = 0.2\ncap_seconds = 1.0\n")
        with (self.state.parent / f"{self.state.name}.log").open("ab") as log:
            command = (*PROGRAM, "run", "--state", str(self.state), *more)
            if limits is not None:
                command = (sys.executable, run_launcher.__file__, str(self.state), json.dumps(dict(limits)))
            self._launcher = await asyncio.create_subprocess_exec(*command, stderr=log)

    async def stop(self) -> int:
        """Stop the launcher in order; return its exit code."""
        launcher, self._launcher = self._launcher, None
        if launcher is None:
            return 0
        with contextlib.suppress(ProcessLookupError):
            launcher.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(launcher.wait(), 20)

    def boot(self) -> dict[str, Any]:
        """Return the launcher's record."""
        record: dict[str, Any] = json.loads((self.state / "boot.json").read_bytes())["record"]
        return record

    def journal(self) -> list[Report]:
        """Return what the host's own journal says."""
        return [entry.report for entry in read_journal(self.state / "journal")]
