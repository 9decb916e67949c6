"""A start that is asked for again: the same key answers with the same rollout, and with whom it left out."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_server.engine.book import ROLLOUT
from fleetroll_server.store.tables import ExclusionsRow, table_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleetroll_server.engine.starting import Order
    from fleetroll_server.store.tx import Tx

EXCLUSIONS = table_of(ExclusionsRow)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A selected host that the rollout does not mean, and why: as it is answered, and stored for a repetition."""

    agent_id: str
    name: str
    code: str
    message: str


async def known_exclusions(tx: Tx, order: Order, rollout_id: str) -> tuple[LeftOut, ...]:
    """Return whom the start left out that this request repeats, as it was answered."""
    mine = (EXCLUSIONS.c.rollout_id == rollout_id, EXCLUSIONS.c.fleet_id == order.fleet_id)
    stored = (await tx.execute(sa.select(EXCLUSIONS.c.hosts).where(*mine))).scalar_one_or_none()
    return tuple(LeftOut(**host) for host in stored or ())


async def known(tx: Tx, order: Order) -> str | None:
    """Return the rollout that an earlier request with the same key started."""
    if not order.idempotency_key:
        return None
    query = sa.select(ROLLOUT.c.id, ROLLOUT.c.request_sha256).where(
        ROLLOUT.c.fleet_id == order.fleet_id, ROLLOUT.c.idempotency_key == order.idempotency_key
    )
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        return None
    if row.request_sha256 != order.request_sha256:
        message = "idempotency_key: it was used for another request"
        raise RequestError(message, code=Code.ALREADY_EXISTS, remedy="use a new key", rollout=row.id)
    found: str = row.id
    return found


async def keep_exclusions(tx: Tx, order: Order, rollout_id: str, left_out: Sequence[LeftOut]) -> None:
    """Keep whom a start left out that may be repeated."""
    if order.idempotency_key and left_out:
        hosts = [asdict(found) for found in left_out]
        await tx.execute(sa.insert(EXCLUSIONS).values(rollout_id=rollout_id, fleet_id=order.fleet_id, hosts=hosts))
