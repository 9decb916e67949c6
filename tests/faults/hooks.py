"""Commands for tests: small scripts, run as hooks, and what is seen of their processes."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from fleetroll_agent.hooks.gate import spawn
from fleetroll_agent.hooks.processes import read_process
from fleetroll_agent.hooks.run import HookResult, Manners, run_hook

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Mapping, Sequence

ENV = {"PATH": os.environ["PATH"]}
QUICK = Manners(grace_seconds=0.3, read_after_seconds=0.2)
ROOT = Path("/")


def quiet(_line: str) -> None:
    """Take a line and say nothing."""


async def run(
    argv: Sequence[str],
    env: Mapping[str, str] = ENV,
    cwd: Path = ROOT,
    limit: float = 30.0,
    redact: Sequence[re.Pattern[str]] = (),
    on_line: Callable[[str], None] | None = None,
) -> HookResult:
    """Run a command as a hook."""
    gated = await spawn(argv, env, cwd)
    return await run_hook(gated, limit, on_line or quiet, redact, QUICK)


async def run_script(text: str, *arguments: str, **how: object) -> HookResult:
    """Run a shell script as a hook."""
    return await run(("/bin/sh", "-c", text, "script", *arguments), **how)  # type: ignore[arg-type]


def program(path: Path, text: str) -> str:
    """Write an executable shell script and return its path."""
    path.write_text(f"#!/bin/sh\n{text}\n", "utf-8")
    path.chmod(0o755)
    return str(path)


def alive(pid: int) -> bool:
    """Tell whether a process is there and has not ended."""
    seen = read_process(pid)
    return seen is not None and not seen.dead


def pids(path: Path) -> list[int]:
    """Return the process ids that a script has noted, one a line."""
    return [int(line) for line in path.read_text("utf-8").split()] if path.exists() else []


def kill(pid: int) -> None:
    """End a process that a test has left on purpose."""
    os.kill(pid, signal.SIGKILL)


async def until(holds: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait for what a real process does."""
    end = asyncio.get_running_loop().time() + seconds
    while not holds():
        assert asyncio.get_running_loop().time() < end
        await asyncio.sleep(0.01)
