"""The first installation of a host: the slot that was chosen, and the boot record that names it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

from fleetroll_agent import host
from fleetroll_agent.first_slot import known_record, working_slot
from fleetroll_agent.launcher import files
from fleetroll_agent.launcher.bootid import read_boot_id
from fleetroll_agent.launcher.install import first_record
from fleetroll_agent.launcher.record import encode
from fleetroll_agent.launcher.values import SlotRef
from fleetroll_agent.session.facts import HostFacts
from fleetroll_agent.session.visit import visiting
from fleetroll_agent.slots.disk import typed_disk_errors
from fleetroll_common.durable import effects, free_name, sync_dir
from fleetroll_common.values.clock import SystemClock
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError
from fleetroll_common.values.platform import Platform

if TYPE_CHECKING:
    from fleetroll_agent.enrol import Wish
    from fleetroll_agent.first_slot import Chosen
    from fleetroll_agent.identity.facts import Identity
    from fleetroll_agent.identity.store import IdentityStore
    from fleetroll_agent.launcher.values import Record
    from fleetroll_agent.session.visit import Visit
    from fleetroll_agent.slots import Slot


async def install_first(store: IdentityStore, identity: Identity, wish: Wish) -> str:
    """Install and write the boot record; return what was done, as the middle of a sentence for people.

    Raises:
        AgentError: UNAVAILABLE or DOWNLOAD_FAILED: no server, or it went away; what was fetched is kept.
        FleetrollError: no release named that works here, a name that is refused, or the bytes are not the
            signed ones.
        LauncherError: the boot record can't be written.
    """
    async with visiting(store, identity, _facts(identity, wish), SystemClock()) as visit:
        chosen = await _chosen(visit, identity, wish)
    await asyncio.to_thread(_begin_with, wish, chosen.slot)
    passed_over = f" (passed over: {'; '.join(chosen.failed)})" if chosen.failed else ""
    return f"agent {chosen.slot.version} is installed, {chosen.ground}{passed_over}; "


async def _chosen(visit: Visit, identity: Identity, wish: Wish) -> Chosen:
    """Return the slot to begin with. Nothing here tries a broken line again: the person who asked does."""
    try:
        return await working_slot(visit, identity, wish)
    except AgentError as error:
        if error.code is not Code.DOWNLOAD_FAILED:
            raise
        remedy = "check that the server is reachable, then run enroll again: it goes on where it stopped"
        raise AgentError(error.message, code=error.code, remedy=remedy, **error.details) from error


def _begin_with(wish: Wish, slot: Slot) -> None:
    """Make ``slot`` what the launcher starts. What a record that can be read still knows is kept."""
    state, path = str(wish.folder), Path(files.record_path(str(wish.folder)))
    with typed_disk_errors("writing the boot record"):
        known = known_record(wish.folder)
        if known is not None:
            _go_on(state, known, slot, wish.interpreter)
            return
        for damaged in (path, path.with_name(f"{path.name}.new")):
            if os.path.lexists(damaged):
                effects.rename(damaged, free_name(damaged.with_name(f"{damaged.name}.damaged")))
        sync_dir(wish.folder)
        reference = (slot.path.name, str(slot.version), slot.sha256, wish.interpreter, slot.interpreter_abi)
        first_record(state, *reference)


def _go_on(state: str, known: Record, slot: Slot, interpreter: str) -> None:
    """Put ``slot`` into a record whose own slots are lost. An armed attempt ends, as after a rebuilt record."""
    python = str(Path(interpreter).absolute())
    record = known._replace(
        seq=known.seq + 1,
        current=SlotRef(slot.path.name, str(slot.version), slot.sha256, python, slot.interpreter_abi),
        previous=None,
        trial=None,
        boot_id=read_boot_id(),
        crashes=(),
        recovered=True,
    )
    files.replace_file(files.record_path(state), encode(record))
    files.mark_good(state, slot.path.name, record.seq)


def _facts(identity: Identity, wish: Wish) -> HostFacts:
    """Return what a host says that runs nothing yet."""
    return HostFacts(
        host_name=wish.host_name,
        platform=Platform.current(),
        labels=identity.enrolment.labels,
        time_zone=host.time_zone(),
        disk_free_bytes=host.disk_free_bytes(wish.folder),
        boot_id=read_boot_id(),
        agent_version="",
        products=(),
        journal_id="",
        receipt=identity.receipt,
        timestamp_version=0,
    )
