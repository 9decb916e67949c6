"""The keys of a managed repository. The root's are not among them: they lie where this server can't read them.

Who steals the server's key file and database can sign releases, snapshot and timestamp; a new root takes that back.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_common.trust.listing import role_name
from fleetroll_publishing.keys import PrivateKey
from fleetroll_publishing.signers import NaClSigner, RoleSigners
from fleetroll_server.store.tables import MetaRow, table_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.ext.asyncio import AsyncConnection

    from fleetroll_server.secrets import Secrets

_META = table_of(MetaRow)
_PREFIX = "signing_key/"
TOP_ROLES = ("targets", "snapshot", "timestamp")


def managed_roles(products: tuple[str, ...]) -> tuple[str, ...]:
    """Return the roles whose keys a managed server holds."""
    return (*TOP_ROLES, *map(role_name, products))


def sealed_rows(keys: Mapping[str, PrivateKey], secrets: Secrets) -> list[dict[str, str]]:
    """Return the rows of the meta table that hold ``keys`` (by role), sealed."""
    return [{"key": f"{_PREFIX}{role}", "value": secrets.seal(key.seed)} for role, key in keys.items()]


async def load_signers(connection: AsyncConnection, secrets: Secrets) -> RoleSigners:
    """Return the signers of a managed repository.

    Raises:
        StoreError: a key is not opened by this server's secret (operator's fault).
    """
    rows = await connection.execute(sa.select(_META.c.key, _META.c.value).where(_META.c.key.startswith(_PREFIX)))
    return role_signers({key.removeprefix(_PREFIX): PrivateKey(secrets.open(sealed)) for key, sealed in rows})


async def holds_key_of(connection: AsyncConnection, product: str) -> bool:
    """Tell whether this server can sign the releases of ``product``: whether the managed repository has it."""
    return await holds_key(connection, role_name(product))


async def holds_key(connection: AsyncConnection, role: str) -> bool:
    """Tell whether this server holds the key of ``role``."""
    query = sa.select(_META.c.key).where(_META.c.key == f"{_PREFIX}{role}")
    return await connection.scalar(query) is not None


def with_product(signers: RoleSigners, product: str, key: PrivateKey) -> RoleSigners:
    """Return ``signers`` with the key of one more product."""
    return replace(signers, products={**signers.products, product: NaClSigner(key)})


def role_signers(keys: Mapping[str, PrivateKey], root: tuple[PrivateKey, ...] = ()) -> RoleSigners:
    """Return signers for ``keys`` by role."""
    signers = {role: NaClSigner(key) for role, key in keys.items()}
    prefix = role_name("")
    return RoleSigners(
        root=tuple(map(NaClSigner, root)),
        targets=signers.get("targets"),
        products={role.removeprefix(prefix): signer for role, signer in signers.items() if role.startswith(prefix)},
        snapshot=signers.get("snapshot"),
        timestamp=signers.get("timestamp"),
    )
