"""After a restart: what the journal names is ended, and nobody else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fleetroll_agent.hooks import orphans
from fleetroll_agent.hooks.gate import Gated, spawn
from fleetroll_agent.hooks.orphans import end_child
from fleetroll_agent.hooks.pace import Pace
from fleetroll_agent.hooks.processes import has_variable, read_process, strike
from fleetroll_agent.jobs.work import Child
from fleetroll_agent.launcher.bootid import read_boot_id
from fleetroll_common.values.clock import FakeClock
from tests.faults.hooks import ENV, ROOT, alive, kill, pids, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

AGENT = """
import asyncio, os, signal, sys
from pathlib import Path
from fleetroll_agent.hooks.gate import spawn
async def main():
    env = {"PATH": os.environ["PATH"], "FLEETROLL_ATTEMPT": "7"}
    gated = await spawn(("/bin/sh", "-c", sys.argv[1]), env, Path("/"))
    print(gated.child.pid, gated.child.start_ticks, flush=True)
    gated.open()
    sys.stdin.readline()
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""


@pytest.fixture
async def sleeper() -> AsyncIterator[Gated]:
    gated = await spawn(("sleep", "60"), ENV, ROOT)
    gated.open()
    yield gated
    await gated.abandon()


async def left_by_a_killed_agent(script: str, notes: Path, count: int) -> Child:
    """Run ``script`` by an agent that is killed once ``count`` processes have noted themselves."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", AGENT, script], stdin=pipe, stdout=pipe) as agent:
        pid, ticks = map(int, agent.stdout.readline().split())
        await until(lambda: len(pids(notes)) == count)
        agent.stdin.write(b"die\n")
    return Child(pid, ticks, read_boot_id())


async def test_a_command_that_outlived_its_agent_is_killed_with_its_session(tmp_path: Path) -> None:
    """Deaf children and groups of their own included."""
    notes = tmp_path / "pids"
    script = f"trap '' TERM HUP; sleep 60 & echo $! >> {notes}; timeout 60 sleep 60 & echo $! >> {notes}; wait"
    child = await left_by_a_killed_agent(script, notes, 2)
    assert all(alive(pid) for pid in [child.pid, *pids(notes)])
    assert await end_child(child)
    assert not any(alive(pid) for pid in [child.pid, *pids(notes)])
    assert await end_child(child)


async def test_what_a_command_left_after_its_own_end_is_killed_by_its_mark(tmp_path: Path) -> None:
    """The leader is gone and collected; of its session only what carries a hook's variables is taken."""
    notes, others = tmp_path / "pids", tmp_path / "others"
    script = f"env -i sleep 60 & echo $! > {others}; sleep 60 & echo $! > {notes}"
    gated = await spawn(("/bin/sh", "-c", script), {**ENV, orphans.MARK: "7"}, ROOT)
    gated.open()
    await until(gated.ended)
    gated.collect()
    (marked,), (other,) = pids(notes), pids(others)
    try:
        await until(lambda: not has_variable(other, orphans.MARK))  # between its fork and its exec it still has it
        assert (alive(gated.child.pid), alive(marked), alive(other)) == (False, True, True)
        assert await end_child(gated.child)
        assert (alive(marked), alive(other)) == (False, True)
    finally:
        kill(other)


@pytest.mark.parametrize(
    "change", [{"start_ticks": 1}, {"boot_id": "another"}, {"boot_id": ""}, {"start_ticks": 0}], ids=str
)
async def test_another_process_with_that_number_is_left_alone(sleeper: Gated, change: dict[str, str | int]) -> None:
    """Another start, another boot, or a note that names nothing: what was written down is gone."""
    assert await end_child(replace(sleeper.child, **change))  # type: ignore[arg-type]
    assert alive(sleeper.child.pid)


@pytest.mark.parametrize("pid", [1, 0, -1])
async def test_a_number_that_means_everybody_is_never_struck(pid: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A damaged journal must not end the host."""
    struck: list[int] = []
    monkeypatch.setattr(os, "kill", lambda *call: struck.append(call[0]))
    first = read_process(1)
    assert await end_child(Child(pid, first.start_ticks, read_boot_id()))
    strike(pid, signal.SIGKILL)
    assert struck == []


async def test_one_that_does_not_die_is_waited_for_no_longer_than_the_bound(
    sleeper: Gated, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that waits for a dead disk: the answer is no."""
    clock = FakeClock()

    async def sleep(seconds: float) -> None:
        clock.advance(seconds)

    struck: list[int] = []
    monkeypatch.setattr(orphans, "strike", lambda pid, number: struck.append(pid))
    begin = clock.monotonic()
    assert not await end_child(sleeper.child, Pace(clock, sleep))
    assert clock.monotonic() - begin == pytest.approx(10)
    assert set(struck) == {sleeper.child.pid}


async def test_a_command_that_was_never_let_go_is_killed_too() -> None:
    """The journal does not say whether the word was given."""
    gated = await spawn(("true",), ENV, ROOT)
    assert await end_child(gated.child)
    assert gated.ended().signal == signal.SIGKILL
    gated.collect()
