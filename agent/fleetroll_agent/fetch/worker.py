"""A thread of its own for one blocking source.

Not the loop's pool: an address that is looked up in vain, or a share that hangs, can't be interrupted, and a pool waits
for its threads when the process ends. Nobody waits for this one.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")


class Worker:
    """Does one thing after the other, in the order in which it was asked."""

    def __init__(self, name: str) -> None:
        """Start the thread under ``name``."""
        self._asked: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any] | None]] = queue.SimpleQueue()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    async def do(self, work: Callable[[], _T]) -> _T:
        """Return what ``work`` returns, or raise what it raises. A cancellation leaves the thread to its work."""
        future: Future[_T] = Future()
        self._asked.put((work, future))
        return await asyncio.wrap_future(future)

    def end(self, last: Callable[[], None]) -> None:
        """Let the thread end after ``last``, which MUST raise nothing. Does not wait."""
        self._asked.put((last, None))

    def _run(self) -> None:
        while True:
            work, future = self._asked.get()
            if future is None:
                work()
                return
            if future.set_running_or_notify_cancel():
                _settle(future, work)


def _settle(future: Future[_T], work: Callable[[], _T]) -> None:
    """Put the end of ``work`` into ``future``."""
    try:
        result = work()
    except BaseException as error:  # noqa: BLE001 (it is raised where the result is awaited)
        future.set_exception(error)
    else:
        future.set_result(result)
