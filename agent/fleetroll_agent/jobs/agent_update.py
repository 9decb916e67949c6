"""The pipeline of the product ``agent``, as far as it touches disk and network: find, fetch, verify, unpack, test.

The path of the artefact is computed here, never taken from the server; its length, hash and description come from
signed metadata alone. Each step ends in an event for the rules; no step decides what follows.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import structlog

from fleetroll_agent.fetch import Liars, SourcesInTurn, fetch_target
from fleetroll_agent.fetch.values import SourceFailed, is_transient
from fleetroll_agent.jobs.events import SelfTested, SlotReady, StagingFailed, TargetFound
from fleetroll_agent.jobs.self_test import run_self_test
from fleetroll_agent.jobs.threads import in_thread
from fleetroll_agent.jobs.values import PRODUCT
from fleetroll_agent.slots import InUse, SlotStore
from fleetroll_agent.slots.disk import typed_disk_errors
from fleetroll_agent.unpack import unpack
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError, FleetrollError, TrustError
from fleetroll_common.values.platform import Platform
from fleetroll_common.values.release import ReleaseCustom, target_path
from fleetroll_common.values.version import Version

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Protocol

    from fleetroll_agent.fetch import DownloadLimits, NamedSource, Pacer, TargetSource
    from fleetroll_agent.jobs.effects import FillSlot, FindTarget, RunSelfTest
    from fleetroll_agent.launcher.values import Record
    from fleetroll_agent.slots import Slot
    from fleetroll_common.trust import ListedTarget, TrustClient
    from fleetroll_common.values.clock import Clock

    class Line(Protocol):
        """The connection that bytes come over."""

        def repository(self, session: int) -> TargetSource:
            """Return the source of targets of ``session``; SourceFailed when that is over."""

        async def over(self, session: int, seconds: float) -> None:
            """Return when ``session`` is over, after ``seconds`` at the latest."""


log = structlog.get_logger(__name__)

GRACE_SECONDS = 2.0
"""A broken line shows itself to a download first and to the session a moment later: only then is it clear whose fault
it was."""


@dataclass(frozen=True, slots=True)
class Found:
    """A target with its signed description."""

    target: ListedTarget
    custom: ReleaseCustom


class AgentUpdate:
    """Does one job at a time; the caller sees to that."""

    def __init__(
        self,
        state: Path,
        trust: TrustClient,
        slots: SlotStore,
        clock: Clock,
        *,
        limits: DownloadLimits | None = None,
        pacer: Pacer | None = None,
        mirrors: Sequence[NamedSource] = (),
    ) -> None:
        """Work below the state folder.

        Args:
            state: the state folder.
            trust: judges metadata.
            slots: where artefacts are unpacked to.
            clock: bounds downloads.
            limits: of one download; None = the fleet's defaults.
            pacer: the host's bandwidth cap, shared with whatever else it downloads; None = no cap.
            mirrors: asked for artefacts in this order, before the server.
        """
        self._state = state
        self._trust = trust
        self._slots = slots
        self._clock = clock
        self._limits = limits
        self._pacer = pacer
        self._mirrors = tuple(mirrors)
        self._liars = Liars()
        self._found: dict[int, Found] = {}

    async def find(self, effect: FindTarget, line: Line) -> TargetFound | StagingFailed:
        """Refresh the signed metadata and look the version up."""
        try:
            found = await in_thread(partial(look_up, self._trust, effect.version))
        except FleetrollError as error:
            return await self._failed(effect, line, error)
        self._found = {effect.job: found}
        return TargetFound(effect.job, found.target.sha256)

    async def fill(self, effect: FillSlot, line: Line) -> SlotReady | StagingFailed:
        """Make the slot of what was found, unless it stands there as signed."""
        found = self._found[effect.job]
        try:
            if not await in_thread(partial(self._is_there, found)):
                await self._stage(found, line.repository(effect.session))
        except SourceFailed as error:
            lost = AgentError(str(error), code=Code.DOWNLOAD_FAILED, remedy="it goes on where it stopped")
            return await self._failed(effect, line, lost)
        except FleetrollError as error:
            return await self._failed(effect, line, error)
        return SlotReady(effect.job)

    async def self_test(self, effect: RunSelfTest, python: str) -> SelfTested:
        """Check the slot byte for byte, then run its self-test."""
        try:
            slot = await in_thread(partial(self._checked, effect))
        except FleetrollError as error:
            return SelfTested(effect.job, error.code, error.message)
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

    async def _stage(self, found: Found, source: TargetSource) -> None:
        cache = self._state / "cache"
        with typed_disk_errors("making the cache"):
            cache.mkdir(mode=0o700, exist_ok=True)
        archive = cache / f"{found.target.sha256}.tar.zst"
        sources = SourcesInTurn(self._mirrors, source, self._liars)
        await fetch_target(sources, found.target, archive, self._clock, self._limits, pacer=self._pacer)
        await in_thread(partial(fill_slot, self._slots, found, archive))

    def _is_there(self, found: Found) -> bool:
        """Tell whether the slot stands there as signed; one that has changed is not used, and not mended."""
        slot = self._slots.find(found.custom.version, found.target.sha256)
        if slot is None:
            return False
        drift = self._slots.check(slot.path)
        if drift.is_clean:
            return True
        text = f"the slot {slot.path.name} is not as it was signed: {drift.summary}"
        raise TrustError(
            text, code=Code.WRONG_HASH, remedy="find out who changed it, then remove it", slot=slot.path.name
        )

    def _checked(self, effect: RunSelfTest) -> Slot:
        slot = self.slot(effect.version, effect.sha256)
        drift = self._slots.check(slot.path)
        if not drift.is_clean:
            text = f"the slot changed after it was staged: {drift.summary}"
            raise TrustError(text, code=Code.WRONG_HASH, remedy="find out who changed it")
        return slot

    async def _failed(self, effect: FindTarget | FillSlot, line: Line, error: FleetrollError) -> StagingFailed:
        log.warning("staging_failed", version=effect.version, code=error.code, reason=error.message)
        transient = is_transient(error)
        if transient:
            await line.over(effect.session, GRACE_SECONDS)
        return StagingFailed(effect.job, error.code, error.message, transient, effect.session)

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
        with typed_disk_errors("removing old downloads"), contextlib.suppress(FileNotFoundError):
            for file in (self._state / "cache").iterdir():
                if wanted is None or not file.name.startswith(wanted[1]):
                    file.unlink()


def look_up(trust: TrustClient, version: str) -> Found:
    """Return the artefact of ``version`` for this host's platform, as the refreshed signed metadata lists it. Blocks.

    Raises:
        TrustError, AgentError, RequestError: it is not listed, or the metadata can't be trusted or had.
    """
    trust.refresh()
    target = trust.target(target_path(PRODUCT, Version.parse(version), Platform.current()))
    return described(target)


def described(target: ListedTarget) -> Found:
    """Return the target with its description, which says the same as its path.

    Raises:
        TrustError: WRONG_PRODUCT or METADATA_INVALID: it does not (the publisher's fault).
    """
    custom = ReleaseCustom.from_json(target.custom)
    if custom.target_path != target.path:
        text = f"the target {target.path!r} describes {custom.target_path!r}"
        raise TrustError(text, code=Code.WRONG_PRODUCT, remedy="publish the release again", path=target.path)
    return Found(target, custom)


def fill_slot(slots: SlotStore, found: Found, archive: Path) -> Slot:
    """Unpack a verified download into a slot that is complete on return; the download is removed. Blocks.

    Raises:
        TrustError, AgentError: as for unpacking and completing; nothing is left behind.
    """
    custom, sha256 = found.custom, found.target.sha256
    draft = slots.begin(custom.version, sha256)
    try:
        unpack(archive, draft, expected=custom, platform=Platform.current())
        slot = slots.complete(draft, custom, sha256)
    except FleetrollError:
        with contextlib.suppress(AgentError):
            slots.discard(draft)
        raise
    with typed_disk_errors("removing the download"):
        archive.unlink(missing_ok=True)
    return slot
