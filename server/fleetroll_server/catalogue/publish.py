"""The gate for new releases of a managed repository: an upload becomes a signed, listed release, or nothing at all.

1. What the header says is checked by name, before a byte is taken; so is whether the path is free.
2. The artefact is read whole: every number and hash that gets signed is computed here, never believed.
3. It lies durably under its hash before anything names it.
4. Signing starts from the newest files; one transaction adds the new files, release and artefact, and exchanges the
   timestamp, if nobody else has signed meanwhile.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.release import TargetKind
from fleetroll_common.wire.handshake import PROTOCOL
from fleetroll_publishing.artefact.describing import Words, check_words, describe_artefact
from fleetroll_publishing.artefact.inspect import inspect_artefact
from fleetroll_publishing.repository import TargetFile, publish_targets
from fleetroll_publishing.roles import read_repository
from fleetroll_server.catalogue import products, reads
from fleetroll_server.catalogue.files import drop_unlisted, keep
from fleetroll_server.catalogue.listing import (
    Listing,
    Published,
    insert,
    published_event,
    require_free,
    require_not_withdrawn,
    require_one_kind,
)
from fleetroll_server.catalogue.metadata import current_files
from fleetroll_server.catalogue.policies import product_role
from fleetroll_server.catalogue.signing import sign_and_commit
from fleetroll_server.catalogue.staging import is_lost

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from fleetroll_common.values.release import ReleaseCustom
    from fleetroll_publishing.roles import Repository
    from fleetroll_publishing.signers import RoleSigners
    from fleetroll_server.access.caller import Caller
    from fleetroll_server.catalogue.upload import Offer, Upload
    from fleetroll_server.services import Services
    from fleetroll_server.store import Tx


class Publisher:
    """Lists releases."""

    def __init__(self, services: Services) -> None:
        """Work on ``services``."""
        self._services = services

    async def check(self, offer: Offer, *, signed_elsewhere: bool = False) -> None:
        """Refuse an offer that could not be listed whatever its bytes are.

        Args:
            offer: what the publisher says.
            signed_elsewhere: only the product has to be known, not its key.

        Raises:
            RequestError: unknown product, a development build, or the path is taken (publisher's fault).
        """
        async with self._services.store.read() as connection:
            if signed_elsewhere:
                await product_role(connection, offer.product)
            else:
                await products.require(connection, offer.product)
        check_words(_words(offer), dirty=self._services.demo)
        async with self._services.store.read() as connection:
            await require_not_withdrawn(connection, offer.product, str(offer.version))
            if not await is_lost(self._services.store, self._services.folder, offer.sha256, offer.path):
                await require_free(connection, offer.path, offer.sha256)
            await require_one_kind(connection, offer.product, str(offer.version), TargetKind.ARTEFACT)

    async def publish(self, offer: Offer, upload: Upload, caller: Caller) -> Published:
        """List what was uploaded; of a release that is listed already, bring back the bytes that were lost.

        Raises:
            RequestError: no artefact, another one than the header says, or a conflict (publisher's fault).
            StoreError: nothing was stored.
        """
        words = _words(offer)
        inspected = await asyncio.to_thread(inspect_artefact, upload.path, words.entry)
        custom = describe_artefact(words, inspected, PROTOCOL, self._services.clock.now())
        # The file is part of it: whoever fails must not take away what somebody else has listed meanwhile.
        async with self._services.catalogue.signing:
            await self.check(offer)
            if await is_lost(self._services.store, self._services.folder, offer.sha256, offer.path):
                await keep(self._services.folder, offer.sha256, upload.path)
                return await self._listed(offer)
            try:
                await keep(self._services.folder, offer.sha256, upload.path)
                return await self._list(offer, custom, caller)
            except RequestError:
                await drop_unlisted(self._services.folder, self._services.store, offer.sha256)
                raise

    async def _listed(self, offer: Offer) -> Published:
        """Return the release as it is listed."""
        async with self._services.store.read() as connection:
            files = await current_files(connection)
            release = await reads.release(connection, offer.product, str(offer.version))
        return Published(release, read_repository(files).product(offer.product).version)

    async def _list(self, offer: Offer, custom: ReleaseCustom, caller: Caller) -> Published:
        """Sign and commit."""
        listing = _listing(offer, custom)
        target = TargetFile(offer.length, offer.sha256, custom.to_json())

        def act(old: Mapping[str, bytes], signers: RoleSigners, now: datetime) -> dict[str, bytes]:
            return publish_targets(old, offer.product, {offer.path: target}, signers, now)

        async def store(tx: Tx, repository: Repository) -> Published:
            role_version = repository.product(offer.product).version
            release = await insert(tx, listing, caller, self._services.ids.new("release"))
            tx.emit(published_event(listing, caller, role_version))
            return Published(release, role_version)

        return await sign_and_commit(self._services, act, store)


def _words(offer: Offer) -> Words:
    """Return what is signed as it was said."""
    return Words(
        product=offer.product,
        version=offer.version,
        channels=offer.channels,
        platform=offer.platform,
        git_sha=offer.git_sha,
        entry_point=offer.entry_point,
        migrations_required=offer.migrations_required,
        breaking_changes=offer.breaking_changes,
        supported_from=offer.supported_from,
    )


def _listing(offer: Offer, custom: ReleaseCustom) -> Listing:
    """Return what is stored of an artefact."""
    return Listing(
        product=offer.product,
        version=str(offer.version),
        channels=offer.channels,
        git_sha=offer.git_sha,
        platform=offer.platform,
        path=offer.path,
        length=offer.length,
        sha256=offer.sha256,
        migrations_required=offer.migrations_required,
        breaking_changes=offer.breaking_changes,
        notes=offer.notes,
        supported_from=offer.supported_from,
        protocol=custom.protocol,
        released_at=custom.released_at,
        custom=custom.to_json(),
    )
