"""Which anchors each host goes by, as its last hello said: so people see whether a change has reached the fleet.

One row of the meta table for each host that has said more than 0; a hello that says the same again costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_server.store.fleets import every_fleet
from fleetroll_server.store.tables import AgentRow, MetaRow, table_of

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from fleetroll_server.services import Services
    from fleetroll_server.store import Tx

_META = table_of(MetaRow)
_AGENT = table_of(AgentRow)
PREFIX = "anchors_serial/"


class Reported:
    """What this process has written of each host. Another server writes what it hears itself."""

    def __init__(self) -> None:
        """Know nothing."""
        self._written: dict[str, int] = {}

    def knows(self, agent_id: str, serial: int) -> bool:
        """Tell whether nothing is to be written."""
        return self._written.get(agent_id, 0) == serial

    def note(self, agent_id: str, serial: int) -> None:
        """Take note of what was committed."""
        self._written[agent_id] = serial


async def write_serial(tx: Tx, services: Services, agent_id: str, serial: int) -> None:
    """Write by which anchors a host goes."""
    reported = services.reported
    if reported.knows(agent_id, serial):
        return
    key, value = f"{PREFIX}{agent_id}", str(serial)
    if (await tx.execute(sa.update(_META).where(_META.c.key == key).values(value=value))).rowcount == 0:
        await tx.execute(sa.insert(_META).values(key=key, value=value))
    tx.after_commit(lambda: reported.note(agent_id, serial))


async def count_serials(connection: AsyncConnection) -> dict[int, int]:
    """Return how many hosts go by which serial, revoked ones left out, highest first; 0 = by what enrolment gave."""
    key = sa.literal(PREFIX).concat(_AGENT.c.id)
    value = sa.func.coalesce(_META.c.value, "0")
    joined = _AGENT.outerjoin(_META, _META.c.key == key)
    query = sa.select(value, sa.func.count()).select_from(joined).where(_AGENT.c.revoked.is_(False)).group_by(value)
    rows = await connection.execute(every_fleet(query, "anchors are of the whole installation"))
    return dict(sorted(((int(serial), count) for serial, count in rows), reverse=True))
