"""Products of a managed repository: each has a key of its own, and a signed role that lists its releases.

A new one gets its key, its delegation and its empty role in one transaction. Hosts follow the delegation by their next
refresh: nothing on them is touched.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_common.trust.listing import role_name
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_publishing.keys import PrivateKey
from fleetroll_publishing.repository import add_product
from fleetroll_publishing.roles import read_repository
from fleetroll_server.catalogue.keys import holds_key, holds_key_of, sealed_rows, with_product
from fleetroll_server.catalogue.metadata import current_files
from fleetroll_server.catalogue.signing import sign_and_commit
from fleetroll_server.store import EventFact
from fleetroll_server.store.tables import MetaRow, ReleaseRow, table_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncConnection

    from fleetroll_publishing.roles import Repository
    from fleetroll_publishing.signers import RoleSigners
    from fleetroll_server.access.caller import Caller
    from fleetroll_server.services import Services
    from fleetroll_server.store import Tx

_META = table_of(MetaRow)
_RELEASE = table_of(ReleaseRow)


SIGN_ELSEWHERE = "sign it where the key is: `fleetroll release publish` and its verbs take --keys-dir DIR or --key FILE"
"""The way of a repository whose keys lie offline."""


@dataclass(frozen=True, slots=True)
class Product:
    """A product as it is listed.

    Attributes:
        name: its name.
        role_version: of its signed role, >= 1.
        expires_at: when that signature ends; aware, UTC.
        releases: that are listed, >= 0.
    """

    name: str
    role_version: int
    expires_at: datetime
    releases: int = 0


async def add(services: Services, product: str, caller: Caller) -> Product:
    """Make ``product`` one that releases can be published of.

    Raises:
        RequestError: ALREADY_EXISTS, INVALID_ARGUMENT: its name; CONFLICT: another server signed meanwhile;
            NOT_ALLOWED: the key of targets is held elsewhere (admin's fault).
        StoreError: nothing was stored.
    """
    async with services.store.read() as connection:
        if not await holds_key(connection, "targets"):
            message = "product: the key of targets is held offline, this server can't delegate to another key"
            remedy = "add the product where that key is, with `fleetroll keys`"
            raise RequestError(message, code=Code.NOT_ALLOWED, remedy=remedy, field="product")
    key = PrivateKey.generate()

    def act(old: Mapping[str, bytes], signers: RoleSigners, now: datetime) -> dict[str, bytes]:
        return add_product(old, product, with_product(signers, product, key), now)

    async def store(tx: Tx, repository: Repository) -> Product:
        await tx.execute(sa.insert(_META), sealed_rows({role_name(product): key}, services.secrets))
        added = _product(product, repository)
        tx.emit(_event(added, caller))
        return added

    async with services.catalogue.signing:
        return await sign_and_commit(services, act, store)


async def products(connection: AsyncConnection) -> list[Product]:
    """Return all products, by name.

    Raises:
        StoreError: the metadata is damaged (our fault).
    """
    repository = read_repository(await current_files(connection))
    listed = _RELEASE.c.listed.is_(True)
    query = sa.select(_RELEASE.c.product, sa.func.count()).where(listed).group_by(_RELEASE.c.product)
    counts = {row[0]: row[1] for row in await connection.execute(query)}
    return [_product(name, repository, counts.get(name, 0)) for name in sorted(repository.products)]


async def require(connection: AsyncConnection, product: str) -> None:
    """Return when releases of ``product`` can be published to this server.

    Raises:
        RequestError: NOT_FOUND: there is no such product; NOT_ALLOWED: its key is held elsewhere (caller's fault).
    """
    if await holds_key_of(connection, product):
        return
    if product in read_repository(await current_files(connection)).products:
        message = f"product: the key of {product} is held offline, this server can't sign its releases"
        raise RequestError(message, code=Code.NOT_ALLOWED, remedy=SIGN_ELSEWHERE, field="product")
    message = f"product: this server lists no product {product[:63]!r}"
    remedy = f"add it with `fleetroll release product add {product[:63]}`, or correct its name"
    raise RequestError(message, code=Code.NOT_FOUND, remedy=remedy, field="product")


def _product(name: str, repository: Repository, releases: int = 0) -> Product:
    """Return how a product stands."""
    role = repository.product(name)
    return Product(name, role.version, role.expires, releases)


def _event(product: Product, caller: Caller) -> EventFact:
    """Return the fact for watchers; it belongs to no fleet."""
    return EventFact(
        fleet_id="",
        kind="product.added",
        actor_kind=caller.actor_kind,
        actor_id=caller.actor_id,
        message=product.name,
        facts={"product": product.name, "role": f"{role_name(product.name)} {product.role_version}"},
    )
