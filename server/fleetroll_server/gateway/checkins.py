"""When a host that does not hold its stream comes again: named in every welcome."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_server.domain.states import BEFORE_GO
from fleetroll_server.store.tables import RolloutHostRow, table_of

if TYPE_CHECKING:
    from fleetroll_server.gateway.session import SessionKey
    from fleetroll_server.services import Services
    from fleetroll_server.store.tx import Tx

HOST = table_of(RolloutHostRow)
FLOOR_SECONDS = 60.0
"""No host is asked to come more often: the fleet's number of them is not known to it."""
SPREAD = 0.1
"""Of the interval, either way: hosts that came together once do not for ever."""


async def next_check_in(tx: Tx, services: Services, key: SessionKey) -> timedelta:
    """Return after what time the host shall come again: sooner where one of its attempts can go on sooner."""
    query = sa.select(sa.func.min(HOST.c.retry_at)).where(
        HOST.c.agent_id == key.agent_id,
        HOST.c.fleet_id == key.fleet_id,
        HOST.c.state.in_([state.value for state in BEFORE_GO]),
        HOST.c.retry_at > tx.now,
    )
    due: datetime | None = (await tx.execute(query)).scalar_one_or_none()
    chance = int.from_bytes(services.ids.token(2), "big") / 65536
    wait = None if due is None else (due - tx.now).total_seconds()
    return timedelta(seconds=check_in_seconds(services.settings.check_in_seconds, wait, chance))


def check_in_seconds(interval: float, wait: float | None, random01: float) -> float:
    """Return the seconds until the next check-in.

    Args:
        interval: of the settings, >= 60 s.
        wait: seconds until one of the host's attempts may go on; None = none waits for a time.
        random01: a random number in [0, 1).
    """
    spread = interval * (1 - SPREAD + 2 * SPREAD * random01)
    return max(FLOOR_SECONDS, spread if wait is None else min(spread, wait))
