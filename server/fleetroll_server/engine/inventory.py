"""What a host says of itself, as rows: platform, place, products."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fleetroll_common.values.release import AGENT as AGENT_PRODUCT
from fleetroll_server.catalogue.alarms import is_revoked, revoked_running
from fleetroll_server.domain.presence import checks_in_seconds, online_until
from fleetroll_server.engine import presence
from fleetroll_server.store.tables import AgentRow, HostProductRow, table_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fleetroll_server.domain.heard import HostSaid, ProductSaid
    from fleetroll_server.gateway.session import SessionKey
    from fleetroll_server.services import Services
    from fleetroll_server.store.tx import Tx

AGENT = table_of(AgentRow)
PRODUCT = table_of(HostProductRow)


@dataclass(frozen=True, slots=True)
class News:
    """What a hello brings: the host came, which watchers have been told; something of it has changed."""

    came: bool
    changed: bool


async def write_inventory(tx: Tx, services: Services, key: SessionKey, host: HostSaid, held: int) -> News:
    """Write the host's facts; return what is new in them. The name stays as it was enrolled.

    Args:
        tx: the hello's transaction.
        services: of this server.
        key: who speaks.
        host: what it says of itself.
        held: so far its journal is durable.
    """
    before = await presence.known(tx, key)
    facts = {
        "os": host.os,
        "arch": host.arch,
        "abi": host.abi,
        "time_zone": host.time_zone,
        "container_marker": host.container_marker,
        "agent_version": host.agent_version,
        "launcher_version": host.launcher_version,
    }
    own = host.check_in.total_seconds() if host.check_in is not None else None
    values = facts | {
        "disk_free_bytes": host.disk_free_bytes,  # another one in each hello: no news for watchers
        "boot_id": host.boot_id,
        "server_id": services.server_id,
        "last_seen_at": tx.now,
        "last_sequence": held,
        "journal_id": host.journal_id,
        "left_well": False,
        "online_until": None,
        "check_in_seconds": checks_in_seconds(own, services.settings.check_in_seconds),
    }
    await tx.execute(sa.update(AGENT).where(*_mine(key)).values(**values))
    changed = await _write_products(tx, key, host.products)
    return News(presence.note_coming(tx, key, before), changed or _differ(before, facts))


async def write_visit(tx: Tx, key: SessionKey) -> None:
    """Write that the host was there. It is not online by that: nobody is there who could take an offer."""
    before = await presence.known(tx, key)
    values = {"last_seen_at": tx.now, "server_id": ""}
    until = {"online_until": online_until(tx.now)} if before["server_id"] else {}
    await tx.execute(sa.update(AGENT).where(*_mine(key)).values(**values, **until))


async def _write_products(tx: Tx, key: SessionKey, products: Sequence[ProductSaid]) -> bool:
    """Write every product as it stands on the host; tell whether anything has changed.

    Those that the host names no more are dropped: its own file says what it keeps. The agent is there all the same.
    """
    query = sa.select(PRODUCT).where(PRODUCT.c.agent_id == key.agent_id, PRODUCT.c.fleet_id == key.fleet_id)
    known = {row["product"]: row for row in (await tx.execute(query)).mappings()}
    said = {product.product: product for product in products}
    gone = known.keys() - {AGENT_PRODUCT, *said}
    if gone:
        await tx.execute(sa.delete(PRODUCT).where(*_which(key, *sorted(gone))))
    changed = bool(gone)
    for name, product in said.items():
        changed = await _write_product(tx, key, product, known.get(name)) or changed
    return changed


async def _write_product(tx: Tx, key: SessionKey, product: ProductSaid, known: Mapping[Any, Any] | None) -> bool:
    """Write one product; tell whether anything has changed."""
    values = {
        "version": product.version,
        "sha256": product.sha256,
        "previous_version": product.previous_version,
        "on_trial": product.on_trial,
        "healthy": product.healthy,
        "note": product.note,
        "highest_generation": product.highest_generation,
    }
    if known is None:
        keys = {"agent_id": key.agent_id, "product": product.product, "fleet_id": key.fleet_id}
        await tx.execute(sa.insert(PRODUCT).values(**keys, **values, last_success_at=None))
        return True
    if not _differ(known, values):
        return False
    if known["sha256"] != product.sha256 and await is_revoked(tx, product.product, product.sha256):
        words = (product.product, product.version, product.sha256)
        tx.emit(revoked_running(key.fleet_id, key.agent_id, *words))
    await tx.execute(sa.update(PRODUCT).where(*_which(key, product.product)).values(**values))
    return True


def _differ(row: Mapping[Any, Any], values: Mapping[str, Any]) -> bool:
    return any(row[name] != value for name, value in values.items())


def _mine(key: SessionKey) -> tuple[sa.ColumnElement[bool], ...]:
    return AGENT.c.id == key.agent_id, AGENT.c.fleet_id == key.fleet_id


def _which(key: SessionKey, *products: str) -> tuple[sa.ColumnElement[bool], ...]:
    here = (PRODUCT.c.agent_id == key.agent_id, PRODUCT.c.fleet_id == key.fleet_id)
    return (*here, PRODUCT.c.product.in_(products))
