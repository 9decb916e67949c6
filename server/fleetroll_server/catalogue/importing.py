"""The gate for release manifests: a file that a build pipeline signed becomes a listed release, or nothing at all.

1. The manifest is read strictly, and its HMAC verified with this server's own secret.
2. What hosts will get is these very bytes: they lie durably under their hash before anything names them.
3. Then as for artefacts: one transaction adds the signed files, the release and its target.

Not done here: running anything. The product's hosts know their commands; the manifest says which release they are for.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleetroll_common.durable import write_durably
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError, StoreError
from fleetroll_common.values.manifest_custom import ManifestCustom
from fleetroll_common.values.platform import ANY, Platform
from fleetroll_common.values.release import AGENT, TargetKind
from fleetroll_common.values.release_manifest import ReleaseManifest
from fleetroll_common.wire.handshake import PROTOCOL
from fleetroll_publishing.repository import TargetFile, publish_targets
from fleetroll_publishing.secret import SECRET_VARIABLE, manifest_secret
from fleetroll_server.catalogue import products
from fleetroll_server.catalogue.files import drop_unlisted, keep, upload_name
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

    from fleetroll_common.values.version import Version
    from fleetroll_publishing.roles import Repository
    from fleetroll_publishing.signers import RoleSigners
    from fleetroll_server.access.caller import Caller
    from fleetroll_server.services import Services
    from fleetroll_server.store import Tx

EVERYWHERE = Platform(ANY, ANY, ANY)
_REMEDY = f"name the file that holds it in manifest_secret_file, or set {SECRET_VARIABLE}, and start the server again"


@dataclass(frozen=True, slots=True)
class Import:
    """What is asked for.

    Attributes:
        product: its name.
        data: the manifest's bytes, as they are listed and served.
        notes: Markdown.
        supported_from: hosts below this version are not updated to it; None = all are.
    """

    product: str
    data: bytes
    notes: str = ""
    supported_from: Version | None = None

    @property
    def sha256(self) -> str:
        """Return the hash of the bytes, in hex."""
        return hashlib.sha256(self.data).hexdigest()


async def import_manifest(services: Services, wish: Import, caller: Caller) -> Published:
    """List what a manifest says.

    Raises:
        RequestError: no such product, no manifest, a taken version, no secret here, or a conflict (caller's fault).
        TrustError: BAD_SIGNATURE: the HMAC is not of this server's secret.
        StoreError: nothing was stored.
    """
    manifest = ReleaseManifest.parse(wish.data)
    custom = ManifestCustom.of(wish.product, manifest, PROTOCOL, wish.supported_from)
    await _check(services, wish, custom)
    manifest.verify(await asyncio.to_thread(_secret, services))
    async with services.catalogue.signing:
        await _check(services, wish, custom)
        try:
            await _keep(services, wish)
            return await _list(services, wish, custom, caller)
        except RequestError:
            await drop_unlisted(services.folder, services.store, wish.sha256)
            raise


async def _check(services: Services, wish: Import, custom: ManifestCustom) -> None:
    """Refuse what could not be listed whoever signed it."""
    if wish.product == AGENT:
        message = f"product: the {AGENT} is no product of local commands"
        raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy="name another product", field="product")
    require_release(custom.version)
    async with services.store.read() as connection:
        await products.require(connection, wish.product)
        await require_not_withdrawn(connection, wish.product, str(custom.version))
        await require_free(connection, custom.target_path, wish.sha256)
        await require_one_kind(connection, wish.product, str(custom.version), TargetKind.MANIFEST)


def _secret(services: Services) -> bytes:
    """Return this server's secret; a file is read each time, so that what it holds anew counts at once."""
    return manifest_secret(services.settings.manifest_secret_file, os.environ, _REMEDY)


async def _keep(services: Services, wish: Import) -> None:
    """Let the bytes lie under their hash, durably."""
    spooled = services.folder.spool / upload_name(services.ids)
    try:
        await asyncio.to_thread(write_durably, spooled, wish.data)
    except OSError as error:
        message = f"the manifest could not be stored: {error.strerror}"
        raise StoreError(message, code=Code.STORE_FAILED, remedy="free space on the server") from error
    await keep(services.folder, wish.sha256, spooled)


async def _list(services: Services, wish: Import, custom: ManifestCustom, caller: Caller) -> Published:
    """Sign and commit."""
    listing = _listing(wish, custom, services.clock.now().replace(microsecond=0))
    target = TargetFile(listing.length, listing.sha256, listing.custom)

    def act(old: Mapping[str, bytes], signers: RoleSigners, now: datetime) -> dict[str, bytes]:
        return publish_targets(old, wish.product, {listing.path: target}, signers, now)

    async def store(tx: Tx, repository: Repository) -> Published:
        role_version = repository.product(wish.product).version
        release = await insert(tx, listing, caller, services.ids.new("release"))
        tx.emit(published_event(listing, caller, role_version))
        return Published(release, role_version)

    return await sign_and_commit(services, act, store)


def _listing(wish: Import, custom: ManifestCustom, now: datetime) -> Listing:
    """Return what is stored of a manifest: it is for every host."""
    return Listing(
        product=wish.product,
        version=str(custom.version),
        channels=custom.channels,
        git_sha=custom.git_sha,
        platform=EVERYWHERE,
        path=custom.target_path,
        length=len(wish.data),
        sha256=wish.sha256,
        migrations_required=custom.migrations_required,
        breaking_changes=custom.breaking_changes or "",
        notes=wish.notes,
        supported_from=wish.supported_from,
        protocol=custom.protocol,
        released_at=now,
        custom=custom.to_json(),
    )
