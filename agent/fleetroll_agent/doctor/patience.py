"""Work that may never come back: a name server, a dead share, a pipe in the place of a file. It is waited for so long.

A thread can't be ended from outside; one that hangs is left behind, and ends with the process.
"""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_T = TypeVar("_T")


def within(seconds: float, work: Callable[[], _T]) -> _T:
    """Return what ``work`` returns, or raise what it raises.

    Raises:
        TimeoutError: it took longer than ``seconds``.
    """
    return _take(_begin(work), seconds)


def all_within(seconds: float, works: Sequence[Callable[[], _T]], late: _T) -> list[_T]:
    """Do all of ``works`` side by side; ``late`` stands for what took longer. None of them may raise."""
    until = time.monotonic() + seconds
    return [_take_or(answer, until, late) for answer in [_begin(work) for work in works]]


_Answer = queue.SimpleQueue[tuple[_T | None, BaseException | None]]


def _begin(work: Callable[[], _T]) -> _Answer[_T]:
    answer: _Answer[_T] = queue.SimpleQueue()

    def run() -> None:
        try:
            answer.put((work(), None))
        except Exception as error:  # noqa: BLE001 (it is raised where it is waited for)
            answer.put((None, error))

    threading.Thread(target=run, daemon=True).start()
    return answer


def _take_or(answer: _Answer[_T], until: float, late: _T) -> _T:
    try:
        return _take(answer, max(0.0, until - time.monotonic()))
    except TimeoutError:
        return late


def _take(answer: _Answer[_T], seconds: float) -> _T:
    try:
        value, error = answer.get(timeout=seconds)
    except queue.Empty:
        message = f"no answer within {seconds:g} s"
        raise TimeoutError(message) from None
    if error is not None:
        raise error
    return value  # type: ignore[return-value]  # without an error it is what the work returned
