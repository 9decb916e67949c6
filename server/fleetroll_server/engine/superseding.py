"""A newer rollout takes hosts over from one that stands: that one ends, and hosts past Go finish there first.

Their claim is what the newer one waits for. What runs is never replaced: a person pauses it before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_common.values.codes import Code
from fleetroll_server.domain.states import ROLLOUT_TRANSITIONS, RolloutState, RolloutTrigger, transition
from fleetroll_server.engine.advance import go_on
from fleetroll_server.engine.book import ROLLOUT, open_book
from fleetroll_server.engine.holdings import forgive
from fleetroll_server.engine.winding import wind_up

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from fleetroll_server.engine.actor import Actor
    from fleetroll_server.services import Services
    from fleetroll_server.store.tx import Tx

_REPLACEABLE = sorted(state.value for state in (RolloutState.PAUSED, RolloutState.HALTED))


async def replaceable(tx: Tx, fleet_id: str, rollouts: Collection[str], *, lock: bool = True) -> frozenset[str]:
    """Return which of these rollouts may be replaced; ``lock``: in the order of their ids, until the commit."""
    if not rollouts:
        return frozenset()
    mine = (ROLLOUT.c.fleet_id == fleet_id, ROLLOUT.c.id.in_(sorted(rollouts)))
    query = sa.select(ROLLOUT.c.id).where(*mine, ROLLOUT.c.state.in_(_REPLACEABLE)).order_by(ROLLOUT.c.id)
    return frozenset((await tx.execute(query.with_for_update() if lock else query)).scalars())


async def supersede(
    tx: Tx, services: Services, fleet_id: str, rollouts: Iterable[str], newer: str, actor: Actor
) -> None:
    """End rollouts that a newer one replaces; their hosts before Go leave, those past it finish."""
    for rollout_id in sorted(rollouts):
        book = await open_book(tx, rollout_id, fleet_id)
        if book is None:
            continue
        state = transition(ROLLOUT_TRANSITIONS, book.state, RolloutTrigger.SUPERSEDE)
        book.set_state(tx, state, actor, f"replaced by {newer}", Code.SUPERSEDED)
        await forgive(tx, book.scopes[-1], book.fleet_id)
        await wind_up(tx, services, book)
        await go_on(tx, services, book)
