"""A gated command taken to its end: opened, read live, held to its limit, and not left half alive.

What becomes of the processes that the command started, all in its session:

- it ended well: what it left running stays (it may have been asked to start something); nobody waits for that one's
  output: reading ends a second after the command;
- it ended badly: they are killed;
- it took too long: all get SIGTERM, those left after the grace SIGKILL;
- the caller was cancelled: all get SIGKILL at once.
"""

from __future__ import annotations

import asyncio
import signal as signals
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog

from fleetroll_agent.hooks.gate import Ended, spawn
from fleetroll_agent.hooks.lines import Sink, Splitter, on_one_line
from fleetroll_agent.hooks.pace import Pace
from fleetroll_agent.hooks.processes import end_session, kill_session

if TYPE_CHECKING:
    import re
    from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
    from pathlib import Path

    from fleetroll_agent.hooks.gate import Gated
    from fleetroll_agent.jobs.work import Child

GRACE_SECONDS = 5.0
"""From SIGTERM to SIGKILL: a database client can finish its statement."""
READ_AFTER_SECONDS = 1.0
"""How long output is read after the command's end, when something that it left holds the pipe."""
PIECE_BYTES = 64 * 1024
LAST_LINES, LAST_CHARS = 3, 300
"""Of its output, in the message of a command that failed: what programs say last is mostly why."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Manners:
    """How a command is watched.

    Attributes:
        grace_seconds: from SIGTERM to SIGKILL at the limit.
        read_after_seconds: how long output is read after the command's end.
        pace: the clock that everything is counted on.
    """

    grace_seconds: float = GRACE_SECONDS
    read_after_seconds: float = READ_AFTER_SECONDS
    pace: Pace = field(default_factory=Pace)


@dataclass(frozen=True, slots=True)
class HookResult:
    """What came of a command.

    Attributes:
        exit_code: when it ended by itself; 126 or 127 = it could not be started, and the tail says why.
        signal: that ended it; exactly one of the two is not None, unless it could not even be killed.
        timed_out: it was ended at its limit.
        tail: the end of its output, at most 4000 characters, redacted.
        last_line: the last one that is not blank, at most 2000 characters, redacted.
        last_line_exact: nothing in ``last_line`` was hidden, cut or replaced.
        dropped_lines: how many were not passed on.
        gone: nothing that had to end is left; False = a process that SIGKILL did not end.
        seconds: it took.
    """

    exit_code: int | None
    signal: int | None
    timed_out: bool
    tail: str
    last_line: str
    last_line_exact: bool
    dropped_lines: int
    gone: bool
    seconds: float

    @property
    def ok(self) -> bool:
        """Tell whether the command did what it was asked to."""
        return self.exit_code == 0 and not self.timed_out

    @property
    def last_words(self) -> str:
        """Return its last lines on one, at most 300 characters, redacted; empty when it said nothing."""
        return last_words(self.tail)

    @property
    def words(self) -> str:
        """Return how it ended as people say it."""
        if self.timed_out:
            return f"it was ended after {self.seconds:.1f} s: it took longer than its limit"
        if self.signal is not None:
            known = {int(one): one.name for one in signals.Signals}
            return f"it was ended by {known.get(self.signal, f'signal {self.signal}')}"
        return f"it ended with exit code {self.exit_code}"


def last_words(tail: str) -> str:
    """Return the end of an output, which MUST be redacted, for a message: three lines, at most 300 characters."""
    lines = [line for line in tail.splitlines() if line.strip()]
    return on_one_line(lines[-LAST_LINES:], LAST_CHARS)


async def run_hook(
    gated: Gated,
    limit_seconds: float,
    on_line: Callable[[str], None],
    redact: Sequence[re.Pattern[str]] = (),
    manners: Manners | None = None,
) -> HookResult:
    """Open the gate and take the command to its end. It never waits for whoever takes its output.

    Args:
        gated: a command that was written down.
        limit_seconds: what it may take before it is ended.
        on_line: told each line, redacted and harmless, at most 200 in a second; what it raises is logged, no more.
        redact: whatever they match within a line is replaced by ``***``.
        manners: None = those of the house.
    """
    how = manners or Manners()
    clock = how.pace.clock
    sink, begin = Sink(_careful(on_line), redact, clock), clock.monotonic()
    reading = asyncio.ensure_future(_read(gated, sink))
    try:
        gated.open()
        timed_out = not await how.pace.until(lambda: gated.ended() is not None, limit_seconds)
        gone = await _leave_nothing_wrong(gated, how, timed_out=timed_out)
        seconds = clock.monotonic() - begin
        await asyncio.wait({reading}, timeout=how.read_after_seconds)
        if reading.done():
            reading.result()  # a defect of ours is not to look like a silent command
    except BaseException:
        await _to_its_end(kill_session(gated.child.pid, how.pace))
        raise
    finally:
        await _close(gated, reading)
    ended, last = gated.ended() or Ended(), sink.last()
    return HookResult(
        ended.exit_code, ended.signal, timed_out, sink.tail(), last.text, last.exact, sink.dropped, gone, seconds
    )


async def run_small(
    argv: Sequence[str],
    env: Mapping[str, str],
    cwd: Path,
    user: str,
    limit_seconds: float,
    redact: Sequence[re.Pattern[str]] = (),
    started: Callable[[Child], Awaitable[None]] | None = None,
) -> HookResult:
    """Run a question to the host, such as a probe: a command without a scope whose output is only kept.

    Args:
        argv: program and arguments.
        env: its whole environment.
        cwd: the folder that it runs in.
        user: who it runs as; empty = as the agent.
        limit_seconds: what it may take.
        redact: as in :func:`run_hook`.
        started: told who it is before it runs, for callers that write that down.

    Raises:
        AgentError: it could not be started (STEP_FAILED).
    """
    gated = await spawn(argv, env, cwd, user)
    try:
        if started is not None:
            await started(gated.child)
    except BaseException:
        await _to_its_end(gated.abandon())
        raise
    return await run_hook(gated, limit_seconds, lambda _line: None, redact, Manners(grace_seconds=1.0))


async def _leave_nothing_wrong(gated: Gated, how: Manners, *, timed_out: bool) -> bool:
    """End what MUST not go on; return whether it is gone."""
    if timed_out:
        return await end_session(gated.child.pid, how.grace_seconds, how.pace)
    if gated.ended() != Ended(exit_code=0):
        return await kill_session(gated.child.pid, how.pace)
    return True


async def _close(gated: Gated, reading: asyncio.Future[None]) -> None:
    """End the reading and let go of the process."""
    try:
        reading.cancel()
        await _to_its_end(asyncio.wait({reading}))
    finally:
        gated.collect()


async def _read(gated: Gated, sink: Sink) -> None:
    """Read to the end of the output, or until cancelled; what was read by then is taken."""
    splitter, reader = Splitter(), asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), gated.process.stdout)
    try:
        while piece := await reader.read(PIECE_BYTES):
            sink.take(splitter.feed(piece))
    finally:
        transport.close()
        sink.take(splitter.end())
        sink.say_dropped()


def _careful(on_line: Callable[[str], None]) -> Callable[[str], None]:
    """Return ``on_line`` such that its faults harm no command: output is worth less than a migration."""

    def told(line: str) -> None:
        try:
            on_line(line)
        except Exception:
            log.warning("a line of a command's output was lost", exc_info=True)

    return told


async def _to_its_end(work: Coroutine[Any, Any, object]) -> None:
    """Wait for ``work``, which is bounded, to its end; a cancellation that came meanwhile is raised then."""
    task = asyncio.ensure_future(work)
    cancelled = False
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:  # noqa: PERF203 (it waits in the loop)
            cancelled = True
    task.result()
    if cancelled:
        raise asyncio.CancelledError
