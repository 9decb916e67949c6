"""The host's own lock is asked by a process that is written down before it runs, as every other."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from fleetroll_agent.hooks.processes import read_process
from fleetroll_agent.jobs import effects, events
from fleetroll_agent.jobs.effects import AskGo, EndChild, OpenGate
from fleetroll_agent.jobs.events import GoGiven, Leaving, SessionOpened, StepStarted
from fleetroll_agent.jobs.lock import JobLock
from fleetroll_agent.jobs.runner import NOBODY
from fleetroll_agent.jobs.values import Stage
from fleetroll_agent.products import hands
from fleetroll_agent.products.stepping import lock_job
from fleetroll_agent.settings import Product
from fleetroll_agent.settings.product import Kind
from tests.faults.managed_host import CHILD, ManagedHost

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def staged() -> ManagedHost:
    host = ManagedHost.begin()
    host.stage(7)
    assert host.attempt.stage is Stage.STAGED
    return host


def test_the_process_is_written_down_and_ended_by_the_next_agent() -> None:
    host = staged()
    job = lock_job(host.last(AskGo).ask)
    host.writes = 0
    assert host.tell(StepStarted(job, CHILD)) == (OpenGate(job),)
    assert host.writes == 1
    host = host.crash()
    assert host.effects == [EndChild(NOBODY, CHILD)]
    host.tell(SessionOpened(1))
    host.go(7)
    assert host.attempt.work.child is None


def test_a_process_of_an_ask_that_is_void_is_let_run_by_nobody() -> None:
    host = staged()
    assert host.tell(StepStarted(lock_job(2), CHILD)) == ()
    host.tell(Leaving())
    assert host.tell(StepStarted(lock_job(1), CHILD)) == ()
    host = staged()
    host.tell(GoGiven(1, 7, 1))
    assert host.tell(StepStarted(lock_job(1), CHILD)) == ()
    assert host.attempt.work.child is None


class Outside:
    """Takes events; lets the machine's answer follow where it is one that writes."""

    def __init__(self, *, writes: bool) -> None:
        self.writes = writes
        self.hands: Any = None
        self.events: list[events.Event] = []
        self.asked = asyncio.Event()

    def post(self, event: events.Event) -> None:
        self.events.append(event)
        if isinstance(event, StepStarted) and self.writes:
            self.hands.do((OpenGate(event.job),))
        if isinstance(event, events.LockBusy):
            self.asked.set()

    def ask_go(self, _ask: effects.AskGo) -> None:
        self.asked.set()

    def must_wait(self) -> str:
        return ""


async def asked(folder: Path, monkeypatch: pytest.MonkeyPatch, *, writes: bool) -> Outside:
    """Let the lock be asked; its command leaves a file."""
    monkeypatch.setattr(hands, "GATE_SECONDS", 0.3 if not writes else 10.0)
    command = ("/bin/sh", "-c", f"touch {folder}/ran")
    product = Product(name="shop", kind=Kind.SLOTS, lock_command=command)
    outside = Outside(writes=writes)
    nothing: Any = None
    outside.hands = hands.ProductHands(outside, nothing, product, nothing, nothing, JobLock(folder))  # type: ignore[arg-type]
    outside.hands.do((AskGo(1, 7, 3, "a" * 64),))
    await asyncio.wait_for(outside.asked.wait(), 20.0)
    await outside.hands.stop()
    return outside


async def test_it_runs_once_it_is_written_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outside = await asked(tmp_path, monkeypatch, writes=True)
    (started,) = outside.events
    assert isinstance(started, StepStarted)
    assert started.job == lock_job(3)
    assert (tmp_path / "ran").exists()


async def test_it_never_runs_where_it_is_not_written_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outside = await asked(tmp_path, monkeypatch, writes=False)
    started, busy = outside.events
    assert isinstance(started, StepStarted)
    assert isinstance(busy, events.LockBusy)
    assert "not written down" in busy.message
    assert not (tmp_path / "ran").exists()
    assert read_process(started.child.pid) is None
