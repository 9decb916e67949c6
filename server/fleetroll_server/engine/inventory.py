"""What a host says of itself, as rows: platform, place, products."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_common.values.release import AGENT as AGENT_PRODUCT
from fleetroll_server.engine.actor import HOST
from fleetroll_server.store.tables import AgentRow, HostProductRow, table_of
from fleetroll_server.store.tx import EventFact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleetroll_server.domain.heard import HostSaid, ProductSaid
    from fleetroll_server.gateway.session import SessionKey
    from fleetroll_server.store.tx import Tx

AGENT = table_of(AgentRow)
PRODUCT = table_of(HostProductRow)


async def write_inventory(tx: Tx, server_id: str, key: SessionKey, host: HostSaid, held: int) -> None:
    """Write the host's facts; the name stays what it was enrolled with. ``held``: so far its journal is durable."""
    mine = (AGENT.c.id == key.agent_id, AGENT.c.fleet_id == key.fleet_id)
    values = {
        "os": host.os,
        "arch": host.arch,
        "abi": host.abi,
        "time_zone": host.time_zone,
        "disk_free_bytes": host.disk_free_bytes,
        "container_marker": host.container_marker,
        "boot_id": host.boot_id,
        "agent_version": host.agent_version,
        "launcher_version": host.launcher_version,
        "server_id": server_id,
        "last_seen_at": tx.now,
        "last_sequence": held,
        "journal_id": host.journal_id,
        "left_well": False,
    }
    await tx.execute(sa.update(AGENT).where(*mine).values(**values))
    for product in host.products:
        await _write_product(tx, key, product)
    await _forget_products(tx, key, [product.product for product in host.products])
    note_presence(tx, key.agent_id, key.fleet_id, online=True)


def note_presence(tx: Tx, agent_id: str, fleet_id: str, *, online: bool) -> None:
    """Record for watchers that a host came or went."""
    kind = "agent.online" if online else "agent.offline"
    tx.emit(EventFact(fleet_id=fleet_id, kind=kind, actor_kind=HOST.kind, actor_id="session", agent_id=agent_id))


async def write_visit(tx: Tx, key: SessionKey) -> None:
    """Write that the host was there. It stays offline: nobody is there who could take an offer."""
    mine = (AGENT.c.id == key.agent_id, AGENT.c.fleet_id == key.fleet_id)
    await tx.execute(sa.update(AGENT).where(*mine).values(last_seen_at=tx.now, server_id=""))


async def _forget_products(tx: Tx, key: SessionKey, named: Sequence[str]) -> None:
    """Drop products that the host names no more: its own file says what it keeps. The agent is there all the same."""
    mine = (PRODUCT.c.agent_id == key.agent_id, PRODUCT.c.fleet_id == key.fleet_id)
    await tx.execute(sa.delete(PRODUCT).where(*mine, PRODUCT.c.product.not_in([AGENT_PRODUCT, *named])))


async def _write_product(tx: Tx, key: SessionKey, product: ProductSaid) -> None:
    """Write one product as it stands on the host."""
    which = (
        PRODUCT.c.agent_id == key.agent_id,
        PRODUCT.c.product == product.product,
        PRODUCT.c.fleet_id == key.fleet_id,
    )
    values = {
        "version": product.version,
        "sha256": product.sha256,
        "previous_version": product.previous_version,
        "on_trial": product.on_trial,
        "healthy": product.healthy,
        "note": product.note,
        "highest_generation": product.highest_generation,
    }
    updated = await tx.execute(sa.update(PRODUCT).where(*which).values(**values))
    if not updated.rowcount:
        keys = {"agent_id": key.agent_id, "product": product.product, "fleet_id": key.fleet_id}
        await tx.execute(sa.insert(PRODUCT).values(**keys, **values, last_success_at=None))
