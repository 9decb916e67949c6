"""Takes over the signed metadata that hosts show, before they are welcomed: they refuse none that they are offered.

What is verified and newer is signed into snapshot and timestamp; releases that only the taken-over roles know become
rows again, without their notes. Their artefacts may have to be uploaded again.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import FleetrollError, RequestError
from fleetroll_publishing.roles import file_name, read_repository
from fleetroll_server.access.caller import Caller, Role
from fleetroll_server.catalogue.keys import load_signers
from fleetroll_server.catalogue.metadata import current_files
from fleetroll_server.catalogue.relisting import relist
from fleetroll_server.catalogue.signing import sign_and_commit
from fleetroll_server.recovery.minting import ACTOR
from fleetroll_server.recovery.missing import note_missing
from fleetroll_server.recovery.roots import newer_roots, unheld_roles
from fleetroll_server.recovery.shown_files import PRODUCTS, Verified, followed, shown_version, verified
from fleetroll_server.store import EventFact
from fleetroll_server.store.tables import ArtifactRow, table_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from fleetroll_publishing.roles import Repository
    from fleetroll_publishing.signers import RoleSigners
    from fleetroll_server.services import Services
    from fleetroll_server.store import Tx

ARTIFACT = table_of(ArtifactRow)
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
        lacking = unheld_roles(roots, signers)
        if lacking:
            _log.error("recovery.keys_missing", root=repository.root.version, roles=list(lacking))
        shown = await asyncio.to_thread(verified, repository, files, self._services.clock.now())
        if shown.missing:
            _log.warning("recovery.metadata_missing", roles=sorted(shown.missing))
        missing, refused = dict(shown.missing), dict(shown.refused)
        if lacking:
            missing["root"] = repository.root.version
            refused["root"] = f"it names keys of {', '.join(lacking)} that are not here: exchange them again"
        if missing or refused:
            await self._services.store.writer.command(lambda tx: note_missing(tx, missing, refused))
        held = {**known, **roots}
        genuine = {**shown.genuine, **{n: shown_version(data) for n, data in files.items() if held.get(n) == data}}
        if not roots and not shown.raises(repository):
            return genuine

        def act(old: Mapping[str, bytes], signers: RoleSigners, now: datetime) -> dict[str, bytes]:
            return {**roots, **followed({**old, **roots}, signers, now, shown)}

        async def store(tx: Tx, after: Repository) -> None:
            await self._list(tx, repository, after, shown)
            facts = {"timestamp": str(shown.timestamp), "roles": " ".join(sorted(shown.roles))}
            tx.emit(
                EventFact(fleet_id="", kind="recovery.metadata", actor_kind=ACTOR.kind, actor_id=ACTOR.id, facts=facts)
            )

        taken = [file_name(role, version) for role, (version, _data) in shown.roles.items()]
        await sign_and_commit(self._services, act, store, [name for name in taken if name in known])
        return genuine

    async def _list(self, tx: Tx, before: Repository, after: Repository, shown: Verified) -> None:
        """Let releases, their channels and what was taken back follow a taken-over role, as when it was committed."""
        for role in shown.roles:
            product = role.removeprefix(PRODUCTS)
            if product != role:
                old, new = before.products.get(product), after.product(product)
                await relist(tx, self._services, product, old, new, {}, CALLER, was_committed=True)
