"""Signed artefacts of one product on their way to this host: looked up, fetched, unpacked into a slot that is complete.

The path of an artefact is computed here, never taken from the server; its length, hash and description come from
signed metadata alone.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import structlog

from fleetroll_agent.fetch import Liars, NamedSource, SourcesInTurn, fetch_target
from fleetroll_agent.fetch.partial import part_of, size_of
from fleetroll_agent.fetch.values import SourceFailed, is_transient
from fleetroll_agent.jobs.events import StagingFailed, TargetFound
from fleetroll_agent.jobs.ruling import withdrawn
from fleetroll_agent.jobs.space import check_space
from fleetroll_agent.jobs.threads import in_thread
from fleetroll_agent.jobs.values import PRODUCT
from fleetroll_agent.jobs.work import About
from fleetroll_agent.slots.disk import typed_disk_errors
from fleetroll_agent.unpack import unpack
from fleetroll_common.trust.listing import not_listed
from fleetroll_common.values.clock import SystemClock
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError, FleetrollError, TrustError
from fleetroll_common.values.plain import plain
from fleetroll_common.values.platform import Platform
from fleetroll_common.values.release import ReleaseCustom, target_path
from fleetroll_common.values.version import Version

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Protocol

    from fleetroll_agent.fetch import DownloadLimits, Pacer, TargetSource
    from fleetroll_agent.jobs.effects import FillSlot, FindTarget
    from fleetroll_agent.slots import Slot, SlotStore
    from fleetroll_common.trust import ListedTarget, Offered, TrustClient
    from fleetroll_common.values.clock import Clock
    from fleetroll_common.values.manifest_custom import ManifestCustom
    from fleetroll_common.values.product_policy import ProductPolicy

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
    """A target with its signed description, and what its publisher rules about the product; None = nothing."""

    target: ListedTarget
    custom: ReleaseCustom
    policy: ProductPolicy | None = None


@dataclass(frozen=True, slots=True)
class Ways:
    """How bytes come to this host, the same for all products.

    Attributes:
        clock: bounds downloads.
        limits: of one download; None = the fleet's defaults.
        pacer: the host's bandwidth cap, shared with whatever else it downloads; None = no cap.
        mirrors: asked for artefacts in this order, before the server.
        liars: which mirrors sent wrong bytes.
    """

    clock: Clock = field(default_factory=SystemClock)
    limits: DownloadLimits | None = None
    pacer: Pacer | None = None
    mirrors: tuple[NamedSource, ...] = ()
    liars: Liars = field(default_factory=Liars)


class Artefacts:
    """The artefacts of one product."""

    def __init__(self, state: Path, product: str, slots: SlotStore, ways: Ways) -> None:
        """Unpack into ``slots``; downloads go to a cache below the state folder."""
        self._state = state
        self._cache = state / "cache" / product
        self._product = product
        self._slots = slots
        self._ways = ways

    async def stage(self, found: Found, source: TargetSource) -> None:
        """Make the slot of what was found, unless it stands there as signed; without room, nothing is fetched.

        Raises:
            TrustError, AgentError: it can't be had, there is no room for it, or it is not what was signed.
            SourceFailed: the session is over.
        """
        if await in_thread(partial(self._is_there, found)):
            return
        await in_thread(partial(self._require_room, found))
        archive = await self.fetch(found.target, source)
        await in_thread(partial(fill_slot, self._slots, found, archive))

    async def fetch(self, target: ListedTarget, source: TargetSource) -> Path:
        """Return the verified bytes of ``target`` as a file of the cache."""
        with typed_disk_errors("making the cache"):
            for folder in (self._cache.parent, self._cache):
                folder.mkdir(mode=0o700, exist_ok=True)
        file, ways = self._file(target), self._ways
        if isinstance(source, NamedSource):  # what a person named is asked alone, and blamed by its own name
            sources = SourcesInTurn((source,))
        else:
            sources = SourcesInTurn(ways.mirrors, source, ways.liars)
        return await fetch_target(sources, target, file, ways.clock, ways.limits, pacer=ways.pacer)

    def checked(self, version: str, sha256: str) -> Slot:
        """Return the slot of a version, compared with what was signed. Blocks.

        Raises:
            AgentError: NOT_FOUND: there is none.
            TrustError: WRONG_HASH: it was changed.
        """
        slot = self._slots.get(self._slots.path(Version.parse(version), sha256))
        drift = self._slots.check(slot.path)
        if not drift.is_clean:
            text = f"the slot changed after it was staged: {drift.summary}"
            raise TrustError(text, code=Code.WRONG_HASH, remedy="find out who changed it", slot=slot.path.name)
        return slot

    def still_here(self, trust: TrustClient, effect: FindTarget, error: FleetrollError) -> TargetFound | None:
        """Return the version before, which is on this disk and not listed any more; None where it is not that. Blocks.

        What its publisher rules is found all the same: it may be revoked, or below the floor.

        Raises:
            TrustError, AgentError: the metadata, or the disk.
        """
        if not effect.on_disk or error.code not in (Code.YANKED, Code.NOT_LISTED):
            return None
        if self._slots.find(Version.parse(effect.version), effect.on_disk) is None:
            return None
        note = f"{effect.version} is not listed any more; it is the version before, and on this disk"
        return TargetFound(effect.job, effect.on_disk, None, note, trust.ruled(self._product).policy)

    def forget_downloads(self, wanted_sha256: str) -> None:
        """Remove what was fetched and nobody waits for; empty = all of it. Blocks.

        Raises:
            AgentError: the disk.
        """
        with typed_disk_errors("removing old downloads"), contextlib.suppress(FileNotFoundError):
            for file in self._cache.iterdir():
                if not wanted_sha256 or not file.name.startswith(wanted_sha256):
                    file.unlink()

    def _file(self, target: ListedTarget) -> Path:
        """Return the place of a verified download."""
        return self._cache / f"{target.sha256}.tar.zst"

    def _require_room(self, found: Found) -> None:
        """Ask for what is still to come: an update that was cut short goes on where its first half fills the disk."""
        file = self._file(found.target)
        check_space(self._state, found, max(size_of(file), size_of(part_of(file))))

    def _is_there(self, found: Found) -> bool:
        """Tell whether the slot stands there as signed; one that has changed is not used, and not mended."""
        slot = self._slots.find(found.custom.version, found.target.sha256)
        if slot is None:
            return False
        drift = self._slots.check(slot.path)
        if drift.is_clean:
            self._slots.settle(slot)
            return True
        text = f"the slot {slot.path.name} is not as it was signed: {drift.summary}"
        raise TrustError(
            text, code=Code.WRONG_HASH, remedy="find out who changed it, then remove it", slot=slot.path.name
        )


def about(custom: ReleaseCustom | ManifestCustom, *, fresh: bool = False) -> About:
    """Return what the signed metadata says of the release, as the rules need it; ``fresh`` as in :class:`About`."""
    return About(
        channels=custom.channels,
        git_sha=custom.git_sha,
        migrations_required=custom.migrations_required,
        breaking_changes=custom.breaking_changes or "",
        supported_from="" if custom.supported_from is None else str(custom.supported_from),
        fresh=fresh,
    )


async def staging_failed(effect: FindTarget | FillSlot, line: Line, error: Exception) -> StagingFailed:
    """Return what a failure means for the attempt; for a broken line only once it is clear whose fault that was.

    A place that a person named and that is not there ends the attempt, in words that say what to do: who named it waits
    for an answer, and is there to try again.
    """
    if isinstance(error, SourceFailed):
        error = AgentError(str(error), code=Code.DOWNLOAD_FAILED, remedy="it goes on where it stopped")
    if not isinstance(error, FleetrollError):
        raise error
    log.warning("staging_failed", version=effect.version, code=error.code, reason=error.message)
    if effect.source and not effect.by_host and error.code is Code.UNAVAILABLE:
        return StagingFailed(effect.job, error.code, str(error), session=effect.session)
    transient = is_transient(error)
    if transient:
        await line.over(effect.session, GRACE_SECONDS)
    return StagingFailed(effect.job, error.code, str(error), transient, effect.session)


def look_up(trust: TrustClient, version: str, product: str = PRODUCT) -> Found:
    """Return the artefact of ``version`` for this host's platform, as the refreshed signed metadata lists it. Blocks.

    The agent's own is for exactly this platform; another product's may be for a wider one, the narrowest first.

    Raises:
        TrustError, AgentError, RequestError: it is not listed, or the metadata can't be trusted or had.
    """
    trust.refresh()
    here, wanted = Platform.current(), Version.parse(version)
    offered = trust.ruled(product)
    platforms = (here,) if product == PRODUCT else here.candidates()
    by_path = {target.path: target for target in offered.targets}
    paths = [target_path(product, wanted, platform) for platform in platforms]
    path = next((path for path in paths if path in by_path), None)
    if path is None:
        raise absent(offered, product, wanted, paths[-1])
    return replace(described(by_path[path]), policy=offered.policy)


def absent(offered: Offered, product: str, version: Version, path: str) -> TrustError:
    """Return why there is no release of ``version`` for this host at ``path``, as its publisher has said.

    Its code is YANKED or NOT_LISTED, or WRONG_PLATFORM for one that is listed for other hosts alone.
    """
    if (gone := withdrawn(offered.policy, version)) is not None:
        return gone
    others = [target.path for target in offered.targets if target.path.startswith(f"{product}/{version}/")]
    if not others:
        return not_listed(path)
    names = ", ".join(plain(other.split("/")[-1], 100) for other in others[:3])
    text = f"{product} {version} is signed for other platforms than {Platform.current()}: {names}"
    remedy = "publish it for this one, or ask for a release that is"
    return TrustError(text, code=Code.WRONG_PLATFORM, remedy=remedy, path=path)


def described(target: ListedTarget) -> Found:
    """Return the target with its description, which says the same as its path.

    Raises:
        TrustError: WRONG_PRODUCT, WRONG_PLATFORM or METADATA_INVALID: it does not (the publisher's fault).
    """
    custom = ReleaseCustom.from_json(target.custom)
    is_release = target.path.startswith(f"{custom.product}/{custom.version}/")
    if custom.target_path != target.path and is_release:
        text = f"the target {target.path!r} is described as one for {custom.platform}"
        raise TrustError(text, code=Code.WRONG_PLATFORM, remedy="publish the release again", path=target.path)
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
