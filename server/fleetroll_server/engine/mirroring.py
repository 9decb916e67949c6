"""A rollout that is taken back says what became of the rollout that does it.

It is read from that one's row whenever the engine looks at either, so that a crash in between loses nothing, and no two
rollouts are locked at once.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_server.domain.states import ROLLOUT_TRANSITIONS, RolloutKind, RolloutState, RolloutTrigger, transition
from fleetroll_server.engine.actor import GATE
from fleetroll_server.engine.book import ROLLOUT
from fleetroll_server.engine.holdings import forgive

if TYPE_CHECKING:
    from sqlalchemy import RowMapping

    from fleetroll_server.engine.book import Book
    from fleetroll_server.services import Services
    from fleetroll_server.store.tx import Tx

_GIVEN_UP = frozenset({RolloutState.CANCELLED, RolloutState.SUPERSEDED})


async def revert_of(tx: Tx, book: Book) -> RowMapping | None:
    """Return the newest rollout that takes this one back; nothing where there is none."""
    which = (
        ROLLOUT.c.parent_id == book.id,
        ROLLOUT.c.fleet_id == book.fleet_id,
        ROLLOUT.c.kind == RolloutKind.REVERT.value,
    )
    query = sa.select(ROLLOUT).where(*which).order_by(ROLLOUT.c.created_at.desc(), ROLLOUT.c.id.desc()).limit(1)
    return (await tx.execute(query)).mappings().one_or_none()


async def mirror(tx: Tx, book: Book) -> None:
    """Let a rollout that is being taken back follow its revert; the caller writes the book."""
    revert = await revert_of(tx, book)
    if revert is None:
        return
    state, name = RolloutState(revert["state"]), revert["id"]
    if state is RolloutState.COMPLETED:
        back = transition(ROLLOUT_TRANSITIONS, book.state, RolloutTrigger.BACK)
        book.set_state(tx, back, GATE, f"{name} took it back")
        await forgive(tx, book.scopes[-1], book.fleet_id)
    elif state in _GIVEN_UP:
        halted = transition(ROLLOUT_TRANSITIONS, book.state, RolloutTrigger.GIVE_UP)
        words = f": {revert['state_reason']}" if revert["state_reason"] else ""
        book.set_state(tx, halted, GATE, f"{name}, which took it back, is {state}{words}", revert["state_code"])


def tell_parent(tx: Tx, services: Services, book: Book) -> None:
    """Let the engine look at the rollout that this one takes back, right after the commit."""
    if book.kind is RolloutKind.REVERT and not book.is_open:
        tx.after_commit(partial(services.look_again.add, book.row["parent_id"], book.fleet_id))
