"""Where a release is looked up and fetched: at the server, or in what a person on this host has named."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from fleetroll_agent.bundle import open_source
from fleetroll_agent.fetch.values import is_transient
from fleetroll_agent.jobs.artefacts import Found, look_up, staging_failed
from fleetroll_agent.jobs.threads import in_thread
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError, FleetrollError, RequestError

if TYPE_CHECKING:
    from fleetroll_agent.bundle import Source
    from fleetroll_agent.fetch import TargetSource
    from fleetroll_agent.jobs.artefacts import Artefacts, Line
    from fleetroll_agent.jobs.effects import FillSlot, FindTarget
    from fleetroll_agent.jobs.events import StagingFailed, TargetFound
    from fleetroll_common.trust import TrustClient


async def find_release(trust: TrustClient, effect: FindTarget, product: str) -> tuple[Found, str]:
    """Return what the signed metadata lists, and a sentence for the journal where something was waived for it.

    Raises:
        TrustError, AgentError, RequestError: it is not listed, or the metadata can't be trusted or had.
    """
    if not effect.source:
        return await in_thread(partial(look_up, trust, effect.version, product)), ""
    source = await in_thread(partial(opened, effect))
    try:
        found, waived = await source.find(trust, product, effect.version)
    except FleetrollError as error:
        raise _away(error, effect) from error
    return found, waived_words(effect.source, waived)


async def source_of(effect: FillSlot, line: Line) -> TargetSource:
    """Return where the bytes come from.

    Raises:
        SourceFailed: the session is over.
        RequestError, TrustError: what a person named is gone, or can't be read any more.
    """
    if not effect.source:
        return line.repository(effect.session)
    return (await in_thread(partial(opened, effect))).targets


async def found_here(
    artefacts: Artefacts, trust: TrustClient, effect: FindTarget, line: Line, error: FleetrollError
) -> TargetFound | StagingFailed:
    """Return the version before where an attempt leads back to it, listed or not; else what ``error`` means."""
    try:
        kept = await in_thread(partial(artefacts.still_here, trust, effect, error))
    except FleetrollError as other:
        return await staging_failed(effect, line, other)
    return kept if kept is not None else await staging_failed(effect, line, error)


async def fill_from(artefacts: Artefacts, found: Found | None, effect: FillSlot, line: Line) -> None:
    """Make the slot of what was found; what was found on this disk alone is checked, byte for byte.

    Raises:
        TrustError, AgentError, RequestError, SourceFailed: as :meth:`Artefacts.stage` and :func:`source_of`.
    """
    if found is None:
        await in_thread(partial(artefacts.checked, effect.version, effect.sha256))
    else:
        await artefacts.stage(found, await source_of(effect, line))


def opened(effect: FindTarget | FillSlot) -> Source:
    """Return what an attempt takes from beside the server. Blocks.

    Raises:
        RequestError, TrustError: what a person named is gone, or can't be read any more.
        AgentError: UNAVAILABLE: no mirror is there now; the host's own attempts, for which agent.toml names it, wait.
    """
    try:
        return open_source(effect.source, bundles=not effect.by_host)
    except RequestError as error:
        if not effect.by_host:
            raise
        raise AgentError(error.message, code=Code.UNAVAILABLE, remedy=error.remedy, **error.details) from error


def waived_words(source: str, waived: tuple[str, ...]) -> str:
    """Return what is said about roles whose expiry was waived; empty for none."""
    if not waived:
        return ""
    return f"taken from {source}: its {' and '.join(waived)} had expired, which is waived for a bundle alone"


def _away(error: FleetrollError, effect: FindTarget) -> FleetrollError:
    """Return the error of a place that can't be read now; one of this host's own, its disk or a lock, as it is."""
    if not is_transient(error) or error.code in (Code.DISK_FULL, Code.LOCKED):
        return error
    remedy = error.remedy if effect.by_host else f"see to {effect.source} and the way there; then run it again"
    return AgentError(error.message, code=Code.UNAVAILABLE, remedy=remedy, **error.details)
