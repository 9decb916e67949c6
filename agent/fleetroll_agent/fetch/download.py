"""One download: from a source that nobody trusts to a file that has its name because it is right.

What ends a call, and what it leaves:

- the signed bytes: the final file;
- the source stops, stalls or is too slow: DOWNLOAD_FAILED, the part stays for the next call (transient);
- the host is full: DISK_FULL, the part is removed, for the host needs the space more (transient);
- more bytes than signed, or other ones: WRONG_HASH, the part is removed (permanent). Bytes that lay on the disk before
  this call get the blame first: then all of it is fetched once more before the source is accused.

Waiting between calls, and how many there are, is the job's business.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from fleetroll_agent.fetch.partial import Partial
from fleetroll_agent.fetch.patience import Patience
from fleetroll_agent.fetch.values import DownloadLimits, SourceFailed, TargetSource, Wanted
from fleetroll_agent.slots.disk import typed_disk_errors
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError, TrustError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from fleetroll_common.values.clock import Clock

_T = TypeVar("_T")

_SPOILED = frozenset({Code.WRONG_HASH, Code.DISK_FULL})
"""What leaves no part behind."""

_LEAVE_SECONDS = 5.0
"""How long a source may take to notice that nobody listens any more."""


async def fetch_target(
    source: TargetSource,
    target: Wanted,
    dest: Path,
    clock: Clock,
    limits: DownloadLimits | None = None,
    on_bytes: Callable[[int], None] | None = None,
) -> Path:
    """Fetch ``target`` to ``dest`` and return ``dest``; at once when it is there already.

    Args:
        source: where the bytes come from.
        target: path, length and sha256 as signed.
        dest: the final file, in an existing folder; ``.part`` and ``.note`` beside it are this function's own.
        clock: its monotonic reading bounds the call.
        limits: None = the fleet's defaults.
        on_bytes: told after each piece how many bytes there are.

    Raises:
        AgentError: DOWNLOAD_FAILED or DISK_FULL, both worth another call (network or host); INTERNAL for a broken disk.
        TrustError: WRONG_HASH (the source's fault).
    """
    partial = Partial(dest, target)
    doing = f"downloading {target.path}"
    with typed_disk_errors(doing):
        if await _in_thread(partial.is_done):
            return dest
    patience = Patience(clock, limits or DownloadLimits(), target.length)
    try:
        with typed_disk_errors(doing):
            await _in_thread(partial.resume)
            await _fill(source, target, partial, patience, on_bytes or _ignore)
            await _in_thread(partial.finish)
    except (TrustError, AgentError) as error:
        if error.code in _SPOILED:
            with contextlib.suppress(OSError):
                partial.remove()
        raise
    finally:
        partial.close()
    return dest


async def _fill(
    source: TargetSource, target: Wanted, partial: Partial, patience: Patience, on_bytes: Callable[[int], None]
) -> None:
    """Receive until the signed bytes are there; a part from earlier that spoils the hash is replaced once."""
    resumed = partial.size > 0
    await _receive(source, target, partial, patience, on_bytes)
    if resumed and not partial.is_right():
        await _in_thread(partial.restart)
        await _receive(source, target, partial, patience, on_bytes)
    if not partial.is_right():
        _accuse(target, "the bytes have not the signed hash")


async def _receive(
    source: TargetSource, target: Wanted, partial: Partial, patience: Patience, on_bytes: Callable[[int], None]
) -> None:
    """Append what the source sends until the signed length is reached."""
    if partial.size == target.length:
        return
    stream = source.open(target.path, partial.size)
    try:
        while partial.size < target.length:
            piece = await _next_piece(stream, target, partial, patience)
            if partial.size + len(piece) > target.length:
                _accuse(target, f"the source sends more than the signed {target.length} bytes")
            partial.append(piece)
            on_bytes(partial.size)
    finally:
        await _close(stream)


async def _next_piece(stream: AsyncIterator[bytes], target: Wanted, partial: Partial, patience: Patience) -> bytes:
    """Wait for the next bytes, within both deadlines."""
    try:
        piece = await _within(stream, patience.left_seconds())
    except StopAsyncIteration as error:
        _interrupted(target, partial, "the source ended early", error)
    except asyncio.TimeoutError as error:
        _interrupted(target, partial, patience.verdict() or "the source gave up waiting", error)
    except (SourceFailed, OSError) as error:
        _interrupted(target, partial, str(error) or type(error).__name__, error)
    verdict = patience.verdict()
    if verdict:
        _interrupted(target, partial, verdict, None)
    if piece:
        patience.progressed()
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


async def _in_thread(work: Callable[[], _T]) -> _T:
    """Run ``work`` in a thread, to its end: a cancelled download must not leave a thread behind that still writes."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise


def _ignore(_size: int) -> None:
    """Nobody asked."""


def _interrupted(target: Wanted, partial: Partial, reason: str, cause: BaseException | None) -> NoReturn:
    """Give up for now; what is there stays."""
    message = f"download of {target.path}: {reason}, at {partial.size} of {target.length} bytes"
    details = {"path": target.path, "received_bytes": str(partial.size), "reason": reason}
    remedy = "it goes on where it stopped"
    raise AgentError(message, code=Code.DOWNLOAD_FAILED, remedy=remedy, **details) from cause


def _accuse(target: Wanted, reason: str) -> NoReturn:
    """Refuse what the source sent."""
    message = f"download of {target.path}: {reason}"
    remedy = "compare the server's artefact with the published one"
    raise TrustError(message, code=Code.WRONG_HASH, remedy=remedy, path=target.path, reason=reason)
