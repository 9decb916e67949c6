"""The signing keys that this server holds. The root's are never among them: they lie where it can't read them.

A managed repository has those of targets and products here too; an offline one snapshot's and timestamp's alone. Who
steals the server's key file and database can sign with what is here; a new root takes that back.

Prepared keys lie beside them: made here, told to whoever signs the next root, and signing nothing before one that names
them is committed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_common.trust.listing import role_name
from fleetroll_publishing.demands import ONLINE_ROLES
from fleetroll_publishing.keys import PrivateKey
from fleetroll_publishing.signers import NaClSigner, RoleSigners
from fleetroll_server.store.tables import MetaRow, table_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sqlalchemy.ext.asyncio import AsyncConnection

    from fleetroll_server.secrets import Secrets
    from fleetroll_server.store import Tx

_META = table_of(MetaRow)
_PREFIX = "signing_key/"
_PREPARED = "prepared_key/"
_MODE = "signing_mode"
MANAGED, OFFLINE = "managed", "offline"
"""Who holds the keys of targets and products: this server, or publishers."""
TOP_ROLES = ("targets", "snapshot", "timestamp")


def managed_roles(products: tuple[str, ...]) -> tuple[str, ...]:
    """Return the roles whose keys a managed server holds."""
    return (*TOP_ROLES, *map(role_name, products))


def sealed_rows(keys: Mapping[str, PrivateKey], secrets: Secrets) -> list[dict[str, str]]:
    """Return the rows of the meta table that hold ``keys`` (by role), sealed."""
    return [{"key": f"{_PREFIX}{role}", "value": secrets.seal(key.seed)} for role, key in keys.items()]


async def load_signers(connection: AsyncConnection, secrets: Secrets) -> RoleSigners:
    """Return the signers that are here.

    Raises:
        StoreError: a key is not opened by this server's secret (operator's fault).
    """
    return role_signers(await held_keys(connection, secrets))


async def held_keys(connection: AsyncConnection, secrets: Secrets) -> dict[str, PrivateKey]:
    """Return the keys that sign, by role; raises as :func:`load_signers`."""
    return await _opened(connection, secrets, _PREFIX)


async def prepared_keys(connection: AsyncConnection, secrets: Secrets) -> dict[str, PrivateKey]:
    """Return the keys that wait for a root that names them, by role; raises as :func:`load_signers`."""
    return await _opened(connection, secrets, _PREPARED)


async def replace_prepared(tx: Tx, keys: Mapping[str, PrivateKey], secrets: Secrets) -> None:
    """Let ``keys`` wait in the place of those of their roles; the others wait on."""
    names = [f"{_PREPARED}{role}" for role in keys]
    await tx.execute(sa.delete(_META).where(_META.c.key.in_(names)))
    await _put_prepared(tx, keys, secrets)


async def _put_prepared(tx: Tx, keys: Mapping[str, PrivateKey], secrets: Secrets) -> None:
    """Add keys that wait; there MUST be none of their roles."""
    rows = [{"key": f"{_PREPARED}{role}", "value": secrets.seal(key.seed)} for role, key in keys.items()]
    if rows:
        await tx.execute(sa.insert(_META), rows)


async def exchange_keys(
    tx: Tx, secrets: Secrets, kept: Mapping[str, PrivateKey], waiting: Mapping[str, PrivateKey]
) -> None:
    """Let this server hold ``kept`` and nothing else that signs, with ``waiting`` prepared; the mode follows.

    What is not among them is deleted in the same transaction in which no role names it any more.
    """
    old = sa.or_(_META.c.key.startswith(_PREFIX), _META.c.key.startswith(_PREPARED))
    await tx.execute(sa.delete(_META).where(old))
    await tx.execute(sa.insert(_META), sealed_rows(kept, secrets))
    await _put_prepared(tx, waiting, secrets)
    mode = sa.update(_META).where(_META.c.key == _MODE).values(value=mode_of(kept))
    await tx.execute(mode)


def mode_of(held: Collection[str]) -> str:
    """Return the mode of a server that holds the keys of these roles."""
    return MANAGED if any(role not in ONLINE_ROLES for role in held) else OFFLINE


async def signing_mode(connection: AsyncConnection) -> str:
    """Return who holds the keys of targets and products: ``managed`` or ``offline``."""
    return str(await connection.scalar(sa.select(_META.c.value).where(_META.c.key == _MODE)) or MANAGED)


async def _opened(connection: AsyncConnection, secrets: Secrets, prefix: str) -> dict[str, PrivateKey]:
    """Return the keys under a prefix, by role."""
    rows = await connection.execute(sa.select(_META.c.key, _META.c.value).where(_META.c.key.startswith(prefix)))
    return {key.removeprefix(prefix): PrivateKey(secrets.open(sealed)) for key, sealed in rows}


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
