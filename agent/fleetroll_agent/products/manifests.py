"""Finding a release of a product of commands: its signed target is the release manifest, and nothing is unpacked.

What the commands are told comes from the signed description; the manifest's own words must say the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from fleetroll_agent.fetch.values import SourceFailed
from fleetroll_agent.jobs.artefacts import Artefacts, Ways, about, staging_failed
from fleetroll_agent.jobs.events import SlotReady, TargetFound
from fleetroll_agent.jobs.finding import opened, source_of, waived_words
from fleetroll_agent.jobs.ruling import withdrawn
from fleetroll_agent.jobs.threads import in_thread
from fleetroll_agent.slots.disk import typed_disk_errors
from fleetroll_common.trust.listing import not_listed
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import FleetrollError, RequestError, TrustError
from fleetroll_common.values.manifest_custom import ManifestCustom
from fleetroll_common.values.release import manifest_path
from fleetroll_common.values.release_manifest import MAX_RELEASE_MANIFEST_BYTES, ReleaseManifest
from fleetroll_common.values.version import Version

if TYPE_CHECKING:
    from pathlib import Path

    from fleetroll_agent.jobs.artefacts import Line
    from fleetroll_agent.jobs.effects import FillSlot, FindTarget
    from fleetroll_agent.jobs.events import StagingFailed
    from fleetroll_agent.jobs.values import ProductRecord
    from fleetroll_agent.products.places import Places
    from fleetroll_common.trust import ListedTarget, TrustClient
    from fleetroll_common.values.product_policy import ProductPolicy


@dataclass(frozen=True, slots=True)
class FoundManifest:
    """A release manifest among the signed targets, with its signed description, and what its publisher rules."""

    target: ListedTarget
    custom: ManifestCustom
    policy: ProductPolicy | None = None


class ManifestStaging:
    """One product of commands: from a version's name to a manifest that was read."""

    def __init__(self, state: Path, product: str, trust: TrustClient, places: Places, ways: Ways) -> None:
        """Look up in ``trust``; the manifest passes through the cache below the state folder."""
        self._product = product
        self._places = places
        self._trust = trust
        self._artefacts = Artefacts(state, product, places.slots, ways)
        self._found: dict[int, FoundManifest] = {}

    async def find(self, effect: FindTarget, line: Line, record: ProductRecord) -> TargetFound | StagingFailed:  # noqa: ARG002 (what is installed is the commands' affair)
        """Refresh the signed metadata and look the version up."""
        try:
            found, note = await in_thread(partial(find_manifest, self._trust, effect, self._product))
        except FleetrollError as error:
            return await staging_failed(effect, line, error)
        self._found = {effect.job: found}
        return TargetFound(effect.job, found.target.sha256, about(found.custom), note, found.policy)

    async def fill(self, effect: FillSlot, line: Line) -> SlotReady | StagingFailed:
        """Fetch the manifest and compare its words with the signed ones."""
        found = self._found[effect.job]
        try:
            await in_thread(self._places.require_backup_room)
            file = await self._artefacts.fetch(found.target, await source_of(effect, line))
            await in_thread(partial(check_manifest, file, found.custom))
        except (FleetrollError, SourceFailed) as error:
            return await staging_failed(effect, line, error)
        return SlotReady(effect.job)

    def tidy(self, record: ProductRecord) -> None:
        """Remove what was fetched. Blocks.

        Raises:
            AgentError: the disk.
        """
        attempt = record.attempt
        self._artefacts.forget_downloads("" if attempt is None else attempt.sha256)


def find_manifest(trust: TrustClient, effect: FindTarget, product: str) -> tuple[FoundManifest, str]:
    """Return the manifest of a version as the signed metadata lists it, and a sentence for the journal. Blocks.

    Raises:
        TrustError, AgentError, RequestError: it is not listed, is larger than any manifest, or describes another one.
    """
    version = Version.parse(effect.version)
    path = manifest_path(product, version)
    if effect.source:
        offered = opened(effect).listed(trust, product)
    else:
        trust.refresh()
        offered = trust.ruled(product)
    target = next((one for one in offered.targets if one.path == path), None)
    if target is None:
        raise withdrawn(offered.policy, version) or not_listed(path)
    found = replace(_described(target), policy=offered.policy)
    return found, waived_words(effect.source, offered.waived)


def _described(target: ListedTarget) -> FoundManifest:
    custom = ManifestCustom.from_json(target.custom)
    if custom.target_path != target.path or target.length > MAX_RELEASE_MANIFEST_BYTES:
        text = f"the target {target.path!r} is no manifest of {custom.target_path!r}"
        raise TrustError(text, code=Code.WRONG_PRODUCT, remedy="import the release again", path=target.path)
    return FoundManifest(target, custom)


def check_manifest(file: Path, custom: ManifestCustom) -> None:
    """Return when the verified bytes in ``file`` are a manifest that says what was signed about it. Blocks.

    Raises:
        TrustError: METADATA_INVALID: they are not (whoever signed it).
        AgentError: the disk.
    """
    with typed_disk_errors("reading the manifest"):
        data = file.read_bytes()
    try:
        manifest = ReleaseManifest.parse(data)
        said = ManifestCustom.of(custom.product, manifest, custom.protocol, custom.supported_from)
    except RequestError as error:
        raise _invalid(custom, error.message) from error
    for name in ("version", "git_sha", "migrations_required", "breaking_changes"):
        if getattr(said, name) != getattr(custom, name):
            raise _invalid(
                custom, f"{name} is {getattr(said, name)!r:.80} in it, {getattr(custom, name)!r:.80} is signed"
            )


def _invalid(custom: ManifestCustom, fault: str) -> TrustError:
    text = f"the manifest of {custom.product} {custom.version}: {fault}"
    return TrustError(text, code=Code.METADATA_INVALID, remedy="import the release again", path=custom.target_path)
