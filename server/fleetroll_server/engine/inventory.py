"""What a host says of itself, as rows: platform, place, products."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_server.store.tables import AgentRow, HostProductRow, table_of

if TYPE_CHECKING:
    from fleetroll.v1 import agent_stream_pb2 as stream_pb2
    from fleetroll_server.gateway.session import SessionKey
    from fleetroll_server.store.tx import Tx

AGENT = table_of(AgentRow)
PRODUCT = table_of(HostProductRow)
MAX_TEXT = 253


async def write_inventory(tx: Tx, server_id: str, key: SessionKey, payload: stream_pb2.HelloPayload) -> None:
    """Write the host's facts; the name stays what it was enrolled with. A new journal begins at 0."""
    mine = (AGENT.c.id == key.agent_id, AGENT.c.fleet_id == key.fleet_id)
    same_journal = AGENT.c.journal_id == payload.journal_id
    values = {
        "os": payload.platform.os[:24],
        "arch": payload.platform.arch[:24],
        "abi": payload.platform.abi[:24],
        "time_zone": payload.time_zone[:MAX_TEXT],
        "disk_free_bytes": max(0, payload.disk_free_bytes),
        "container_marker": payload.container_marker[:MAX_TEXT],
        "boot_id": payload.boot_id[:MAX_TEXT],
        "agent_version": payload.agent_version[:MAX_TEXT],
        "launcher_version": payload.launcher_version[:MAX_TEXT],
        "server_id": server_id,
        "last_seen_at": tx.now,
        "last_sequence": sa.case((same_journal, AGENT.c.last_sequence), else_=0),
        "journal_id": payload.journal_id[:MAX_TEXT],
        "left_well": False,
    }
    await tx.execute(sa.update(AGENT).where(*mine).values(**values))
    for product in payload.products:
        await _write_product(tx, key, product)


async def _write_product(tx: Tx, key: SessionKey, product: stream_pb2.ProductState) -> None:
    """Write one product as it stands on the host."""
    which = (
        PRODUCT.c.agent_id == key.agent_id,
        PRODUCT.c.product == product.product,
        PRODUCT.c.fleet_id == key.fleet_id,
    )
    values = {
        "version": product.version,
        "sha256": product.sha256.hex(),
        "previous_version": product.previous_version,
        "on_trial": product.on_trial,
        "healthy": product.healthy,
        "note": product.note[:MAX_TEXT],
        "highest_generation": product.highest_generation,
    }
    updated = await tx.execute(sa.update(PRODUCT).where(*which).values(**values))
    if not updated.rowcount:
        keys = {"agent_id": key.agent_id, "product": product.product, "fleet_id": key.fleet_id}
        await tx.execute(sa.insert(PRODUCT).values(**keys, **values, last_success_at=None))
