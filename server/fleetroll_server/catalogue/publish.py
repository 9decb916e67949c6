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

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.release import ReleaseCustom, TargetKind
from fleetroll_common.wire.handshake import PROTOCOL
from fleetroll_publishing.artefact.agent import ENTRY_POINT as AGENT_ENTRY
from fleetroll_publishing.artefact.agent import PRODUCT as AGENT
from fleetroll_publishing.artefact.inspect import inspect_artefact
from fleetroll_publishing.repository import TargetFile, publish_targets
from fleetroll_server.catalogue import products
from fleetroll_server.catalogue.files import drop_unlisted, keep
from fleetroll_server.catalogue.listing import (
    Listing,
    Published,
    insert,
    published_event,
    require_free,
    require_not_withdrawn,
    require_one_kind,
    require_release,
)
from fleetroll_server.catalogue.signing import sign_and_commit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from fleetroll_publishing.artefact.inspect import Inspected
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

    async def check(self, offer: Offer) -> None:
        """Refuse an offer that could not be listed whatever its bytes are.

        Raises:
            RequestError: unknown product, a development build, or the path is taken (publisher's fault).
        """
        async with self._services.store.read() as connection:
            await products.require(connection, offer.product)
        require_release(offer.version)
        if offer.git_sha.endswith("+dirty") and not self._services.demo:
            message = f"git_sha: {offer.git_sha} has changes that no commit holds"
            raise _invalid("git_sha", message, "commit and build again")
        _entry_of(offer)
        if offer.product == AGENT and not offer.platform.is_whole:
            message = f"platform: {offer.platform} does not name the Python that the agent needs"
            raise _invalid("platform", message, "name all of it, like linux/x86_64/cp311")
        async with self._services.store.read() as connection:
            await require_not_withdrawn(connection, offer.product, str(offer.version))
            await require_free(connection, offer.path, offer.sha256)
            await require_one_kind(connection, offer.product, str(offer.version), TargetKind.ARTEFACT)

    async def publish(self, offer: Offer, upload: Upload, caller: Caller) -> Published:
        """List what was uploaded.

        Raises:
            RequestError: no artefact, another one than the header says, or a conflict (publisher's fault).
            StoreError: nothing was stored.
        """
        inspected = await asyncio.to_thread(inspect_artefact, upload.path, _entry_of(offer))
        if offer.product == AGENT:
            _check_stamp(offer, inspected)
        now = self._services.clock.now().replace(microsecond=0)
        custom = _describe(offer, inspected, now)
        # The file is part of it: whoever fails must not take away what somebody else has listed meanwhile.
        async with self._services.catalogue.signing:
            await self.check(offer)
            try:
                await keep(self._services.folder, offer.sha256, upload.path)
                return await self._list(offer, custom, caller)
            except RequestError:
                await drop_unlisted(self._services.folder, self._services.store, offer.sha256)
                raise

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


def _entry_of(offer: Offer) -> str:
    """Return the path of the product's first file: of the agent it is known, others have to say it."""
    if offer.product != AGENT and not offer.entry_point:
        raise _invalid("entry_point", f"entry_point: of {offer.product} it is not known", "name its first file")
    if offer.product == AGENT and offer.entry_point not in {"", AGENT_ENTRY}:
        message = f"entry_point: the agent's is {AGENT_ENTRY}, not {offer.entry_point!r}"
        raise _invalid("entry_point", message, "build it with release build")
    return AGENT_ENTRY if offer.product == AGENT else offer.entry_point


def _check_stamp(offer: Offer, inspected: Inspected) -> None:
    """Compare what the publisher says with what the build says of itself: hosts compare it, too, after Go."""
    stamp = inspected.stamp
    if stamp is None:
        message = "artefact: it carries no version stamp"
        raise RequestError(message, code=Code.VERSION_MISMATCH, remedy="build it with release build", field="artefact")
    for field, said, built in (
        ("version", str(offer.version), str(stamp.version)),
        ("git_sha", offer.git_sha, stamp.git_sha),
    ):
        if said != built:
            message = f"{field}: the header says {said}, the build {built}"
            raise RequestError(message, code=Code.VERSION_MISMATCH, remedy="publish it as what it is", field=field)


def _describe(offer: Offer, inspected: Inspected, now: datetime) -> ReleaseCustom:
    """Return what is signed: the publisher's words, and the numbers that were computed here."""
    built = inspected.artefact
    return ReleaseCustom(
        product=offer.product,
        version=offer.version,
        channels=offer.channels,
        platform=offer.platform,
        git_sha=offer.git_sha,
        tar_sha256=built.tar_sha256,
        tar_bytes=built.tar_bytes,
        manifest_sha256=built.manifest_sha256,
        file_count=built.file_count,
        entry_point=built.entry_point,
        protocol=PROTOCOL,
        migrations_required=offer.migrations_required,
        breaking_changes=offer.breaking_changes or None,
        released_at=now,
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


def _invalid(field: str, message: str, remedy: str) -> RequestError:
    """Return the publisher's error."""
    return RequestError(message, code=Code.INVALID_ARGUMENT, remedy=remedy, field=field)
