"""Commands that end well, badly, late or never, with everything that they start."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from fleetroll_agent.hooks.gate import spawn
from fleetroll_agent.hooks.run import Manners, run_hook, run_small
from tests.faults.hooks import ENV, QUICK, ROOT, alive, kill, pids, quiet, run, run_script, until

if TYPE_CHECKING:
    from pathlib import Path

    from fleetroll_agent.jobs.work import Child

DEAF = "trap '' TERM; echo $$ >> {0}; while :; do sleep 0.05; done"


async def test_a_command_that_ends_well_is_told_with_its_output() -> None:
    """Exit code, both outputs in their order, the last line, and how long it took."""
    lines: list[str] = []
    result = await run_script("echo one; echo two >&2; printf 'three\n\n  \n'", on_line=lines.append)
    assert (result.ok, result.exit_code, result.signal, result.timed_out, result.gone) == (True, 0, None, False, True)
    assert lines == ["one", "two", "three", "", ""]
    assert (result.last_line, result.last_line_exact, result.dropped_lines) == ("three", True, 0)
    assert result.tail.startswith("one\ntwo\nthree")
    assert 0 <= result.seconds < 30


@pytest.mark.parametrize(("code", "words"), [(1, "it ended with exit code 1"), (255, "it ended with exit code 255")])
async def test_an_exit_code_is_told(code: int, words: str) -> None:
    """Any but 0 is a failure."""
    result = await run_script(f"exit {code}")
    assert (result.ok, result.exit_code, result.words) == (False, code, words)


@pytest.mark.parametrize(("number", "words"), [(9, "it was ended by SIGKILL"), (40, "it was ended by signal 40")])
async def test_a_signal_is_told(number: int, words: str) -> None:
    """By its name where it has one."""
    result = await run_script(f"kill -{number} $$")
    assert (result.ok, result.exit_code, result.signal, result.words) == (False, None, number, words)


async def test_lines_are_told_while_the_command_runs(tmp_path: Path) -> None:
    """The command waits for a file that is made when its first line is heard."""
    heard = tmp_path / "heard"
    script = f"echo begun; while [ ! -e {heard} ]; do sleep 0.01; done; echo end"
    result = await run_script(script, on_line=lambda line: heard.touch() if line == "begun" else None)
    assert (result.ok, result.last_line) == (True, "end")


async def test_what_a_listener_raises_harms_no_command(capsys: pytest.CaptureFixture[str]) -> None:
    """The line is lost, which is logged, and the command goes on."""

    def listener(line: str) -> None:
        raise RuntimeError(line)

    result = await run_script("echo one; echo two", on_line=listener)
    assert (result.ok, result.tail) == (True, "one\ntwo")
    assert "a line of a command's output was lost" in capsys.readouterr().err


async def test_a_command_that_listens_to_sigterm_ends_in_its_own_way() -> None:
    """Its last words are heard, and it is late all the same, whatever its exit code."""
    result = await run_script("trap 'echo bye; exit 0' TERM; while :; do sleep 0.01; done", limit=0.3)
    assert (result.timed_out, result.ok, result.exit_code, result.last_line, result.gone) == (
        True, False, 0, "bye", True
    )  # fmt: skip
    assert result.words.endswith("it took longer than its limit")


async def test_a_command_deaf_to_sigterm_is_killed_after_the_grace(tmp_path: Path) -> None:
    """And so are its deaf children, and those that made groups of their own."""
    notes = tmp_path / "pids"
    deaf = DEAF.format(notes)
    quoted = deaf.replace("'", '"')
    script = f"timeout -s KILL 60 sh -c '{quoted}' & {deaf}"  # timeout makes a group of its own
    result = await run_script(script, limit=0.5)
    assert (result.timed_out, result.signal, result.gone) == (True, signal.SIGKILL, True)
    assert len(pids(notes)) == 2
    assert not any(alive(pid) for pid in pids(notes))


async def test_a_crowd_that_goes_on_forking_is_ended(tmp_path: Path) -> None:
    """Each of them answers SIGTERM with more of itself."""
    notes = tmp_path / "pids"
    code = f"""
import os, signal, time
def more(*_):
    for _ in range(3):
        if os.fork() == 0:
            note()
def note():
    with open({str(notes)!r}, "a") as stream:
        stream.write(f"{{os.getpid()}}\\n")
signal.signal(signal.SIGTERM, more)
for _ in range(10):
    if os.fork() == 0:
        break
note()
while True:
    time.sleep(0.01)
"""
    result = await run((sys.executable, "-I", "-S", "-c", code), limit=1.0)
    assert (result.timed_out, result.gone) == (True, True)
    assert len(pids(notes)) >= 44
    assert not any(alive(pid) for pid in pids(notes))


async def test_what_a_good_command_leaves_running_stays_and_is_not_waited_for(tmp_path: Path) -> None:
    """It holds the output for a minute; the result is there soon after the command's own end."""
    notes = tmp_path / "pids"
    result = await run_script(f"sleep 60 & echo $! > {notes}; echo begun")
    (left,) = pids(notes)
    assert (result.ok, result.last_line, alive(left)) == (True, "begun", True)
    assert result.seconds < 30
    kill(left)


