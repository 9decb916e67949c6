"""While the services are driven: every statement on a table of one fleet's things is held to one fleet."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from fleetroll_common.wire.macs import session_token
from fleetroll_server.store.tables import AgentRow, table_of
from tests.faults.fleet_guard import fleets_named

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def fleets_are_named() -> Iterator[None]:
    """Watch every statement of the test."""
    with fleets_named():
        yield


@pytest.fixture
async def agent_metadata(server: Any) -> tuple[tuple[str, bytes], ...]:
    """The metadata of an agent in a session."""
    values: dict[str, Any] = {
        "name": "h",
        "os": "linux",
        "arch": "x86_64",
        "abi": "cp311",
        "public_key": b"k",
        "acked": b"a",
    }
    row = AgentRow(id="agent-a", fleet_id="default", epoch=3, enrolled_at=server.clock.now(), **values)

    async def job(tx: Any) -> None:
        await tx.execute(sa.insert(table_of(AgentRow)).values(row.model_dump()))

    await server.services.store.writer.command(job)
    ends = server.clock.now() + timedelta(minutes=15)
    return (("fleetroll-session-bin", session_token(server.services.server_key, "agent-a", 3, ends)),)
