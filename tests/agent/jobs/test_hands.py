"""Locks, self-tests, and that every effect has somebody who does it."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from fleetroll_agent.jobs import hands
from fleetroll_agent.jobs.effects import Effect
from fleetroll_agent.jobs.lock import JobLock
from fleetroll_agent.jobs.self_test import judge, run_self_test
from fleetroll_agent.jobs.threads import in_thread
from fleetroll_agent.products import hands as product_hands
from fleetroll_agent.waiting import within
from fleetroll_common.values.codes import Code

SLEEPS = "import time; time.sleep(60)"
GOOD = b'{"version": "1.1.0", "sha": "abc"}\n'


def entry(folder: Path, text: str) -> Path:
    path = folder / "entry.py"
    path.write_text(text)
    return path


def runs(stat: Path) -> bool:
    """Tell whether the process of ``stat`` runs still; one that nobody has asked for its end yet does not."""
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_every_effect_is_done_by_somebody() -> None:
    assert set(hands._DO) | set(product_hands._DO) == set(Effect.__args__)


def test_the_job_lock_is_one_for_the_host(tmp_path: Path) -> None:
    mine, other = JobLock(tmp_path), JobLock(tmp_path)
    assert mine.take()
    assert mine.take()
    assert not other.take()
    mine.release()
    mine.release()
    assert other.take()
    other.release()


def test_a_lock_that_cannot_be_looked_at_counts_as_taken(tmp_path: Path) -> None:
    assert not JobLock(tmp_path / "absent").take()
    (tmp_path / "job.lock").symlink_to(tmp_path / "elsewhere")
    assert not JobLock(tmp_path).take()


@pytest.mark.parametrize(
    ("said", "exit_code", "code"),
    [
        (GOOD, 0, None),
        (GOOD, 1, Code.SELF_TEST_FAILED),
        (b"", 0, Code.SELF_TEST_FAILED),
        (b"[]", 0, Code.SELF_TEST_FAILED),
        (b'{"sha": "abc"}', 0, Code.SELF_TEST_FAILED),
        (b'{"version": "1.1.1"}', 0, Code.VERSION_MISMATCH),
        (b'{"version": 11}', 0, Code.VERSION_MISMATCH),
    ],
)
def test_a_self_test_must_say_the_releases_version(said: bytes, exit_code: int, code: Code | None) -> None:
    assert judge(said, b"", exit_code, "1.1.0").code is code


async def test_the_last_lines_of_a_failing_program_are_kept(tmp_path: Path) -> None:
    program = entry(tmp_path, "import sys\nprint('x' * 50000, file=sys.stderr)\nsys.exit('no such library')")
    verdict = await run_self_test(sys.executable, program, tmp_path, "1.1.0")
    assert (verdict.code, verdict.by_itself) == (Code.SELF_TEST_FAILED, True)
    assert verdict.output_tail.endswith("no such library\n")
    assert len(verdict.output_tail) == 2000


async def test_a_program_that_does_not_end_is_a_failed_self_test(tmp_path: Path) -> None:
    verdict = await run_self_test(sys.executable, entry(tmp_path, SLEEPS), tmp_path, "1.1.0", limit=0.3)
    assert (verdict.code, "0.3 s" in verdict.message) == (Code.SELF_TEST_FAILED, True)
    assert not verdict.by_itself


async def test_the_end_of_a_self_test_ends_all_that_the_program_started(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    text = f"import pathlib, subprocess, sys\nchild = subprocess.Popen([sys.executable, '-c', {SLEEPS!r}])\n"
    text += f"path = pathlib.Path({str(pid_file)!r})\npath.with_suffix('.new').write_text(str(child.pid))\n"
    text += f"path.with_suffix('.new').rename(path)\n{SLEEPS}"
    work = asyncio.create_task(run_self_test(sys.executable, entry(tmp_path, text), tmp_path, "1.1.0"))
    while not pid_file.exists():
        await asyncio.sleep(0.02)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    stat = Path(f"/proc/{pid_file.read_text()}/stat")
    async with asyncio.timeout(10):  # a killed process takes a moment to die on a busy machine
        while runs(stat):
            await asyncio.sleep(0.02)


async def test_an_interpreter_that_is_not_there_is_a_failed_self_test(tmp_path: Path) -> None:
    verdict = await run_self_test("/nowhere/python3", tmp_path / "entry.py", tmp_path, "1.1.0")
    assert (verdict.code, verdict.by_itself) == (Code.SELF_TEST_FAILED, False)


@pytest.mark.parametrize(("number", "by_itself"), [("SIGKILL", False), ("SIGTERM", False), ("SIGSEGV", True)])
async def test_a_self_test_that_somebody_else_ended_proves_nothing(
    tmp_path: Path, number: str, by_itself: bool
) -> None:
    text = "import os, resource, signal\nresource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n"
    text += f"os.kill(os.getpid(), signal.{number})"
    verdict = await run_self_test(sys.executable, entry(tmp_path, text), tmp_path, "1.1.0")
    assert (verdict.code, verdict.by_itself) == (Code.SELF_TEST_FAILED, by_itself)


async def test_a_self_test_sees_nothing_of_this_programs_input(tmp_path: Path) -> None:
    text = "import json, sys\nassert sys.stdin.read() == ''\nprint(json.dumps({'version': '1.1.0'}))"
    assert (await run_self_test(sys.executable, entry(tmp_path, text), tmp_path, "1.1.0")).code is None


async def test_a_cancelled_thread_is_waited_for() -> None:
    events: list[str] = []
    started, may_end = asyncio.Event(), os.pipe()
    loop = asyncio.get_running_loop()

    def work() -> None:
        loop.call_soon_threadsafe(started.set)
        os.read(may_end[0], 1)
        events.append("thread ended")

    task = asyncio.create_task(in_thread(work))
    await started.wait()
    task.cancel()
    await asyncio.sleep(0)
    os.write(may_end[1], b"x")
    with pytest.raises(asyncio.CancelledError):
        await task
    assert events == ["thread ended"]
    for handle in may_end:
        os.close(handle)


async def test_a_cancellation_is_raised_although_the_result_comes_in_the_same_moment() -> None:
    result: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(within(10, result))
    await asyncio.sleep(0)
    result.set_result(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_wait_that_is_over_ends_the_work() -> None:
    ended: list[bool] = []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(True)

    with pytest.raises(asyncio.TimeoutError):
        await within(0.01, work())
    assert ended == [True]
