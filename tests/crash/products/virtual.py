"""A loop and clocks whose time passes at once: hours of a host's life take milliseconds, the same ones each time."""

from __future__ import annotations

import heapq
from asyncio import base_events
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine

MAX_ROUNDS = 40_000
"""A host that is not quiet after so many turns of the loop never will be: an update takes some 600."""
START = datetime(2026, 1, 1, tzinfo=UTC)


class VirtualLoop(base_events.BaseEventLoop):
    """Runs what is ready; when nothing is, the next timer's instant has come; when there is none, all is quiet."""

    def __init__(self) -> None:
        super().__init__()
        self.at = 0.0
        self.rounds = 0
        self.turns = 0
        """Of callbacks: within one of them nothing else can come in between."""
        self.asked = 0
        """Callbacks that were asked for: those of one instant run in this order."""
        self.broken: BaseException | None = None
        """What ends the run after the callback at hand: the death of the process, or a broken promise."""
        self._only_ready = False
        self.set_exception_handler(lambda _loop, _context: None)

    def time(self) -> float:
        return self.at

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> Any:  # type: ignore[override]
        self.asked += 1
        return super().call_at(when, callback, *args, context=context)

    def _call_soon(self, callback: Any, args: Any, context: Any) -> Any:
        self.asked += 1
        return super()._call_soon(callback, args, context)  # type: ignore[misc]

    def until_quiet(self, work: Coroutine[Any, Any, None]) -> None:
        """Run ``work`` and whatever it starts until nothing is left that could happen; raises what broke the run."""
        task = self.create_task(work)
        try:
            self.run_forever()
        finally:
            self.broken = None
        if task.done() and not task.cancelled():
            task.result()

    def end_all(self, tasks: set[Any]) -> None:
        """Cancel ``tasks`` and let them come to their end, as far as a dead process can."""
        for task in tasks:
            task.cancel()
        self._only_ready = True
        self.run_forever()
        self._only_ready = False

    def _run_once(self) -> None:
        ready: Any = self._ready  # type: ignore[attr-defined]
        scheduled: Any = self._scheduled  # type: ignore[attr-defined]
        while scheduled and scheduled[0]._cancelled:
            heapq.heappop(scheduled)._scheduled = False
        if not ready and (self._only_ready or not scheduled):
            self.stop()
            return
        if not ready:
            self.at = max(self.at, scheduled[0]._when)
        while scheduled and scheduled[0]._when <= self.at:
            handle = heapq.heappop(scheduled)
            handle._scheduled = False
            ready.append(handle)
        for _ in range(len(ready)):
            self._one(ready.popleft())
        self.rounds += 1
        if self.rounds > MAX_ROUNDS:
            raise AssertionError(f"not quiet after {self.at:.0f} s")

    def _one(self, handle: Any) -> None:
        if not handle._cancelled:
            self.turns += 1
            handle._run()
        if self.broken is not None:
            raise self.broken


class VirtualClock:
    """The clocks of the host; the wall clock can be set wrong."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self.wrong_by = timedelta()
        self.looks = 0

    def now(self) -> datetime:
        self.looks += 1
        return START + timedelta(seconds=self._loop.at) + self.wrong_by

    def monotonic(self) -> float:
        return 1000.0 + self._loop.at

    def boottime(self) -> float:
        return 5000.0 + self._loop.at
