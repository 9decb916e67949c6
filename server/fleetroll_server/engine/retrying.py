"""Hosts that went bad try again: each goes back into the queue, and its next offer is a new attempt.

The decision is one row: whoever was bad when it was made is queued again, in batches. What is left stands in the rows,
so that a restart loses none. An attempt that is given up so stands in the history: a late word of it moves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_server.domain import people
from fleetroll_server.domain.limits import RolloutLimits
from fleetroll_server.domain.states import (
    BAD,
    WAVE_TRANSITIONS,
    AttemptState,
    IllegalTransitionError,
    RolloutState,
    RolloutTrigger,
    Trigger,
    WaveTrigger,
    transition,
)
from fleetroll_server.engine.actor import GATE, Actor
from fleetroll_server.engine.advance import go_on
from fleetroll_server.engine.crowd import ONE_BY_ONE, look_again
from fleetroll_server.engine.moves import HOST, move
from fleetroll_server.engine.offers import archive
from fleetroll_server.engine.people import (
    forgive_all,
    on_again,
    refuse_while_suspended,
    require_beginnable,
    require_book,
    require_seen,
    set_running,
)

if TYPE_CHECKING:
    from fleetroll_server.engine.book import Book
    from fleetroll_server.services import Services
    from fleetroll_server.store.tx import Tx

FAILED = BAD - {AttemptState.LOST}
"""Of a lost host nobody knows whether it still applies: its own word comes first."""
RETRYABLE = frozenset({RolloutState.RUNNING, RolloutState.PAUSED, RolloutState.HALTED})


@dataclass(frozen=True, slots=True)
class Retry:
    """What was asked for: on which revision, why, and whether a digest that was bad may be tried again."""

    revision: int
    reason: str
    retry_bad: bool


async def retry(tx: Tx, services: Services, rollout_id: str, fleet_id: str, actor: Actor, wish: Retry) -> None:
    """Let every host that failed or went back try again; a halted rollout goes on with it, a paused one stays paused.

    Raises:
        RequestError: NOT_FOUND, SUSPENDED, STALE_DECISION, YANKED, BELOW_FLOOR; ROLLOUT_STATE: it has ended; NO_HOSTS:
            none of its hosts has failed (caller's fault).
    """
    book = await require_book(tx, rollout_id, fleet_id)
    require_seen(book, wish.revision)
    if book.state not in RETRYABLE:
        raise IllegalTransitionError(book.state, RolloutTrigger.RESUME)
    await require_beginnable(tx, book)
    await refuse_while_suspended(tx, fleet_id)
    RolloutLimits.from_stored(book.row["limits"])
    hosts = await _count(tx, book)
    if not hosts:
        message = f"rollout_id: no host of {book.id} has failed or gone back"
        raise RequestError(message, code=Code.NO_HOSTS, remedy="a lost host is waited for: its own word comes first")
    bad = " with retry_bad" if wish.retry_bad else ""
    tx.emit(book.event("rollout.retried", actor, wish.reason, message=f"{hosts} hosts{bad}"))
    book.row.update(retried_at=tx.now, retried_bad=wish.retry_bad)
    state = book.state
    if state is RolloutState.HALTED:
        await forgive_all(tx, book)
        await set_running(tx, book, people.resume(state), actor, wish.reason)
    await queue_next(tx, services, book, actor)
    if state is RolloutState.HALTED:
        await on_again(tx, services, book)
    else:
        await go_on(tx, services, book)


async def queue_next(tx: Tx, services: Services, book: Book, actor: Actor = GATE) -> None:
    """Queue the next hosts again that the newest retry means; the caller goes on with the book.

    ``actor``: who decided; the engine carries on what was too much for the transaction of the decision.
    """
    if book.row["retried_at"] is None or book.state not in RETRYABLE:
        return
    query = sa.select(HOST).where(*_meant(book)).order_by(HOST.c.wave, HOST.c.position).limit(ONE_BY_ONE)
    hosts = [dict(row) for row in (await tx.execute(query)).mappings()]
    for host in hosts:
        await _queue(tx, book, host, actor)
    if len(hosts) == ONE_BY_ONE:
        look_again(tx, services, book)
    else:
        book.row.update(retried_at=None, retried_bad=False)
    wave = book.current()
    if hosts and wave is not None and WaveTrigger.REOPEN in WAVE_TRANSITIONS[wave.state]:
        wave.set(state=transition(WAVE_TRANSITIONS, wave.state, WaveTrigger.REOPEN).value, ended_at=None)


async def _queue(tx: Tx, book: Book, host: dict[str, Any], actor: Actor) -> None:
    """Queue one host: its attempt is history, and the number of it no attempt's of this rollout any more."""
    if host["generation"] is not None:
        await archive(tx, book, host)
    fresh = dict.fromkeys(("generation", "offered_at", "granted_at", "ended_at", "retry_at", "deadline"))
    empty = dict.fromkeys(("code", "message", "output_tail", "step", "waiting", "sha256"), "")
    flags = {"attempted": False, "unproven": False, "late": False, "forgiven": False, "tries": 0}
    values = {**fresh, **empty, **flags, "retry_bad": book.row["retried_bad"]}
    await move(tx, book, host, Trigger.RETRY, actor, **values)


async def _count(tx: Tx, book: Book) -> int:
    """Count the hosts that a retry means now; once per decision."""
    mine = (HOST.c.rollout_id == book.id, HOST.c.fleet_id == book.fleet_id)
    query = sa.select(sa.func.count()).select_from(HOST).where(*mine, _in_failed())
    return int((await tx.execute(query)).scalar_one())


def _meant(book: Book) -> tuple[sa.ColumnElement[bool], ...]:
    mine = (HOST.c.rollout_id == book.id, HOST.c.fleet_id == book.fleet_id)
    return (*mine, _in_failed(), HOST.c.ended_at <= book.row["retried_at"])


def _in_failed() -> sa.ColumnElement[bool]:
    return HOST.c.state.in_(sorted(state.value for state in FAILED))
