"""Which slot a host begins with: a release that the server names, judged here before and after it is fetched.

1. The server names one version. It only chooses: whatever it names must be a version, not below what this host has
   kept before, and listed by the product's key, for this platform, in the channel that was asked for, and not forbidden
   by the product's publisher.
2. What was put back on this host before, or fails its self-test here, is passed over, and the server names another one.
3. What the server should not have named is refused, nothing is changed, and no other release is taken in its place.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import structlog

from fleetroll_agent.fetch import fetch_target
from fleetroll_agent.fetch.values import SourceFailed
from fleetroll_agent.jobs.artefacts import Found, fill_slot, look_up
from fleetroll_agent.jobs.keeper import ProductFile
from fleetroll_agent.jobs.ruling import here_of, objection
from fleetroll_agent.jobs.self_test import run_self_test
from fleetroll_agent.launcher import files
from fleetroll_agent.launcher.recovery import from_bytes
from fleetroll_agent.slots import Slot, SlotStore
from fleetroll_agent.slots.disk import typed_disk_errors
from fleetroll_common.buildinfo import build_info
from fleetroll_common.trust import TrustClient
from fleetroll_common.values.clock import SystemClock
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError, RequestError, TrustError
from fleetroll_common.values.version import MAX_VERSION_CHARS, Version

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from fleetroll_agent.enrol import Wish
    from fleetroll_agent.identity.facts import Identity
    from fleetroll_agent.launcher.values import Record
    from fleetroll_agent.session.beginning import Naming
    from fleetroll_agent.session.repository import Repository
    from fleetroll_agent.session.visit import Visit

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The slot to begin with, what speaks for it, and what was said of those that do not work here."""

    slot: Slot
    ground: str
    failed: Sequence[str]


def check_named(named: str, floor: Version | None) -> Version:
    """Return the version that a server named, as far as a host can judge it without the signed metadata.

    Raises:
        RequestError: INVALID_ARGUMENT: it is no version; BELOW_FLOOR: it is older than ``floor`` (the server's fault).
    """
    try:
        version = Version.parse(named)
    except RequestError as error:
        text = f"the server named {named[:MAX_VERSION_CHARS]!r} to begin with, which is no version"
        raise RequestError(text, code=Code.INVALID_ARGUMENT, remedy="update the server") from error
    if floor is not None and version < floor:
        text = f"the server named {version} to begin with, but this host has kept {floor} before"
        remedy = "let a rollout complete a newer release; or move boot.json away, and this host begins anew"
        raise RequestError(text, code=Code.BELOW_FLOOR, remedy=remedy, version=str(version), floor=str(floor))
    return version


def floor_of(known: Record | None) -> Version | None:
    """Return what nothing older may be installed over: what an earlier record runs, unless that was put back as bad."""
    if known is None or known.current.digest in known.bad:
        return None
    return Version.parse(known.current.version)


async def working_slot(visit: Visit, identity: Identity, wish: Wish) -> Chosen:
    """Return the slot of a release that the server names and that passes its self-test here.

    It ends: every turn passes over one more of the releases that are listed.
    """
    slots, clock = SlotStore(wish.folder), SystemClock()
    root, built_at = identity.enrolment.root, build_info().built_at
    trust = TrustClient(wish.folder / "trust", root, visit.repository, clock, built_at)
    known = await asyncio.to_thread(known_record, wish.folder)
    failed: dict[Version, str] = {}
    while True:
        named, ground = await _named(visit.naming, wish, failed)
        version = check_named(named, floor_of(known))
        if version in failed:
            raise _nothing_works(wish, failed)
        found = await asyncio.to_thread(_listed, trust, version, wish)
        check_ruled(found, known, await asyncio.to_thread(_remembered, wish.folder))
        if known is not None and found.target.sha256 in known.bad:
            failed[version] = "it was put back on this host before"
            continue
        slot = await _slot(visit.repository, slots, found, wish)
        complaint = await _complaint(slot, wish)
        if not complaint:
            return Chosen(slot, ground, [f"{one}: {said}" for one, said in failed.items()])
        failed[version] = complaint


async def _named(naming: Naming, wish: Wish, failed: Mapping[Version, str]) -> tuple[str, str]:
    """Return what the server names, and what speaks for it.

    Raises:
        AgentError: SELF_TEST_FAILED: what it would name does not work here; UNAVAILABLE.
        RequestError: it names none.
    """
    try:
        return await naming.name_first(wish.channel, tuple(failed))
    except RequestError as error:
        if failed and error.code is Code.NO_FIRST_VERSION:
            raise _nothing_works(wish, failed) from error
        raise


