"""One download: from sources that nobody trusts to a file that has its name because it is right.

What ends a call, and what it leaves:

- the signed bytes: the final file;
- every source stops, stalls or is too slow: DOWNLOAD_FAILED, the part stays for the next call (transient);
- the host is full: DISK_FULL, the part is removed, for the host needs the space more (transient);
- the last source has more bytes than signed, or other ones: WRONG_HASH, the part is removed (permanent). Bytes that a
  source did not send itself (they lay on the disk before, or came from another one) get the blame first: then all of it
  is fetched once more before the source is accused.

Waiting between calls, and how many there are, is the job's business.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, TypeVar

import structlog

from fleetroll_agent.fetch.choice import Fault, SourcesInTurn, failure
from fleetroll_agent.fetch.partial import Partial
from fleetroll_agent.fetch.patience import Patience
from fleetroll_agent.fetch.receiving import Interrupted, Lied, Receiver
from fleetroll_agent.fetch.values import DownloadLimits
from fleetroll_agent.slots.disk import typed_disk_errors
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError, TrustError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from fleetroll_agent.fetch.choice import Offer
    from fleetroll_agent.fetch.pace import Pacer
    from fleetroll_agent.fetch.values import TargetSource, Wanted
    from fleetroll_common.values.clock import Clock

log = structlog.get_logger(__name__)

_T = TypeVar("_T")

_SPOILED = frozenset({Code.WRONG_HASH, Code.DISK_FULL})
"""What leaves no part behind."""


async def fetch_target(
    source: TargetSource | SourcesInTurn,
    target: Wanted,
    dest: Path,
    clock: Clock,
    limits: DownloadLimits | None = None,
    on_bytes: Callable[[int], None] | None = None,
    *,
    pacer: Pacer | None = None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Path:
    """Fetch ``target`` to ``dest`` and return ``dest``; at once when it is there already.

    Args:
        source: where the bytes come from: one source, or several in turn.
        target: path, length and sha256 as signed.
        dest: the final file, in an existing folder; ``.part`` and ``.note`` beside it are this function's own.
        clock: its monotonic reading bounds the call.
        limits: None = the fleet's defaults.
        on_bytes: told after each piece how many bytes there are.
        pacer: the host's bandwidth cap, shared by all its downloads; None = no cap.
        sleep: waits for the cap.

    Raises:
        AgentError: DOWNLOAD_FAILED or DISK_FULL, both worth another call (network or host); INTERNAL for a broken disk.
        TrustError: WRONG_HASH (the source's fault).
    """
    partial = Partial(dest, target)
    doing = f"downloading {target.path}"
    with typed_disk_errors(doing):
        if await _in_thread(partial.is_done):
            return dest
    choice = source if isinstance(source, SourcesInTurn) else SourcesInTurn(own=source)
    cap = pacer.bytes_per_second if pacer is not None else None
    patience = Patience(clock, limits or DownloadLimits(), target.length, cap)
    receiver = Receiver(target, partial, patience, on_bytes or _ignore, sleep, pacer)
    try:
        with typed_disk_errors(doing):
            await _in_thread(partial.resume)
            await _from_any(choice, receiver)
            await _in_thread(partial.finish)
    except (TrustError, AgentError) as error:
        if error.code in _SPOILED:
            with contextlib.suppress(OSError):
                partial.remove()
        raise
    finally:
        partial.close()
    return dest


async def _from_any(choice: SourcesInTurn, receiver: Receiver) -> None:
    """Ask one source after the other until the signed bytes are there.

    Raises:
        TrustError: WRONG_HASH: the last one lied.
        AgentError: DOWNLOAD_FAILED: the last one failed, or the time is up.
    """
    target, faults = receiver.target, list[Fault]()
    offers = choice.offers(target)
    for offer in offers:
        try:
            await _fill(offer, receiver)
        except Interrupted as error:
            faults.append(Fault(offer.name, str(error)))
            if offer is offers[-1] or receiver.patience.is_over():
                raise failure(target, faults, receiver.partial.size) from error
        except Lied as error:
            faults.append(Fault(offer.name, str(error), lied=True))
            if offer is offers[-1]:
                choice.liars.forget(target)
                raise failure(target, faults, receiver.partial.size) from error
            choice.liars.blame(target, offer.name)
            await _in_thread(receiver.partial.restart)
        else:
            choice.liars.forget(target)
            return
        log.warning("source_passed_over", source=offer.name, path=target.path, reason=faults[-1].reason)


async def _fill(offer: Offer, receiver: Receiver) -> None:
    """Receive from one source until the signed bytes are there; others' bytes that spoil the hash are replaced once."""
    partial = receiver.partial
    foreign = partial.size > 0
    await receiver.receive(offer.source)
    if foreign and not partial.is_right():
        await _in_thread(partial.restart)
        await receiver.receive(offer.source)
    if not partial.is_right():
        raise Lied("the bytes have not the signed hash")


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