async def test_what_a_failed_command_leaves_running_is_killed(tmp_path: Path) -> None:
    """A half-done step must not go on beside the way back."""
    notes = tmp_path / "pids"
    result = await run_script(f"sleep 60 & echo $! > {notes}; exit 3")
    assert (result.exit_code, result.gone) == (3, True)
    assert not alive(pids(notes)[0])


async def test_what_still_comes_within_a_moment_after_the_end_is_heard() -> None:
    """A filter at the end of a pipe may be the last to speak."""
    gated = await spawn(("/bin/sh", "-c", "(sleep 0.2; echo late) &"), ENV, ROOT)
    result = await run_hook(gated, 10, quiet, (), Manners(read_after_seconds=10))
    assert (result.ok, result.last_line) == (True, "late")


@pytest.mark.parametrize("times", [1, 3])
async def test_a_cancelled_command_is_killed_at_once_with_all_it_started(tmp_path: Path, times: int) -> None:
    """Without any grace, and also when the caller is cancelled again meanwhile."""
    notes = tmp_path / "pids"
    deaf = DEAF.format(notes)
    gated = await spawn(("/bin/sh", "-c", f"sh -c '{deaf.replace(chr(39), chr(34))}' & {deaf}"), ENV, ROOT)
    task = asyncio.ensure_future(run_hook(gated, 60, quiet, (), Manners(grace_seconds=60)))
    await until(lambda: len(pids(notes)) == 2)
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not any(alive(pid) for pid in [gated.child.pid, *pids(notes)])


@pytest.mark.parametrize("script", ["yes 'a line that somebody wrote'", "cat /dev/zero"], ids=["lines", "no line"])
async def test_a_hundred_megabytes_are_read_and_a_few_lines_kept(script: str) -> None:
    """The command is never blocked by what it writes, and what is passed on stays bounded."""
    lines: list[str] = []
    result = await run_script(f"{script} | head -c 100000000; echo; echo end", limit=55, on_line=lines.append)
    assert (result.ok, result.last_line) == (True, "end")
    assert len(result.tail) <= 4000
    assert max(len(line) for line in lines) <= 2000
    assert len(lines) <= 201 * (result.seconds + 3)
    print(f"100 MB of output: {result.seconds:.1f} s, {len(lines)} lines told, {result.dropped_lines} dropped")


async def test_bytes_that_are_no_text_become_harmless_lines() -> None:
    """Nothing that a terminal could obey is told."""
    lines: list[str] = []
    result = await run_script("head -c 60000 /dev/urandom; printf '\n\\033[2J\\007\n'", on_line=lines.append)
    assert result.ok
    assert all(line.isprintable() for line in lines)
    assert (result.last_line, result.last_line_exact) == ("\\x1b[2J\\x07", False)


async def test_a_secret_that_comes_in_two_pieces_is_hidden() -> None:
    """The second half is written only when the first was surely read."""
    lines: list[str] = []
    script = "echo ready; printf 'my pass'; sleep 0.3; printf 'word=hunter2 is'; sleep 0.3; echo ' secret'"
    result = await run_script(script, redact=[re.compile(r"password=\S+")], on_line=lines.append)
    assert lines == ["ready", "my *** is secret"]
    assert (result.tail, result.last_line, result.last_line_exact) == ("ready\nmy *** is secret", lines[1], False)


async def test_a_last_line_that_nothing_closes_is_a_line() -> None:
    """Also when the command is killed while it writes it."""
    assert (await run_script("printf 'a\nhalf'")).last_line == "half"
    assert (await run_script("printf half; sleep 60", limit=0.3)).last_line == "half"


async def test_a_small_question_is_written_down_before_it_is_asked(tmp_path: Path) -> None:
    """Who it is comes first, and whoever can't write it down gets no answer."""
    mark = tmp_path / "mark"
    seen: list[tuple[Child, bool]] = []

    async def started(child: Child) -> None:
        seen.append((child, mark.exists()))

    async def fails(child: Child) -> None:
        raise OSError(28, "no space")

    argv = ("/bin/touch", str(mark))
    with pytest.raises(OSError, match="no space"):
        await run_small(argv, ENV, ROOT, "", 10, started=fails)
    assert not mark.exists()
    assert (await run_small(argv, ENV, ROOT, "", 10, started=started)).ok
    assert [known for _, known in seen] == [False]
    assert mark.exists()


async def test_a_defect_in_reading_is_told_and_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """It must not look like a command that said nothing."""
    monkeypatch.setattr("fleetroll_agent.hooks.lines.Sink.take", lambda sink, lines: 1 / 0)
    gated = await spawn(("/bin/sh", "-c", "echo one"), ENV, ROOT)
    with pytest.raises(ZeroDivisionError):
        await run_hook(gated, 10, quiet, (), QUICK)
    assert not alive(gated.child.pid)
