"""Hosts leave a rollout that is over for them, one bounded batch per transaction.

Over is one that was cancelled, completed, superseded or is taken back, and one that stands halted because its release
was ruled out.

The one row that says so stops offers and Go in the transaction of the decision, whatever the hosts' rows say still. The
batch that ends a host tells it ``none`` in the same transaction. What is left stands in the rows: a restart loses none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fleetroll_common.values.codes import Code
from fleetroll_server.domain.late import RESUMABLE
from fleetroll_server.domain.states import BEFORE_GO, PAST_GO, AttemptState, RolloutState, Trigger
from fleetroll_server.engine.actor import DEADLINE, GATE, Actor
from fleetroll_server.engine.book import ROLLOUT
from fleetroll_server.engine.crowd import Room, end_all, look_again
from fleetroll_server.engine.desire import ASSIGNMENT, desire, recall
from fleetroll_server.engine.late import NEWER, end_superseded, is_superseded, let_go
from fleetroll_server.engine.moves import CLAIM, HOST, OUT_OF_COUNT, move

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fleetroll_server.engine.book import Book
    from fleetroll_server.services import Services
    from fleetroll_server.store.tx import Tx

OFFERED = BEFORE_GO - {AttemptState.PENDING}
FOR_GOOD = (Code.YANKED, Code.BELOW_FLOOR)
"""Why a rollout stands halted whose release nobody begins with any more."""
_REVERTED, _REVERT = HOST.alias("reverted"), ROLLOUT.alias("revert")
_WAITS = HOST.c.waiting.in_(sorted(OUT_OF_COUNT))


async def wind_up(tx: Tx, services: Services, book: Book) -> None:
    """Take the next hosts out of a rollout that is over for them.

    When there may be more, they follow at once.
    """
    room = Room()
    if book.state is RolloutState.CANCELLED:
        await _stop(tx, services, book, room)
        await _cancel(tx, services, book, room)
    elif book.state is RolloutState.COMPLETED:
        await _wind_up_late(tx, services, book, room)
    elif book.state is RolloutState.ROLLING_BACK:
        await _recall(tx, services, book, room)
        await _cancel(tx, services, book, room)
    elif is_over_for_hosts(book):
        await _cancel(tx, services, book, room)
    if room.is_spent:
        look_again(tx, services, book)


def is_withdrawn(book: Book) -> bool:
    """Tell whether the rollout stands because its release was ruled out: no host of it begins any more."""
    return book.state is RolloutState.HALTED and book.row["state_code"] in {code.value for code in FOR_GOOD}


def is_over_for_hosts(book: Book) -> bool:
    """Tell whether hosts without Go have to leave a rollout; a completed one may have late ones."""
    leaving = not book.is_open or book.state is RolloutState.ROLLING_BACK
    return leaving or is_withdrawn(book)


async def clear_late(tx: Tx, services: Services, book: Book) -> None:
    """Let go of late hosts that have an offer or a claim and wait, and end those that a newer rollout means.

    It reads every late host, so it is for the completion and for a newer rollout's start, not for every second.
    """
    if book.late.is_over:
        return
    room, claimed = Room(), _claimed()
    for host in await _had_offer(tx, book, room, BEFORE_GO, _WAITS, claimed):
        await let_go(tx, services, book, host)
    for host in await _had_offer(tx, book, room, BEFORE_GO, is_superseded(book)):
        await end_superseded(tx, services, book, host)
    queued = await _queued(tx, book, room, is_superseded(book))
    await end_all(tx, book, queued, Trigger.CANCEL, GATE, code=Code.SUPERSEDED.value, message=NEWER)
    if room.is_spent:
        look_again(tx, services, book)


async def expire(tx: Tx, services: Services, book: Book, number: int, room: Room) -> bool:
    """End hosts of the wave that never got Go; each that had an offer is told that nothing is desired any more."""
    wave, message = (HOST.c.wave == number,), "out of time before Go"
    offered = await _had_offer(tx, book, room, BEFORE_GO, *wave)
    for host in offered:
        code = host["waiting"] or Code.EXPIRED.value
        await move(tx, book, host, Trigger.EXPIRE, DEADLINE, code=code, message=message)
        await desire(tx, services.sessions, book, host["agent_id"], "", DEADLINE, code=Code.EXPIRED.value)
    queued = await _queued(tx, book, room, *wave)
    for waiting in sorted({host["waiting"] for host in queued}):
        same = [host for host in queued if host["waiting"] == waiting]
        await end_all(tx, book, same, Trigger.EXPIRE, DEADLINE, code=waiting or Code.EXPIRED.value, message=message)
    return bool(offered or queued)


def has_hosts_left(rollout: sa.Table, now: Any) -> sa.ColumnElement[bool]:  # noqa: ANN401 (a bound instant)
    """Return the condition that :func:`wind_up` would find something to do in a rollout."""
    mine = (HOST.c.rollout_id == rollout.c.id, HOST.c.fleet_id == rollout.c.fleet_id)
    before_go = sa.select(HOST.c.rollout_id).where(*mine, _in(BEFORE_GO)).exists()
    offered = sa.select(HOST.c.rollout_id).where(*mine, _in(OFFERED)).exists()
    not_stopped = _not_stopped(sa.select(HOST.c.rollout_id)).where(*mine).exists()
    ready = HOST.c.waiting.in_(("", Code.UPDATE_IN_PROGRESS.value))
    turn = sa.select(HOST.c.rollout_id).where(*mine, _in([AttemptState.PENDING]), ready).exists()
    code = rollout.c.late_stop_code
    over = code.not_in(["", *sorted(stop.value for stop in RESUMABLE)])
    ruled_out = rollout.c.state_code.in_([code.value for code in FOR_GOOD])
    time_is_over = rollout.c.not_after <= now
    late = sa.or_(
        sa.and_(over, before_go),
        sa.and_(code == Code.CANCELLED_BY.value, not_stopped),
        sa.and_(code == "", time_is_over, before_go),
        sa.and_(code == "", turn),
        offered,
    )
    return sa.or_(
        sa.and_(rollout.c.state == RolloutState.CANCELLED.value, sa.or_(before_go, not_stopped)),
        sa.and_(rollout.c.state == RolloutState.COMPLETED.value, late),
        sa.and_(rollout.c.state == RolloutState.SUPERSEDED.value, before_go),
        rollout.c.state == RolloutState.ROLLING_BACK.value,
        sa.and_(rollout.c.state == RolloutState.HALTED.value, ruled_out, before_go),
    )


async def _wind_up_late(tx: Tx, services: Services, book: Book, room: Room) -> None:
    """Take late hosts out that are cancelled or out of time. While a person may resume them their time stands."""
    late = book.late
    if late.is_over:
        if late.stopped is Code.CANCELLED_BY:
            await _stop(tx, services, book, room)
        await _cancel(tx, services, book, room)
    elif late.stopped is None and book.row["not_after"] <= tx.now:
        for wave in book.waves:
            await expire(tx, services, book, wave.number, room)
    else:
        for host in await _had_offer(tx, book, room, OFFERED, _WAITS):
            await let_go(tx, services, book, host)


async def _stop(tx: Tx, services: Services, book: Book, room: Room) -> None:
    """Tell hosts past Go: they go back before their switch, or finish where the person let them."""
    actor, reason, _ = _decision(book)
    code = "" if book.row["let_finish"] else Code.CANCELLED_BY.value
    mine = (HOST.c.rollout_id == book.id, HOST.c.fleet_id == book.fleet_id)
    query = _not_stopped(sa.select(HOST.c.agent_id)).where(*mine).limit(room.single)
    told = (await tx.execute(query)).scalars().all()
    room.single -= len(told)
    for agent_id in told:
        await desire(tx, services.sessions, book, agent_id, "", actor, reason=reason, code=code)


async def _recall(tx: Tx, services: Services, book: Book, room: Room) -> None:
    """Tell hosts past Go that go back with a rollout's revert: at the next step's boundary, or out of the trial."""
    actor, reason, _ = _decision(book)
    mine = (HOST.c.rollout_id == book.id, HOST.c.fleet_id == book.fleet_id)
    query = _not_stopped(sa.select(HOST.c.agent_id)).where(*mine, goes_back(book.id)).limit(room.single)
    told = (await tx.execute(query)).scalars().all()
    room.single -= len(told)
    for agent_id in told:
        await recall(tx, services.sessions, book, agent_id, actor, reason)


def goes_back(parent_id: str) -> sa.Exists:
    """Return the condition that the revert of a rollout means the host."""
    theirs = _REVERTED.c
    return (
        sa.select(theirs.agent_id)
        .where(
            theirs.agent_id == HOST.c.agent_id,
            theirs.fleet_id == HOST.c.fleet_id,
            theirs.rollout_id == _REVERT.c.id,
            _REVERT.c.fleet_id == theirs.fleet_id,
            _REVERT.c.parent_id == parent_id,
        )
        .correlate(HOST)
        .exists()
    )


async def _cancel(tx: Tx, services: Services, book: Book, room: Room) -> None:
    """End hosts before Go."""
    actor, reason, code = _decision(book)
    for host in await _had_offer(tx, book, room, BEFORE_GO):
        await move(tx, book, host, Trigger.CANCEL, actor, code=code, message=reason)
        await desire(tx, services.sessions, book, host["agent_id"], "", actor, reason=reason, code=code)
    queued = await _queued(tx, book, room)
    await end_all(tx, book, queued, Trigger.CANCEL, actor, code=code, message=reason)


async def _had_offer(
    tx: Tx, book: Book, room: Room, states: Iterable[AttemptState], *where: sa.ColumnElement[bool]
) -> list[dict[str, Any]]:
    """Return the next hosts that must be told, as many as there is room for."""
    mine = (HOST.c.rollout_id == book.id, HOST.c.fleet_id == book.fleet_id, HOST.c.generation > 0)
    query = sa.select(HOST).where(*mine, _in(states), *where).limit(max(0, room.single))
    hosts = [dict(row) for row in (await tx.execute(query)).mappings()]
    room.single -= len(hosts)
    return hosts


async def _queued(tx: Tx, book: Book, room: Room, *where: sa.ColumnElement[bool]) -> list[dict[str, Any]]:
    """Return the next hosts that never had an offer; none before all others were told."""
    if room.is_spent:
        return []
    mine = (HOST.c.rollout_id == book.id, HOST.c.fleet_id == book.fleet_id, HOST.c.generation.is_(None))
    query = sa.select(HOST).where(*mine, _in([AttemptState.PENDING]), *where).limit(room.crowd)
    hosts = [dict(row) for row in (await tx.execute(query)).mappings()]
    room.crowd -= len(hosts)
    return hosts


def _not_stopped(query: sa.Select[Any]) -> sa.Select[Any]:
    """Restrict to hosts past Go to which their rollout's version is still assigned. One that had succeeded keeps it."""
    desired = sa.and_(
        ASSIGNMENT.c.agent_id == HOST.c.agent_id,
        ASSIGNMENT.c.product == HOST.c.product,
        ASSIGNMENT.c.fleet_id == HOST.c.fleet_id,
        ASSIGNMENT.c.rollout_id == HOST.c.rollout_id,
        ASSIGNMENT.c.version != "",
    )
    had_succeeded = sa.and_(HOST.c.state == AttemptState.LOST.value, HOST.c.ended_at.is_not(None))
    return query.select_from(HOST.join(ASSIGNMENT, desired)).where(_in(PAST_GO), sa.not_(had_succeeded))


def _in(states: Iterable[AttemptState]) -> sa.ColumnElement[bool]:
    """Return the condition that a host is in one of these states."""
    return HOST.c.state.in_(sorted(state.value for state in states))


def _claimed() -> sa.Exists:
    """Return the condition that the host's rollout holds it."""
    return (
        sa.select(CLAIM.c.agent_id)
        .where(
            CLAIM.c.agent_id == HOST.c.agent_id,
            CLAIM.c.product == HOST.c.product,
            CLAIM.c.fleet_id == HOST.c.fleet_id,
            CLAIM.c.rollout_id == HOST.c.rollout_id,
        )
        .correlate(HOST)
        .exists()
    )


def _decision(book: Book) -> tuple[Actor, str, str]:
    """Return who ended the rollout or its late hosts, why, and the code, as its row says also after a restart."""
    row = book.row
    if book.state is RolloutState.COMPLETED:
        actor = Actor(row["late_stop_actor_kind"], row["late_stop_actor_id"])
        return actor, row["late_stop_reason"], row["late_stop_code"]
    named = is_withdrawn(book) or book.state is RolloutState.SUPERSEDED
    code = Code(book.row["state_code"]) if named else Code.CANCELLED_BY
    return Actor(row["state_actor_kind"], row["state_actor_id"]), row["state_reason"], code.value
