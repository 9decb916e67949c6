"""The first slot of a host: the newest listed release of a channel, through the same checks as every later one."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from fleetroll_agent import host
from fleetroll_agent.fetch import fetch_target
from fleetroll_agent.fetch.values import SourceFailed
from fleetroll_agent.jobs.agent_update import Found, described, fill_slot
from fleetroll_agent.jobs.values import PRODUCT
from fleetroll_agent.launcher.bootid import read_boot_id
from fleetroll_agent.launcher.install import first_record
from fleetroll_agent.session.facts import HostFacts
from fleetroll_agent.session.visit import visiting
from fleetroll_agent.slots import Slot, SlotStore
from fleetroll_agent.slots.disk import typed_disk_errors
from fleetroll_common.buildinfo import build_info
from fleetroll_common.trust import TrustClient
from fleetroll_common.values.clock import SystemClock
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError, RequestError, TrustError
from fleetroll_common.values.platform import Platform

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleetroll_agent.enrol import Wish
    from fleetroll_agent.identity.facts import Identity
    from fleetroll_agent.identity.store import IdentityStore
    from fleetroll_agent.session.repository import Repository
    from fleetroll_common.trust import ListedTarget


async def install_first(store: IdentityStore, identity: Identity, wish: Wish) -> str:
    """Install and write the first boot record; return the version.

    Raises:
        FleetrollError: no server, nothing listed for this host, or the bytes are not the signed ones.
        LauncherError: the boot record can't be written.
    """
    async with visiting(store, identity, _facts(identity, wish), SystemClock()) as repository:
        slot = await _slot(repository, identity, wish)
    await asyncio.to_thread(
        first_record,
        str(wish.folder),
        slot.path.name,
        str(slot.version),
        slot.sha256,
        wish.interpreter,
        slot.interpreter_abi,
    )
    return str(slot.version)


def choose(targets: Sequence[ListedTarget], channel: str, platform: Platform) -> Found:
    """Return the newest release of ``channel`` for ``platform`` among ``targets`` (newest first). Pure.

    Raises:
        RequestError: NO_ARTIFACT: there is none.
    """
    for target in targets:
        if target.custom and target.path.endswith(f"/{platform}.tar.zst"):
            found = described(target)
            if channel in found.custom.channels:
                return found
    text = f"no release in channel {channel!r} is listed for {platform}"
    raise RequestError(text, code=Code.NO_ARTIFACT, remedy="publish one, or name another channel", channel=channel)


async def _slot(repository: Repository, identity: Identity, wish: Wish) -> Slot:
    """Return the complete slot of the chosen release."""
    slots, clock = SlotStore(wish.folder), SystemClock()
    root, built_at = identity.enrolment.root, build_info().built_at
    trust = TrustClient(wish.folder / "trust", root, repository, clock, built_at)
    await asyncio.to_thread(trust.refresh)
    found = choose(await asyncio.to_thread(trust.targets, PRODUCT), wish.channel, Platform.current())
    slot = slots.find(found.custom.version, found.target.sha256)
    if slot is not None and (await asyncio.to_thread(slots.check, slot.path)).is_clean:
        return slot
    if slot is not None:
        text = f"the slot {slot.path.name} is not as it was signed"
        raise TrustError(text, code=Code.WRONG_HASH, remedy=f"remove {slot.path} and enroll again")
    cache = wish.folder / "cache"
    with typed_disk_errors("making the cache"):
        cache.mkdir(mode=0o700, exist_ok=True)
    archive = cache / f"{found.target.sha256}.tar.zst"
    try:
        await fetch_target(repository, found.target, archive, clock)
    except SourceFailed as error:
        raise AgentError(str(error), code=Code.DOWNLOAD_FAILED, remedy="run enroll again: it goes on") from error
    return await asyncio.to_thread(partial(fill_slot, slots, found, archive))


def _facts(identity: Identity, wish: Wish) -> HostFacts:
    """Return what a host says that runs nothing yet."""
    return HostFacts(
        host_name=wish.host_name,
        platform=Platform.current(),
        labels=identity.enrolment.labels,
        time_zone=host.time_zone(),
        disk_free_bytes=host.disk_free_bytes(wish.folder),
        boot_id=read_boot_id(),
        product=PRODUCT,
        version="",
        sha256="",
        highest_generation=0,
        previous_version="",
        on_trial=False,
        healthy=False,
        attempts=(),
        journal_id="",
        receipt=identity.receipt,
        timestamp_version=0,
    )
