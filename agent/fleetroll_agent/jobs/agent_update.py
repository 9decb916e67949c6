"""The pipeline of the product ``agent``, as far as it touches disk and network: find, fetch, verify, unpack, test.

Each step ends in an event for the rules; no step decides what follows.
"""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING

import structlog

from fleetroll_agent.fetch.values import SourceFailed
from fleetroll_agent.jobs.artefacts import Artefacts, Found, Ways, about, staging_failed
from fleetroll_agent.jobs.events import SelfTested, SlotReady, TargetFound
from fleetroll_agent.jobs.finding import fill_from, find_release, found_here
from fleetroll_agent.jobs.self_test import run_self_test
from fleetroll_agent.jobs.threads import in_thread
from fleetroll_agent.jobs.values import PRODUCT
from fleetroll_agent.slots import InUse, SlotStore
from fleetroll_agent.slots.disk import typed_disk_errors
from fleetroll_common.values.errors import AgentError, FleetrollError
from fleetroll_common.values.version import Version

if TYPE_CHECKING:
    from pathlib import Path

    from fleetroll_agent.jobs.artefacts import Line
    from fleetroll_agent.jobs.effects import FillSlot, FindTarget, RunSelfTest
    from fleetroll_agent.jobs.events import StagingFailed
    from fleetroll_agent.launcher.values import Record
    from fleetroll_agent.slots import Slot
    from fleetroll_common.trust import TrustClient

log = structlog.get_logger(__name__)


class AgentUpdate:
    """Does one job at a time; the caller sees to that."""

    def __init__(self, state: Path, trust: TrustClient, slots: SlotStore, ways: Ways) -> None:
        """Work below the state folder; bytes come by ``ways``."""
        self._state = state
        self._trust = trust
        self._slots = slots
        self._artefacts = Artefacts(state, PRODUCT, slots, ways)
        self._found: dict[int, Found] = {}

    async def find(self, effect: FindTarget, line: Line) -> TargetFound | StagingFailed:
        """Refresh the signed metadata and look the version up."""
        try:
            found, note = await find_release(self._trust, effect, PRODUCT)
        except FleetrollError as error:
            self._found = {}
            return await found_here(self._artefacts, self._trust, effect, line, error)
        self._found = {effect.job: found}
        return TargetFound(effect.job, found.target.sha256, about(found.custom), note, found.policy)

    async def fill(self, effect: FillSlot, line: Line) -> SlotReady | StagingFailed:
        """Make the slot of what was found, unless it stands there as signed."""
        try:
            await fill_from(self._artefacts, self._found.get(effect.job), effect, line)
        except (FleetrollError, SourceFailed) as error:
            return await staging_failed(effect, line, error)
        return SlotReady(effect.job)

    async def self_test(self, effect: RunSelfTest, python: str) -> SelfTested:
        """Check the slot byte for byte, then run its self-test."""
        try:
            slot = await in_thread(partial(self._artefacts.checked, effect.version, effect.sha256))
        except FleetrollError as error:
            return SelfTested(effect.job, error.code, str(error))
        verdict = await run_self_test(python, slot.path / slot.entry, self._state, effect.version)
        return SelfTested(effect.job, verdict.code, verdict.message, verdict.output_tail, verdict.by_itself)

    def slot(self, version: str, sha256: str) -> Slot:
        """Return the complete slot of this artefact.

        Raises:
            AgentError: NOT_FOUND: there is none.
        """
        return self._slots.get(self._slots.path(Version.parse(version), sha256))

    async def tidy(self, launcher: Record, live: str, wanted: tuple[str, str] | None) -> None:
        """Remove slots and downloads that nobody needs: not the launcher's record, not this process, not ``wanted``."""
        try:
            await in_thread(partial(self._tidy, launcher, live, wanted))
        except AgentError as error:
            log.warning("tidying_failed", reason=str(error))

    def _tidy(self, launcher: Record, live: str, wanted: tuple[str, str] | None) -> None:
        folder = self._state / "slots" / PRODUCT
        kept = [self._slots.path(Version.parse(wanted[0]), wanted[1])] if wanted else []
        in_use = InUse(
            current=folder / launcher.current.name,
            live=folder / live,
            previous=folder / launcher.previous.name if launcher.previous else None,
            trial=folder / launcher.trial.slot.name if launcher.trial else None,
            others=tuple(kept),
        )
        self._slots.prune(in_use)
        self._artefacts.forget_downloads("" if wanted is None else wanted[1])
        self._forget_older_downloads()

    def _forget_older_downloads(self) -> None:
        """Remove what a version that knew one product kept in the cache itself."""
        with typed_disk_errors("removing old downloads"), contextlib.suppress(FileNotFoundError):
            for file in (self._state / "cache").iterdir():
                if not file.is_dir():
                    file.unlink()
