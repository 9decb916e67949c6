"""Tells staged hosts that it is worth asking for Go again."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_server.domain.late import MAX_UNDER_WAY
from fleetroll_server.domain.states import AttemptState, RolloutState, WaveState
from fleetroll_server.gateway.convert_out import ask_again
from fleetroll_server.store.tables import RolloutHostRow, table_of

if TYPE_CHECKING:
    from fleetroll_server.engine.book import Book
    from fleetroll_server.services import Sessions
    from fleetroll_server.store.tx import Tx

HOST = table_of(RolloutHostRow)


async def wake_staged(tx: Tx, sessions: Sessions, book: Book) -> None:
    """Push AskAgain to as many staged hosts of the open wave as may be past Go at once, in the stored order.

    A completed rollout has no open wave: there the late host under way is meant.
    """
    wave, late = book.current(), book.state is RolloutState.COMPLETED and book.offers
    if not late and (wave is None or wave.state is not WaveState.OPEN or book.state is not RolloutState.RUNNING):
        return
    query = (
        sa.select(HOST.c.agent_id, HOST.c.product, HOST.c.generation)
        .where(
            HOST.c.rollout_id == book.id,
            HOST.c.fleet_id == book.fleet_id,
            HOST.c.state == AttemptState.STAGED.value,
            *(() if wave is None else (HOST.c.wave == wave.number,)),
        )
        .limit(MAX_UNDER_WAY if late else book.limits.max_concurrent)
    )
    if wave is not None:  # late ones have no order: putting them into one would read every host of the rollout
        query = query.order_by(HOST.c.wave, HOST.c.position)
    for row in (await tx.execute(query)).all():
        tx.after_commit(partial(sessions.send, row.agent_id, ask_again(row.product, row.generation)))
