"""A host's own lock: a command that says whether now is a time for updates. In doubt it is not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleetroll_agent.hooks.run import run_small
from fleetroll_common.values.errors import AgentError

if TYPE_CHECKING:
    import re
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

    from fleetroll_agent.jobs.work import Child

LIMIT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class LockAnswer:
    """What the command answered: whether the host is free, and why not."""

    free: bool
    message: str = ""


async def is_free(
    argv: Sequence[str],
    env: Mapping[str, str],
    cwd: Path,
    user: str = "",
    limit_seconds: float = LIMIT_SECONDS,
    redact: Sequence[re.Pattern[str]] = (),
    started: Callable[[Child], Awaitable[None]] | None = None,
) -> LockAnswer:
    """Ask the lock's command: exit code 0 = free; anything else, also a command that can't be run, = locked.

    Args:
        argv: program and arguments.
        env: its whole environment.
        cwd: the folder that it runs in.
        user: who it runs as; empty = as the agent.
        limit_seconds: what it may take.
        redact: for the words of the answer.
        started: told who it is before it runs.
    """
    try:
        result = await run_small(argv, env, cwd, user, limit_seconds, redact, started)
    except (AgentError, OSError) as error:
        return LockAnswer(free=False, message=f"the lock's command could not be asked: {error}")
    if result.ok:
        return LockAnswer(free=True)
    said = f": {result.last_line}" if result.last_line else ""
    return LockAnswer(free=False, message=f"the lock's command says no: {result.words}{said}")
