"""Blocking work off the loop, so that a cancellation never leaves a thread behind that still writes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")


async def in_thread(work: Callable[[], _T]) -> _T:
    """Run ``work`` in a thread, to its end: a cancellation is raised only when the thread is done."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise
