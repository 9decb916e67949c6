"""Rollouts that begin later than they were started: approved by a second person, or when their time comes."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.version import Version
from fleetroll_server.catalogue.policies import require_above_floor
from fleetroll_server.domain import approval
from fleetroll_server.domain.limits import RolloutLimits
from fleetroll_server.domain.states import (
    ROLLOUT_TRANSITIONS,
    RolloutState,
    RolloutTrigger,
    WaveState,
    transition,
)
from fleetroll_server.engine.actor import DEADLINE, Actor
from fleetroll_server.engine.advance import advance_by_person, go_on
from fleetroll_server.engine.late import tell_older
from fleetroll_server.engine.listed import require_listed
from fleetroll_server.engine.people import refuse_while_suspended, require_book, require_seen
from fleetroll_server.engine.suspended import is_suspended
from fleetroll_server.engine.winding import wind_up
from fleetroll_server.recovery.state import is_recovering

if TYPE_CHECKING:
    from datetime import datetime

    from fleetroll_server.engine.book import Book
    from fleetroll_server.services import Services
    from fleetroll_server.store.tx import Tx

SCHEDULE = Actor("engine", "schedule")
"""Acts for who set the time of a start."""


async def approve(
    tx: Tx, services: Services, rollout_id: str, fleet_id: str, actor: Actor, *, revision: int, reason: str
) -> str:
    """Let a rollout begin, or a wave of it open, that waits for a second person; return what is to be said of the two.

    Raises:
        RequestError: NOT_FOUND, REVISION, STALE_DECISION; NOT_ALLOWED: the token started it; ROLLOUT_STATE: nothing
            waits for an approval; SUSPENDED, RECOVERY, YANKED, BELOW_FLOOR as at a start (caller's fault).
    """
    book = await require_book(tx, rollout_id, fleet_id)
    require_seen(book, revision)
    row, wave = book.row, book.current()
    waits_to_begin = book.is_open and row["require_approval"] and row["approved_at"] is None
    waits_to_open = (
        book.state is RolloutState.RUNNING
        and row["wave_approval"]
        and wave is not None
        and wave.state is WaveState.AWAITING_APPROVAL
    )
    if not waits_to_begin and not waits_to_open:
        message = f"nothing of this rollout waits for an approval: it is {book.state}"
        raise RequestError(message, code=Code.ROLLOUT_STATE, remedy="look at what it waits for: fleetroll rollout show")
    approval.require_other((row["actor_kind"], row["actor_id"]), (actor.kind, actor.id))
    await _require_usable(tx, book)
    if waits_to_begin:
        await _approve_start(tx, services, book, actor, reason)
    else:
        number = wave.number if wave is not None else 0
        tx.emit(book.event("rollout.approved", actor, reason, message=f"wave {number}"))
        await advance_by_person(tx, services, book)
    return approval.TWO_TOKENS.format(requester=row["actor_id"], approver=actor.id)


async def _approve_start(tx: Tx, services: Services, book: Book, actor: Actor, reason: str) -> None:
    """Note the approval; one that only waited for it begins, or waits for its time."""
    row = book.row
    trigger = approval.after_approval(row["start_at"], tx.now)
    waited = book.state is RolloutState.AWAITING_APPROVAL
    if waited and trigger is RolloutTrigger.START:
        await refuse_while_suspended(tx, book.fleet_id)
    row.update(
        approved_at=tx.now,
        approved_actor_kind=actor.kind,
        approved_actor_id=actor.id,
        approved_reason=reason,
        approve_by=None,
    )
    tx.emit(book.event("rollout.approved", actor, reason))
    if waited and trigger is RolloutTrigger.START:
        await _begin(tx, services, book, actor, reason)
        return
    if waited:
        book.set_state(tx, transition(ROLLOUT_TRANSITIONS, book.state, trigger), actor, reason)
    await book.write(tx)


def waits(rollout: sa.Table, now: datetime) -> sa.ColumnElement[bool]:
    """Return the condition that :func:`come` would find something to do: nobody approved it, or its time has come."""
    unapproved = (rollout.c.state == RolloutState.AWAITING_APPROVAL.value, rollout.c.approve_by <= now)
    due = (rollout.c.state == RolloutState.SCHEDULED.value, rollout.c.start_at <= now)
    return sa.or_(sa.and_(*unapproved), sa.and_(*due))


async def come(tx: Tx, services: Services, book: Book) -> bool:
    """Do what time brings about for a rollout that has not begun; False for any other one."""
    row = book.row
    if book.state is RolloutState.AWAITING_APPROVAL:
        if row["approve_by"] is not None and row["approve_by"] <= tx.now:
            reason = f"nobody approved it within {approval.APPROVAL.days} days"
            await _cancel(tx, services, book, DEADLINE, reason, Code.EXPIRED)
        return True
    if book.state is not RolloutState.SCHEDULED:
        return False
    if row["start_at"] is not None and row["start_at"] <= tx.now:
        await _time_has_come(tx, services, book)
    return True


async def _time_has_come(tx: Tx, services: Services, book: Book) -> None:
    """Begin; under a kill switch or in a recovery it stands paused at once, since lifting either starts nothing."""
    try:
        await _require_usable(tx, book)
    except RequestError as error:
        await _cancel(tx, services, book, SCHEDULE, error.message, error.code)
        return
    if await is_suspended(tx, book.fleet_id):
        recovering = await is_recovering(tx.connection)
        code = Code.RECOVERY if recovering else Code.SUSPENDED
        what = "the server was in recovery" if recovering else "the kill switch was pressed"
        _set_out(tx, book)
        state = transition(ROLLOUT_TRANSITIONS, book.state, RolloutTrigger.PAUSE)
        book.set_state(tx, state, SCHEDULE, f"{what} when its time came", code)
        await go_on(tx, services, book)
        return
    await _begin(tx, services, book, SCHEDULE, "its time came")


async def _begin(tx: Tx, services: Services, book: Book, actor: Actor, reason: str) -> None:
    """Let it run: from now on hosts wait for Go until not_after."""
    _set_out(tx, book)
    book.set_state(tx, transition(ROLLOUT_TRANSITIONS, book.state, RolloutTrigger.START), actor, reason)
    await go_on(tx, services, book)
    await tell_older(tx, services, book)


def _set_out(tx: Tx, book: Book) -> None:
    """Note that it has begun, and until when hosts wait for Go from here on; unreadable limits halt it."""
    book.row["begun"] = True
    if isinstance(book.stored_limits, RolloutLimits):
        book.row["not_after"] = tx.now + timedelta(seconds=book.stored_limits.not_after_seconds)


async def _require_usable(tx: Tx, book: Book) -> None:
    """Refuse what no start may begin with.

    Raises:
        RequestError: YANKED, BELOW_FLOOR (caller's fault).
    """
    await require_listed(tx, book.row["release_id"])
    await require_above_floor(tx.connection, book.row["product"], Version.parse(book.row["version"]))


async def _cancel(tx: Tx, services: Services, book: Book, actor: Actor, reason: str, code: Code) -> None:
    """End it before it began."""
    state = transition(ROLLOUT_TRANSITIONS, book.state, RolloutTrigger.CANCEL)
    book.row["approve_by"] = None
    book.set_state(tx, state, actor, reason, code)
    await wind_up(tx, services, book)
    await go_on(tx, services, book)
