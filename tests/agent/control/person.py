"""Root at the command line of a host whose daemon runs."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fleetroll_agent.app import main

if TYPE_CHECKING:
    import pytest

    from tests.agent.fake_server.inprocess import InProcessHost


class Person:
    """Root on the host."""

    def __init__(self, host: InProcessHost, capsys: pytest.CaptureFixture[str]) -> None:
        self._state = str(host.folder)
        self._capsys = capsys
        self.out = self.err = ""

    async def is_heard(self) -> None:
        """Wait until the agent listens."""
        while not (Path(self._state) / "control.sock").exists():
            await asyncio.sleep(0.02)

    async def runs(self, *words: str) -> int:
        """Run a command; return its exit code."""
        self._capsys.readouterr()
        exit_code = await asyncio.to_thread(main, [*words, "--state", self._state])
        self.out, self.err = self._capsys.readouterr()
        return exit_code

    def usage(self) -> str:
        """Return what wrong usage was answered with."""
        return self._capsys.readouterr().err

    async def asks(self, *words: str) -> tuple[int, dict[str, Any]]:
        """Run a command with --json; return its exit code and what it says."""
        exit_code = await self.runs(*words, "--json")
        return exit_code, json.loads(self.out)
