"""Processes that share a loop: whose callback runs now, what one may still do, and what is left of it when it ends.

Every callback and task of a process runs in its context. One that ended does nothing more: its callbacks are passed
over, its tasks are cancelled, and an effect or a message that their clean-up still tries raises ``Crash``.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar, copy_context
from functools import cache
from typing import TYPE_CHECKING, Any

from tests.crash.products.points import Crash, Points
from tests.crash.products.virtual import VirtualLoop

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

RUNNING: ContextVar[Process | None] = ContextVar("running", default=None)


class Process:
    """One process."""

    def __init__(self, loop: SharedLoop, role: str) -> None:
        """Begin without anything that runs."""
        self._loop = loop
        self.role = role
        self.dead = False
        self.tasks: list[asyncio.Task[Any]] = []
        self.handlers: dict[int, Callable[..., None]] = {}
        self._context = copy_context()
        self._context.run(RUNNING.set, self)

    def soon(self, work: Callable[..., None], *args: object) -> None:
        """Let it do ``work`` behind what was asked for before."""
        self._loop.call_soon(self._do, work, args, context=self._context)

    def later(self, at: float, work: Callable[..., None], *args: object) -> asyncio.TimerHandle:
        """Let it do ``work`` at the instant ``at``."""
        return self._loop.call_at(at, self._do, work, args, context=self._context)  # type: ignore[no-any-return]

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Let it run ``work``."""
        self._loop.create_task(work, context=self._context)

    def end(self) -> None:
        """Be gone."""
        self.dead = True
        for task in self.tasks:
            task.cancel()

    def _do(self, work: Callable[..., None], args: tuple[object, ...]) -> None:
        if self.dead:
            return
        try:
            work(*args)
        except AssertionError as error:
            self._loop.broken = error
            raise


class SharedLoop(VirtualLoop):
    """The loop of all processes of a host."""

    def __init__(self, is_over: Callable[[], bool]) -> None:
        """Stop when nothing is ready and ``is_over``: there is always somebody who beats."""
        super().__init__()
        self._is_over = is_over
        self.set_task_factory(_owned)

    def add_signal_handler(self, sig: int, callback: Any, *args: Any) -> None:  # type: ignore[override]  # no generics
        running().handlers[sig] = lambda: callback(*args)

    def remove_signal_handler(self, sig: int) -> bool:
        return running().handlers.pop(sig, None) is not None

    def _run_once(self) -> None:
        if not self._ready and not self._only_ready and self._is_over():  # type: ignore[attr-defined]
            self.stop()
            return
        super()._run_once()


class SharedPoints(Points):
    """The points of all processes, in the one order in which they come."""

    processes: Callable[[], Iterable[Process]]
    """Those that there may be."""

    @property
    def owner(self) -> str:
        return running().role

    @property
    def alive(self) -> frozenset[str]:
        return _roles(*(process.role for process in self.processes() if not process.dead))

    def reach(self, kind: str, name: object = "") -> None:
        if self.paused:
            return
        process = running()
        if process.dead:
            raise Crash
        super().reach(kind, name)
        if process.dead:
            raise Crash


@cache
def _roles(*roles: str) -> frozenset[str]:
    return frozenset(roles)


def running() -> Process:
    """Return the process that runs now."""
    process = RUNNING.get()
    if process is None:
        raise AssertionError("no process runs")
    return process


def _owned(loop: asyncio.AbstractEventLoop, work: Any, context: Any = None) -> asyncio.Task[Any]:
    task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, context=context)
    process = RUNNING.get() if context is None else context[RUNNING]
    if process is not None:
        process.tasks.append(task)
    return task
