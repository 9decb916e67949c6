"""The first time that new code runs: in its slot, before anything is switched, and only to say which version it is."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleetroll_agent.launcher.pipe import HOST_REFUSES_EXIT
from fleetroll_agent.waiting import within
from fleetroll_common.values.codes import Code

if TYPE_CHECKING:
    from pathlib import Path

LIMIT_SECONDS = 30.0
OUTPUT_BYTES = 16 * 1024
"""Of what the program writes; more is read and dropped."""
TAIL_CHARS = 2000

_FROM_OUTSIDE = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
"""A host without memory kills, and one that is shut down asks to end; a program that crashes gets other signals."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of it; ``code`` None = the program is what its release says.

    ``by_itself``: the program ran and ended by itself. Otherwise the host may be to blame, and nothing is proven.
    """

    code: Code | None = None
    message: str = ""
    output_tail: str = ""
    by_itself: bool = True


async def run_self_test(python: str, entry: Path, state: Path, version: str, limit: float = LIMIT_SECONDS) -> Verdict:
    """Run ``entry self-test`` with ``python`` and compare the version that it reports.

    Args:
        python: absolute path of the interpreter that the launcher would use.
        entry: the program's first file in the new slot.
        state: the state folder; the self-test only reads it.
        version: of the release.
        limit: seconds; then the program and all it started are killed.
    """
    command = (python, "-I", "-S", "-B", str(entry), "self-test", "--state", str(state))
    pipe = asyncio.subprocess.PIPE
    try:
        child = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe, start_new_session=True
        )
    except OSError as error:
        text = f"the self-test could not be started: {error.strerror}"
        return Verdict(Code.SELF_TEST_FAILED, text, by_itself=False)
    try:
        said, noise = await within(limit, _listen(child))
    except asyncio.TimeoutError:
        text = f"the self-test did not end within {limit:g} s"
        return Verdict(Code.SELF_TEST_FAILED, text, by_itself=False)
    finally:
        await _end(child)
    return judge(said, noise, child.returncode or 0, version)


def judge(said: bytes, noise: bytes, exit_code: int, version: str) -> Verdict:
    """Return what the program's words and its exit mean."""
    tail = noise.decode("utf-8", "replace")[-TAIL_CHARS:]
    if exit_code != 0:
        by_itself = -exit_code not in _FROM_OUTSIDE and exit_code != HOST_REFUSES_EXIT
        return Verdict(Code.SELF_TEST_FAILED, f"the self-test ended with {exit_code}", tail, by_itself)
    try:
        reported = json.loads(said)["version"]
    except (ValueError, KeyError, TypeError):
        return Verdict(Code.SELF_TEST_FAILED, "the self-test did not say which version it is", tail)
    if reported != version:
        return Verdict(Code.VERSION_MISMATCH, f"the program reports {reported!r:.80}, its release is {version}", tail)
    return Verdict()


async def _listen(child: asyncio.subprocess.Process) -> tuple[bytes, bytes]:
    """Return what the program wrote to its two outputs, bounded, once it has ended."""
    out, err = child.stdout, child.stderr
    if out is None or err is None:
        message = "the self-test was started without pipes"
        raise AssertionError(message)
    said, noise = await asyncio.gather(_drain(out), _drain(err))
    await child.wait()
    return said[:OUTPUT_BYTES], noise


async def _drain(stream: asyncio.StreamReader) -> bytes:
    """Return the last bytes of a stream."""
    kept = b""
    while piece := await stream.read(OUTPUT_BYTES):
        kept = (kept + piece)[-OUTPUT_BYTES:]
    return kept


async def _end(child: asyncio.subprocess.Process) -> None:
    """Kill whatever is left of the program's group, and reap it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    await child.wait()