def _nothing_works(wish: Wish, failed: Mapping[Version, str]) -> AgentError:
    """Return the error that says what was tried."""
    said = "; ".join(f"{version}: {why}" for version, why in failed.items())
    text = f"no release of channel {wish.channel!r} works on this host: {said}"
    remedy = "publish one that does, or name another channel, then run enroll again"
    return AgentError(text, code=Code.SELF_TEST_FAILED, remedy=remedy, channel=wish.channel)


def _listed(trust: TrustClient, version: Version, wish: Wish) -> Found:
    """Return the release as signed metadata lists it for this host. Blocks.

    Raises:
        TrustError: NOT_LISTED, or the metadata can't be trusted.
        RequestError: CHANNEL_NOT_ALLOWED: it is in other channels than the one that was asked for.
    """
    found = look_up(trust, str(version))
    if wish.channel not in found.custom.channels:
        text = f"the server named {version} to begin with, which is not in channel {wish.channel!r}"
        raise RequestError(text, code=Code.CHANNEL_NOT_ALLOWED, remedy="update the server", channel=wish.channel)
    return found


def check_ruled(found: Found, known: Record | None, remembered: str) -> None:
    """Refuse what the publisher, or this host's memory of what he ruled, forbids to begin with.

    Raises:
        RequestError: YANKED, NOT_LISTED, DIGEST_REVOKED, BELOW_FLOOR, BELOW_SUPPORTED (the server's fault).
    """
    here = here_of("" if known is None else known.current.version, remembered)
    said = objection(found.policy, found.custom.version, found.target.sha256, here)
    if said is not None:
        text = f"the server named {found.custom.version} to begin with: {said.message}"
        remedy = "update the server, or let a rollout complete a release that is allowed; then run enroll again"
        raise RequestError(text, code=said.code, remedy=remedy, version=str(found.custom.version))


def _remembered(folder: Path) -> str:
    """Return the floor that an earlier installation remembers; empty = none. Blocks."""
    return ProductFile(folder).read().floor


async def _complaint(slot: Slot, wish: Wish) -> str:
    """Return why the self-test fails; empty when the program works here."""
    verdict = await run_self_test(wish.interpreter, slot.path / slot.entry, wish.folder, str(slot.version))
    if verdict.code is None:
        return ""
    log.warning("self_test_failed", version=str(slot.version), reason=verdict.message, output=verdict.output_tail)
    if verdict.by_itself:
        # The launcher takes any complete slot when it has nothing else; it must not take this one.
        await asyncio.to_thread(_mark_bad, wish, slot)
    return f"{verdict.message} ({verdict.code})"


async def _slot(repository: Repository, slots: SlotStore, found: Found, wish: Wish) -> Slot:
    """Return the complete slot of a release."""
    slot = slots.find(found.custom.version, found.target.sha256)
    if slot is not None and (await asyncio.to_thread(slots.check, slot.path)).is_clean:
        return slot
    if slot is not None:
        text = f"the slot {slot.path.name} is not as it was signed"
        raise TrustError(text, code=Code.WRONG_HASH, remedy=f"remove {slot.path} and run enroll again")
    cache = wish.folder / "cache"
    with typed_disk_errors("making the cache"):
        cache.mkdir(mode=0o700, exist_ok=True)
    archive = cache / f"{found.target.sha256}.tar.zst"
    try:
        await fetch_target(repository, found.target, archive, SystemClock())
    except SourceFailed as error:
        raise AgentError(str(error), code=Code.DOWNLOAD_FAILED, remedy="run enroll again: it goes on") from error
    return await asyncio.to_thread(partial(fill_slot, slots, found, archive))


def known_record(folder: Path) -> Record | None:
    """Return the boot record of an earlier installation; None when there is none that can be read."""
    path = files.record_path(str(folder))
    try:
        found = from_bytes(files.read_small(path), files.read_small(f"{path}.new"))
    except OSError:
        return None
    return None if found is None else found.record


def _mark_bad(wish: Wish, slot: Slot) -> None:
    with typed_disk_errors(f"marking {slot.path.name}"):
        files.mark_bad(str(wish.folder), [slot.sha256])
