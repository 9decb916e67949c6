"""Verbs on the releases of a product whose key this server holds: all of them or none, signed and committed at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_publishing.repository import change_product
from fleetroll_publishing.roles import read_repository
from fleetroll_publishing.verbs import Revoke, SetFloor
from fleetroll_server.catalogue import products, reads
from fleetroll_server.catalogue.recalling import recall_releases
from fleetroll_server.catalogue.relisting import relist
from fleetroll_server.catalogue.rising import require_stranded
from fleetroll_server.catalogue.signing import sign_and_commit
from fleetroll_server.catalogue.values import ReleaseState
from fleetroll_server.store import EventFact
from fleetroll_server.store.tables import ReleaseRow, table_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from fleetroll_common.trust.library import Targets
    from fleetroll_publishing.roles import Repository
    from fleetroll_publishing.signers import RoleSigners
    from fleetroll_publishing.verbs import Change
    from fleetroll_server.access.caller import Caller
    from fleetroll_server.catalogue.values import Release
    from fleetroll_server.services import Services
    from fleetroll_server.store import Tx

_RELEASE = table_of(ReleaseRow)


@dataclass(frozen=True, slots=True)
class ChangeWish:
    """What is asked for.

    Attributes:
        product: its name.
        role_version: of the product's role that the change was drawn from.
        changes: verbs, applied in their order.
        stranded: hosts that the caller knows to be left without a way up, for the last floor among ``changes``.
        reason: why, in words.
        recall: what is yanked or revoked by it is taken back from the hosts that it came to.
    """

    product: str
    role_version: int
    changes: tuple[Change, ...]
    stranded: int
    reason: str
    recall: bool = False


@dataclass(frozen=True, slots=True)
class Changed:
    """What came of it: the releases that are new or changed, the version of the product's role, started reverts."""

    role_version: int
    releases: tuple[Release, ...]
    reverts: tuple[str, ...] = ()


async def change_releases(services: Services, wish: ChangeWish, caller: Caller) -> Changed:
    """Apply verbs, sign, commit: releases and rollouts follow in the same transaction.

    Raises:
        RequestError: NOT_FOUND; NOT_ALLOWED: the product's key is held elsewhere; CONFLICT: the role is another version
            by now, a release is in use, or other hosts are stranded; what the verbs refuse (caller's fault).
        StoreError: nothing was stored.
    """
    async with services.store.read() as connection:
        await products.require(connection, wish.product)
    before: list[Targets] = []

    async with services.catalogue.signing:
        changes = [await _with_digests(services, wish.product, change) for change in wish.changes]

        def act(old: Mapping[str, bytes], signers: RoleSigners, now: datetime) -> dict[str, bytes]:
            role = read_repository(old).product(wish.product)
            _require_seen(wish, role.version)
            before[:] = [role]
            return change_product(old, wish.product, changes, signers, now)

        async def store(tx: Tx, repository: Repository) -> Changed:
            role = repository.product(wish.product)
            found = await relist(tx, services, wish.product, before[0], role, {}, caller)
            await _require_stranded(tx, wish)
            tx.emit(_event(wish, role.version, caller))
            reverts = await recall_releases(tx, services, found, caller, wish.reason) if wish.recall else ()
            return Changed(role.version, tuple(found), reverts)

        return await sign_and_commit(services, act, store)


def _require_seen(wish: ChangeWish, version: int) -> None:
    """Refuse a change that was drawn from another list than stands.

    Raises:
        RequestError: CONFLICT (caller's fault).
    """
    if version != wish.role_version:
        message = f"role_version: {wish.role_version} is not the newest of {wish.product}, {version}"
        remedy = "read the releases again and decide anew"
        raise RequestError(message, code=Code.CONFLICT, remedy=remedy, field="role_version", current=str(version))


async def _with_digests(services: Services, product: str, change: Change) -> Change:
    """Name the artefacts of a release that is listed no more: the signed role has them no more, these rows do."""
    if not isinstance(change, Revoke):
        return change
    async with services.store.read() as connection:
        which = (_RELEASE.c.product == product, _RELEASE.c.version == str(change.version))
        state = (await connection.execute(sa.select(_RELEASE.c.state).where(*which))).scalar_one_or_none()
        if state not in {ReleaseState.YANKED, ReleaseState.RETIRED}:
            return change
        found = await reads.release(connection, product, str(change.version))
    return replace(change, sha256s=tuple(artifact.sha256 for artifact in found.artifacts))


async def _require_stranded(tx: Tx, wish: ChangeWish) -> None:
    """Refuse a floor that leaves other hosts without a way up than the caller has seen, with all verbs applied.

    Raises:
        RequestError: CONFLICT (caller's fault).
    """
    floors = [change.version for change in wish.changes if isinstance(change, SetFloor)]
    if not floors or floors[-1] is None:
        return
    await require_stranded(tx, wish.product, floors[-1], wish.stranded)


def _event(wish: ChangeWish, role_version: int, caller: Caller) -> EventFact:
    """Return the fact of the decision, with its reason; what it led to is told by facts of its own."""
    return EventFact(
        fleet_id="",
        kind="releases.changed",
        actor_kind=caller.actor_kind,
        actor_id=caller.actor_id,
        reason=wish.reason,
        message=f"{wish.product}: role version {role_version}",
        facts={"product": wish.product},
    )
