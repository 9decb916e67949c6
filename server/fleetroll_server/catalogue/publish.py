"""The gate for new releases of a managed repository: an upload becomes a signed, listed release, or nothing at all.

1. What the header says is checked by name, before a byte is taken; so is whether the path is free.
2. The artefact is read whole: every number and hash that gets signed is computed here, never believed.
3. It lies durably under its hash before anything names it.
4. Signing starts from the newest files; one transaction adds the new files, release and artefact, and exchanges the
   timestamp, if nobody else has signed meanwhile.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_common.trust.listing import role_name
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.release import ReleaseCustom
from fleetroll_common.wire.handshake import PROTOCOL
from fleetroll_publishing.artefact.agent import ENTRY_POINT as AGENT_ENTRY
from fleetroll_publishing.artefact.agent import PRODUCT as AGENT
from fleetroll_publishing.artefact.inspect import inspect_artefact
from fleetroll_publishing.repository import TargetFile, publish_targets
from fleetroll_server.catalogue import products, reads
from fleetroll_server.catalogue.files import drop_unlisted, keep
from fleetroll_server.catalogue.signing import sign_and_commit
from fleetroll_server.store import EventFact
from fleetroll_server.store.tables import ArtifactRow, ReleaseRow, table_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from fleetroll_publishing.artefact.inspect import Inspected
    from fleetroll_publishing.roles import Repository
    from fleetroll_publishing.signers import RoleSigners
    from fleetroll_server.access.caller import Caller
    from fleetroll_server.catalogue.upload import Offer, Upload
    from fleetroll_server.catalogue.values import Release
    from fleetroll_server.services import Services
    from fleetroll_server.store import Tx

_RELEASE = table_of(ReleaseRow)
_ARTIFACT = table_of(ArtifactRow)


@dataclass(frozen=True, slots=True)
class Published:
    """A listed release, and the version of the product's role that lists it."""

    release: Release
    role_version: int


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
        if offer.version.is_dev or offer.version.build:
            message = f"version: {offer.version} is a build, not a release"
            raise _invalid("version", message, "stamp a version without '+'")
        if offer.git_sha.endswith("+dirty") and not self._services.demo:
            message = f"git_sha: {offer.git_sha} has changes that no commit holds"
            raise _invalid("git_sha", message, "commit and build again")
        _entry_of(offer)
        if offer.product == AGENT and not offer.platform.is_whole:
            message = f"platform: {offer.platform} does not name the Python that the agent needs"
            raise _invalid("platform", message, "name all of it, like linux/x86_64/cp311")
        async with self._services.store.read() as connection:
            taken = await connection.scalar(sa.select(_ARTIFACT.c.sha256).where(_ARTIFACT.c.path == offer.path))
        if taken is not None:
            same = taken == offer.sha256
            raise RequestError(
                f"version: {offer.path} is published, with {'these' if same else 'other'} bytes",
                code=Code.ALREADY_EXISTS,
                remedy="nothing is left to do" if same else "publish under a new version: a path keeps its bytes",
                field="version",
            )

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
        target = TargetFile(offer.length, offer.sha256, custom.to_json())

        def act(old: Mapping[str, bytes], signers: RoleSigners, now: datetime) -> dict[str, bytes]:
            return publish_targets(old, offer.product, {offer.path: target}, signers, now)

        async def store(tx: Tx, repository: Repository) -> Published:
            role_version = repository.product(offer.product).version
            release = await _insert(tx, offer, custom, caller, self._services.ids.new("release"))
            tx.emit(_event(offer, caller, role_version))
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


async def _insert(tx: Tx, offer: Offer, custom: ReleaseCustom, caller: Caller, fresh_id: str) -> Release:
    """Add the artefact, and its release where this is the first platform of the version."""
    query = sa.select(_RELEASE).where(_RELEASE.c.product == offer.product, _RELEASE.c.version == str(offer.version))
    row = (await tx.execute(query)).mappings().one_or_none()
    if row is None:
        row_id = fresh_id
        await tx.execute(sa.insert(_RELEASE).values(_release_row(offer, custom, caller, row_id)))
    else:
        row_id = row["id"]
        if row["git_sha"] != offer.git_sha:
            message = f"git_sha: {offer.version} is published from {row['git_sha']}, not from {offer.git_sha}"
            raise RequestError(message, code=Code.CONFLICT, remedy="publish under a new version", field="git_sha")
    await tx.execute(
        sa.insert(_ARTIFACT).values(
            release_id=row_id,
            os=offer.platform.os,
            arch=offer.platform.arch,
            abi=offer.platform.abi,
            path=offer.path,
            length=offer.length,
            sha256=offer.sha256,
            custom=custom.to_json(),
        )
    )
    return await reads.release(tx.connection, offer.product, str(offer.version))


def _release_row(offer: Offer, custom: ReleaseCustom, caller: Caller, row_id: str) -> Mapping[str, object]:
    """Return the release's row."""
    return {
        "id": row_id,
        "product": offer.product,
        "version": str(offer.version),
        "channels": list(offer.channels),
        "git_sha": offer.git_sha,
        "released_at": custom.released_at,
        "migrations_required": offer.migrations_required,
        "breaking_changes": offer.breaking_changes,
        "notes": offer.notes,
        "supported_from": "" if offer.supported_from is None else str(offer.supported_from),
        "protocol": custom.protocol,
        "listed": True,
        "actor_kind": caller.actor_kind,
        "actor_id": caller.actor_id,
    }


def _event(offer: Offer, caller: Caller, role_version: int) -> EventFact:
    """Return the fact for watchers; it belongs to no fleet."""
    return EventFact(
        fleet_id="",
        kind="release.published",
        actor_kind=caller.actor_kind,
        actor_id=caller.actor_id,
        message=f"{offer.product} {offer.version} for {offer.platform}",
        facts={"path": offer.path, "sha256": offer.sha256, "role": f"{role_name(offer.product)} {role_version}"},
    )


def _invalid(field: str, message: str, remedy: str) -> RequestError:
    """Return the publisher's error."""
    return RequestError(message, code=Code.INVALID_ARGUMENT, remedy=remedy, field=field)
