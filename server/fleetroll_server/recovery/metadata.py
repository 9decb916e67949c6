"""Takes over the signed metadata that hosts show, before they are welcomed: they refuse none that they are offered.

What is verified and newer is taken over (:mod:`.taking`), a root too whose keys of snapshot or timestamp are elsewhere.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import FleetrollError, RequestError
from fleetroll_publishing.roles import read_repository
from fleetroll_server.access.caller import Caller, Role
from fleetroll_server.catalogue.keys import load_signers
from fleetroll_server.catalogue.metadata import current_files
from fleetroll_server.recovery.minting import ACTOR
from fleetroll_server.recovery.missing import note_missing
from fleetroll_server.recovery.roots import newer_roots, unheld_roles
from fleetroll_server.recovery.shown_files import shown_version, verified
from fleetroll_server.recovery.taking import Taken, take

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fleetroll_server.services import Services

CALLER = Caller(ACTOR.kind, ACTOR.id, Role.ADMIN)
TRIES = 3
"""Another process may sign meanwhile; the newest files are read anew then."""
_log = structlog.get_logger(__name__)


class ShownMetadata:
    """One per process."""

    def __init__(self, services: Services) -> None:
        """Work on ``services``."""
        self._services = services
        self._looked_at: dict[str, int] = {}
        self._incarnation = ""

    async def take(self, files: Mapping[str, bytes], incarnation: str) -> None:
        """Sign above what ``files`` show, where they are genuine and newer. What can't be is logged, and told.

        A host must not be kept out for the files of others: no error leaves here.
        """
        if incarnation != self._incarnation:
            self._incarnation, self._looked_at = incarnation, {}
        fresh = await asyncio.to_thread(lambda: {name: shown_version(data) for name, data in files.items()})
        if all(version <= self._looked_at.get(name, 0) for name, version in fresh.items()):
            return
        try:
            genuine = await self._take(files)
        except FleetrollError as error:
            _log.error("recovery.metadata_not_signed", code=str(error.code), reason=error.message)
            return
        for name, version in genuine.items():
            self._looked_at[name] = max(version, self._looked_at.get(name, 0))

    async def _take(self, files: Mapping[str, bytes]) -> Mapping[str, int]:
        for _again in range(TRIES - 1):
            try:
                async with self._services.catalogue.signing:
                    return await self._take_once(files)
            except RequestError as error:
                if error.code is not Code.CONFLICT:
                    raise
        async with self._services.catalogue.signing:
            return await self._take_once(files)

    async def _take_once(self, files: Mapping[str, bytes]) -> Mapping[str, int]:
        """Do it under the lock of whoever signs; return the versions of what is genuine, newer or not."""
        async with self._services.store.read() as connection:
            known = await current_files(connection)
            signers = await load_signers(connection, self._services.secrets)
        roots = await asyncio.to_thread(newer_roots, known, files)
        repository = read_repository({**known, **roots})
        lacking = unheld_roles(repository.root, signers)
        if lacking and roots:
            _log.error("recovery.keys_missing", root=repository.root.version, roles=list(lacking))
        shown = await asyncio.to_thread(verified, repository, files, self._services.clock.now())
        if shown.missing:
            _log.warning("recovery.metadata_missing", roles=sorted(shown.missing))
        if shown.missing or shown.refused:
            await self._services.store.writer.command(lambda tx: note_missing(tx, shown.missing, shown.refused))
        held = {**known, **roots}
        genuine = {**shown.genuine, **{n: shown_version(data) for n, data in files.items() if held.get(n) == data}}
        if roots or shown.raises(repository):
            await take(self._services, Taken(known, roots, shown, unsigned=bool(lacking)), CALLER)
        return genuine
