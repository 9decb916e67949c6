"""Late hosts of a completed rollout: what its completion leaves for them, why one gives up its place, and the stop.

A late host has a claim and an assignment only while it is under way: one that is away, held or quarantined goes back
into the queue, is told ``none``, and gets a new generation when its turn comes.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fleetroll_common.values.codes import Code
from fleetroll_server.domain.late import MAX_UNDER_WAY, RESUMABLE
from fleetroll_server.domain.states import BEFORE_GO, AttemptState, RolloutState, Trigger
from fleetroll_server.engine.actor import GATE
from fleetroll_server.engine.book import ROLLOUT
from fleetroll_server.engine.crowd import look_again
from fleetroll_server.engine.desire import desire
from fleetroll_server.engine.holdings import BUDGET
from fleetroll_server.engine.listed import is_listed
from fleetroll_server.engine.moves import HOST, OUT_OF_COUNT, move

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleetroll_server.engine.actor import Actor
    from fleetroll_server.engine.book import Book
    from fleetroll_server.services import Services
    from fleetroll_server.store.tx import Tx

HELD_AGAIN = timedelta(hours=1)
"""A held host that was let go can't say when its hold ends, so it is offered again after this time or at its hello."""
UNLISTED = "late hosts: the release is not listed any more"
NEWER = "a newer rollout of the product means this host"
_NEWER_HOST = HOST.alias("newer_host")
_NEWER_ROLLOUT = ROLLOUT.alias("newer_rollout")


async def begin(tx: Tx, book: Book) -> None:
    """What was bad until now is no harm of late hosts; from now on one host may be past Go at a time."""
    for wave in book.waves:
        wave.counters = wave.counters.forgive()
        wave.set()
    mine = (BUDGET.c.scope == book.scopes[-1], BUDGET.c.fleet_id == book.fleet_id)
    await tx.execute(sa.update(BUDGET).where(*mine).values(max_in_use=MAX_UNDER_WAY))


def stop(tx: Tx, book: Book, code: Code, actor: Actor, reason: str) -> None:
    """Offer no late host any more, durably. The clock of a stop that a person may resume stands."""
    book.row.update(
        late_stop_code=code.value,
        late_stop_reason=reason,
        late_stop_actor_kind=actor.kind,
        late_stop_actor_id=actor.id,
        late_stopped_at=tx.now,
    )
    if code in RESUMABLE and book.row["stopped_at"] is None:
        book.row["stopped_at"] = tx.now
    tx.emit(book.event("rollout.late_stopped", actor, reason, code.value))


def go_again(tx: Tx, book: Book, actor: Actor, reason: str) -> None:
    """Offer late hosts again; the end of waiting moves on by the time that they stood."""
    book.row.update(
        late_stop_code="", late_stop_reason="", late_stop_actor_kind="", late_stop_actor_id="", late_stopped_at=None
    )
    book.resume_clock(tx.now)
    book.waves[-1].set(moved_at=tx.now)
    tx.emit(book.event("rollout.late_resumed", actor, reason))


async def meet(tx: Tx, services: Services, book: Book, host: dict[str, Any]) -> None:
    """Look at a late host that came, left, or said why it waits: it may have to give up its place.

    One with an offer of a release that is listed no more would ask in vain and hold the others up: all are stopped.
    """
    if book.state is not RolloutState.COMPLETED or AttemptState(host["state"]) not in BEFORE_GO:
        return
    if await superseded(tx, book, [host["agent_id"]]):
        await end_superseded(tx, services, book, host)
    elif host["state"] == AttemptState.PENDING.value:
        return
    elif book.late.stopped is None and not await is_listed(tx, book):
        stop(tx, book, Code.YANKED, GATE, UNLISTED)
        look_again(tx, services, book)
    elif host["waiting"] in OUT_OF_COUNT:
        await let_go(tx, services, book, host)


async def let_go(tx: Tx, services: Services, book: Book, host: dict[str, Any], waiting: str | None = None) -> None:
    """Queue a late host again, without a claim and with nothing desired; it waits as before, or as ``waiting`` says."""
    waiting = host["waiting"] if waiting is None else waiting
    again = tx.now + HELD_AGAIN if waiting == Code.HELD_LOCALLY.value else None
    await move(tx, book, host, Trigger.REQUEUE, GATE, waiting=waiting, deadline=again)
    await desire(tx, services.sessions, book, host["agent_id"], "", GATE, code=Code.SUPERSEDED.value)


async def end_superseded(tx: Tx, services: Services, book: Book, host: dict[str, Any]) -> None:
    """End a late host that a newer rollout means; what that one desires stands."""
    code = Code.SUPERSEDED.value
    await move(tx, book, host, Trigger.CANCEL, GATE, code=code, message=NEWER)
    if host["generation"] is not None:
        await desire(tx, services.sessions, book, host["agent_id"], "", GATE, reason=NEWER, code=code)


async def superseded(tx: Tx, book: Book, agents: Sequence[str]) -> frozenset[str]:
    """Return which of these hosts a newer rollout of the product means, whatever became of them there."""
    if book.state is not RolloutState.COMPLETED or not agents:
        return frozenset()
    mine = (HOST.c.rollout_id == book.id, HOST.c.fleet_id == book.fleet_id, HOST.c.agent_id.in_(agents))
    query = sa.select(HOST.c.agent_id).where(*mine, is_superseded(book))
    return frozenset((await tx.execute(query)).scalars())


def is_superseded(book: Book) -> sa.ColumnElement[bool]:
    """Return the condition that a newer rollout of the product, which has begun, means the host."""
    theirs, newer = _NEWER_HOST.c, _NEWER_ROLLOUT.c
    return (
        sa.select(theirs.agent_id)
        .where(
            theirs.agent_id == HOST.c.agent_id,
            theirs.product == HOST.c.product,
            theirs.fleet_id == HOST.c.fleet_id,
            theirs.rollout_id != HOST.c.rollout_id,
            newer.id == theirs.rollout_id,
            newer.fleet_id == theirs.fleet_id,
            newer.created_at > book.row["created_at"],
            newer.begun,
        )
        .correlate(HOST)
        .exists()
    )


async def tell_older(tx: Tx, services: Services, book: Book) -> None:
    """Let completed rollouts of the product look at their late hosts right after this start, which may mean them."""
    here = (HOST.c.rollout_id == ROLLOUT.c.id, HOST.c.fleet_id == ROLLOUT.c.fleet_id)
    late = sa.select(HOST.c.rollout_id).where(*here, HOST.c.state.in_(sorted(state.value for state in BEFORE_GO)))
    older = sa.select(ROLLOUT.c.id).where(
        ROLLOUT.c.fleet_id == book.fleet_id,
        ROLLOUT.c.product == book.row["product"],
        ROLLOUT.c.state == RolloutState.COMPLETED.value,
        ROLLOUT.c.id != book.id,
        late.exists(),
    )
    for rollout_id in (await tx.execute(older)).scalars().all():
        tx.after_commit(partial(services.look_again.add, rollout_id, book.fleet_id))
