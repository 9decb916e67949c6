"""Waiting with a deadline, on every Python that hosts have."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable

_T = TypeVar("_T")


async def within(seconds: float | None, work: Awaitable[_T]) -> _T:
    """Return the result of ``work``, which is cancelled when it takes longer than ``seconds`` (None = no bound).

    Unlike ``asyncio.wait_for`` before Python 3.12 it never swallows the caller's own cancellation, which that one does
    when the result comes in the same moment: a task that was to end then ran on for ever.

    Raises:
        asyncio.TimeoutError: the time was over, and ``work`` has ended without a result.
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task}, timeout=seconds)
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
    if task.cancelled():
        raise asyncio.TimeoutError
    return task.result()
