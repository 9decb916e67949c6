"""Bytes from one source into the part of one download, within the deadlines and under the host's cap."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fleetroll_agent.fetch.values import Skipped, SourceFailed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    from fleetroll_agent.fetch.pace import Pacer
    from fleetroll_agent.fetch.partial import Partial
    from fleetroll_agent.fetch.patience import Patience
    from fleetroll_agent.fetch.values import TargetSource, Wanted

_LEAVE_SECONDS = 5.0
"""How long a source may take to notice that nobody listens any more."""


class Interrupted(Exception):  # noqa: N818 (what happened, to whom; it becomes a typed error in this package)
    """The source stopped, stalled or was too slow. What came is kept. The message says which."""


class Lied(Exception):  # noqa: N818 (as above)
    """The source sent other bytes than the signed ones. The message says how that was seen."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """What receiving needs, whichever source is asked.

    Attributes:
        target: what is wanted.
        partial: the bytes that are there.
        patience: the deadlines.
        on_bytes: told after each piece how many bytes there are.
        sleep: waits for the cap, in seconds.
        pacer: the cap of the host; None = none.
    """

    target: Wanted
    partial: Partial
    patience: Patience
    on_bytes: Callable[[int], None]
    sleep: Callable[[float], Awaitable[None]]
    pacer: Pacer | None = None

    async def receive(self, source: TargetSource) -> None:
        """Append what the source sends until the signed length is reached.

        Raises:
            Interrupted: not all of it came.
            Lied: more came.
        """
        if self.partial.size == self.target.length:
            return
        self.patience.connected()
        stream = source.open(self.target.path, self.partial.size)
        try:
            while self.partial.size < self.target.length:
                await self._take(await self._next_piece(stream))
        finally:
            await _close(stream)

    async def _take(self, piece: bytes) -> None:
        """Count a piece and keep it, as fast as the cap allows."""
        kept = not isinstance(piece, Skipped)
        if kept and self.partial.size + len(piece) > self.target.length:
            raise Lied(f"the source sends more than the signed {self.target.length} bytes")
        for part in self._slices(piece):
            await self._pay(len(part))
            if kept:
                self.partial.append(part)
                self.on_bytes(self.partial.size)

    def _slices(self, piece: bytes) -> Iterable[bytes]:
        return self.pacer.slices(piece) if self.pacer is not None else (piece,)

    async def _pay(self, nbytes: int) -> None:
        """Wait until the cap has room for ``nbytes``."""
        seconds = self.pacer.delay(nbytes) if self.pacer is not None else 0.0
        if seconds > 0:
            with self.patience.paused():
                await self.sleep(seconds)

    async def _next_piece(self, stream: AsyncIterator[bytes]) -> bytes:
        """Wait for the next bytes, within all deadlines."""
        try:
            piece = await _within(stream, self.patience.left_seconds())
        except StopAsyncIteration as error:
            raise Interrupted("the source ended early") from error
        except asyncio.TimeoutError as error:
            raise Interrupted(self.patience.verdict() or "the source gave up waiting") from error
        except (SourceFailed, OSError) as error:
            raise Interrupted(str(error) or type(error).__name__) from error
        verdict = self.patience.verdict()
        if not verdict and piece:
            self.patience.progressed(len(piece))
            verdict = self.patience.too_slow()
        if verdict:
            raise Interrupted(verdict)
        return piece


async def _within(stream: AsyncIterator[bytes], seconds: float) -> bytes:
    """Return the next piece; ``TimeoutError`` after ``seconds``.

    Not ``wait_for``: up to Python 3.11 it swallows a cancellation that arrives together with a piece.
    """
    step = asyncio.ensure_future(anext(stream))
    try:
        await asyncio.wait({step}, timeout=seconds)
        if not step.done():
            raise asyncio.TimeoutError
        return step.result()
    finally:
        step.cancel()
        await _leave(step)


async def _close(stream: AsyncIterator[bytes]) -> None:
    """Tell the source that nobody listens any more."""
    close = getattr(stream, "aclose", None)
    if close is not None:
        await _leave(asyncio.ensure_future(close()))


async def _leave(task: asyncio.Future[Any]) -> None:
    """Wait for a source's last step; what it has to say changes nothing any more."""
    await asyncio.wait({task}, timeout=_LEAVE_SECONDS)
    if task.done() and not task.cancelled():
        task.exception()
