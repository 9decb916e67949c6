"""Finding and fetching a release of a managed product: the path is computed here, everything else is signed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from fleetroll_agent.fetch.values import SourceFailed
from fleetroll_agent.jobs.artefacts import Artefacts, Found, Ways, about, staging_failed
from fleetroll_agent.jobs.events import SlotReady, TargetFound
from fleetroll_agent.jobs.finding import fill_from, find_release, found_here
from fleetroll_agent.jobs.threads import in_thread
from fleetroll_common.values.errors import FleetrollError

if TYPE_CHECKING:
    from pathlib import Path

    from fleetroll_agent.jobs.artefacts import Line
    from fleetroll_agent.jobs.effects import FillSlot, FindTarget
    from fleetroll_agent.jobs.events import StagingFailed
    from fleetroll_agent.jobs.values import ProductRecord
    from fleetroll_agent.products.places import Places
    from fleetroll_common.trust import TrustClient


class Staging:
    """One product's way from a version's name to a complete slot."""

    def __init__(self, state: Path, product: str, trust: TrustClient, places: Places, ways: Ways) -> None:
        """Look up in ``trust``, unpack below the state folder."""
        self._product = product
        self._trust = trust
        self._places = places
        self._artefacts = Artefacts(state, product, places.slots, ways)
        self._found: dict[int, Found] = {}

    async def find(self, effect: FindTarget, line: Line, record: ProductRecord) -> TargetFound | StagingFailed:
        """Refresh the signed metadata and look the version up."""
        try:
            found, note = await find_release(self._trust, effect, self._product)
            fresh = await in_thread(partial(self._places.is_fresh, record))
        except FleetrollError as error:
            self._found = {}
            return await found_here(self._artefacts, self._trust, effect, line, error)
        self._found = {effect.job: found}
        return TargetFound(effect.job, found.target.sha256, about(found.custom, fresh=fresh), note, found.policy)

    async def fill(self, effect: FillSlot, line: Line) -> SlotReady | StagingFailed:
        """Make the slot of what was found, unless it stands there as signed."""
        found = self._found.get(effect.job)
        try:
            await in_thread(self._places.require_replaceable)
            await in_thread(self._places.require_backup_room)
            await fill_from(self._artefacts, found, effect, line)
            await in_thread(self._places.require_backup_room)  # what was staged may lie on the same disk
        except (FleetrollError, SourceFailed) as error:
            return await staging_failed(effect, line, error)
        return SlotReady(effect.job)

    def tidy(self, record: ProductRecord) -> None:
        """Remove the versions and downloads that nobody needs. Blocks.

        Raises:
            AgentError: the disk.
        """
        self._places.tidy(record)
        attempt = record.attempt
        self._artefacts.forget_downloads("" if attempt is None else attempt.sha256)
