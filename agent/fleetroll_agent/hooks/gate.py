"""A command starts behind a gate: its process is there, named and journaled, before the first line of it runs.

The order that makes a crash harmless:

1. ``spawn`` starts a process that waits (``held.py``) and says who it is: id, start, boot.
2. The caller writes that down.
3. ``Gated.open`` gives the word, and the process becomes the command.

Killed before 3, the agent never ran it; killed after, the journal names it (``orphans.py`` ends it).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fleetroll_agent.hooks import held
from fleetroll_agent.hooks.pace import Pace
from fleetroll_agent.hooks.processes import kill_session, read_process
from fleetroll_agent.hooks.scope import wrapped
from fleetroll_agent.hooks.users import User, find_user
from fleetroll_agent.jobs.work import Child
from fleetroll_agent.launcher.bootid import read_boot_id
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fleetroll_agent.hooks.scope import Scope

MAX_ENVIRONMENT_BYTES = 48 * 1024
"""Fits an empty pipe (64 KiB), so that giving the word never waits."""

_HELD = Path(held.__file__).resolve()


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended: by itself with ``exit_code``, or by a ``signal``; exactly one is not None."""

    exit_code: int | None = None
    signal: int | None = None


class Gated:
    """A command that waits for its word. ``run.run_hook`` takes it to its end, ``abandon`` ends it unrun.

    Attributes:
        child: what the caller writes down.
        process: it is collected by :meth:`collect` alone, so that its id stays ours until then.
    """

    def __init__(self, process: subprocess.Popen[bytes], word: bytes) -> None:
        """Take over a process of ``held.py``."""
        self.process = process
        self._word = word
        seen = read_process(process.pid)
        self.child = Child(process.pid, 0 if seen is None else seen.start_ticks, read_boot_id())

    def open(self) -> None:
        """Give the word, once. A process that is gone already shows that by how it ended."""
        gate = self.process.stdin
        if gate is None or gate.closed:
            return
        with contextlib.suppress(BrokenPipeError):
            os.write(gate.fileno(), self._word)
        gate.close()

    def ended(self) -> Ended | None:
        """Return how the process ended, without collecting it; None while it lives."""
        code = self.process.returncode
        if code is not None:
            return Ended(exit_code=code) if code >= 0 else Ended(signal=-code)
        seen = os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if seen is None:
            return None
        by_itself = seen.si_code == os.CLD_EXITED
        return Ended(exit_code=seen.si_status) if by_itself else Ended(signal=seen.si_status)

    def collect(self) -> None:
        """Let the kernel forget the process, once it has ended, and close what is open towards it."""
        self.process.poll()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()

    async def abandon(self, pace: Pace | None = None) -> None:
        """End the process; the command never ran unless the word was given."""
        try:
            await kill_session(self.process.pid, pace or Pace())
        finally:
            self.collect()


async def spawn(
    argv: Sequence[str], env: Mapping[str, str], cwd: Path, user: str = "", scope: Scope | None = None
) -> Gated:
    """Start the process of a command and keep it waiting.

    Args:
        argv: program and arguments; a program without a slash is looked for in ``env``'s PATH.
        env: the whole environment of the command.
        cwd: the folder that it runs in.
        user: who it runs as; empty = as the agent.
        scope: where it is to run; None = only in a session and group of its own.

    Raises:
        AgentError: no such user, an environment that no process can have, or no process to be had (STEP_FAILED).
    """
    word = _word(env)
    if not argv or any("\0" in part for part in argv):
        raise AgentError(f"command: {argv!r:.200} can't be run", code=Code.STEP_FAILED, remedy="mend it in agent.toml")
    who = await asyncio.to_thread(find_user, user) if user else None
    line = (sys.executable, "-I", "-S", "-B", str(_HELD), _who(who), str(cwd), *argv)
    command = line if scope is None else wrapped(line, scope.name, scope.facts)
    try:
        process = subprocess.Popen(  # noqa: ASYNC220, S603 (ours to collect, started in milliseconds; no shell)
            command,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={"PATH": env["PATH"]} if "PATH" in env else {},
            cwd="/",
            start_new_session=True,
        )
    except (OSError, ValueError) as error:  # ValueError: letters that the host's encoding does not have
        message = f"command {argv[0]}: no process could be started: {error}"
        raise AgentError(message, code=Code.STEP_FAILED, remedy="look at the host's limits and memory") from error
    return Gated(process, word)


def _who(user: User | None) -> str:
    """Write the user as ``held.py`` reads it."""
    return "-" if user is None else f"{user.uid}:{user.gid}:{','.join(str(group) for group in user.groups)}"


def _word(env: Mapping[str, str]) -> bytes:
    """Return the word that carries the environment."""
    wrong = [name for name, value in env.items() if not name or "=" in name or "\0" in name + value]
    body = b"".join(b"%s=%s\0" % (_encoded(name), _encoded(value)) for name, value in env.items())
    if wrong or len(body) > MAX_ENVIRONMENT_BYTES:
        fault = f"{wrong[0]!r:.80} can't be a variable" if wrong else f"more than {MAX_ENVIRONMENT_BYTES} bytes"
        raise AgentError(f"environment: {fault}", code=Code.STEP_FAILED, remedy="shorten or mend it")
    return f"{len(body):08x}".encode() + body


def _encoded(text: str) -> bytes:
    """Return ``text`` in the encoding of the host's LANG, which the command has too; else in UTF-8."""
    try:
        return os.fsencode(text)
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")
