"""Hosts that succeeded and are away without a goodbye: counted by the bake, timed, and well again at their next word.

Away is what the database says: no live session, the lease of its server has run out or its stream has ended. Watched by
every sweep instead of at a session's end, so that a resume or a take-over of a dead server needs no case of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fleetroll_server.domain.deadlines import deadline, silence_counts
from fleetroll_server.domain.states import AttemptState
from fleetroll_server.store.tables import AgentRow, ClaimRow, RolloutHostRow, table_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fleetroll_server.engine.book import Book, Wave
    from fleetroll_server.store.tx import Tx

HOST = table_of(RolloutHostRow)
AGENT = table_of(AgentRow)
CLAIM = table_of(ClaimRow)


def had_succeeded(host: Mapping[Any, Any]) -> bool:
    """Tell whether a lost host was lost after its success: only such a one has ended before."""
    return host["state"] == AttemptState.LOST.value and host["ended_at"] is not None


async def count_away(tx: Tx, book: Book, wave: Wave) -> int:
    """Count the wave's succeeded hosts that are away without a goodbye."""
    query = sa.select(sa.func.count()).select_from(HOST).where(*_succeeded(book, wave), _away())
    away: int = (await tx.execute(query)).scalar_one()
    return away


async def watch(tx: Tx, book: Book) -> None:
    """Start the time of hosts that have gone since the last look, and end it for those that are back.

    A host that another rollout holds by now is away for that one.
    """
    wave = book.current()
    if wave is None or not silence_counts(book.state, wave.state):
        return
    away = sa.and_(_away(), sa.not_(_claimed()))
    started = (*_succeeded(book, wave), HOST.c.deadline.is_(None), away)
    due = deadline(AttemptState.SUCCEEDED, tx.now, online=False)
    await tx.execute(sa.update(HOST).where(*started).values(deadline=due))
    ended = (*_succeeded(book, wave), HOST.c.deadline.is_not(None), sa.not_(away))
    await tx.execute(sa.update(HOST).where(*ended).values(deadline=None))


async def heard(tx: Tx, agent_id: str, fleet_id: str) -> None:
    """The host has come: whatever silence of it was timed is over."""
    timed = (HOST.c.state == AttemptState.SUCCEEDED.value, HOST.c.deadline.is_not(None))
    mine = (HOST.c.agent_id == agent_id, HOST.c.fleet_id == fleet_id)
    await tx.execute(sa.update(HOST).where(*mine, *timed).values(deadline=None))


async def is_bad(tx: Tx, book: Book, host: Mapping[str, Any]) -> bool:
    """Tell whether a succeeded host whose time is over is silent still, in a wave that may still be judged."""
    wave = book.wave(host["wave"])
    if not silence_counts(book.state, wave.state):
        return False
    mine = (*_succeeded(book, wave), HOST.c.agent_id == host["agent_id"], _away(), sa.not_(_claimed()))
    return (await tx.execute(sa.select(HOST.c.agent_id).where(*mine))).one_or_none() is not None


def _succeeded(book: Book, wave: Wave) -> tuple[sa.ColumnElement[bool], ...]:
    """Return the condition of the wave's succeeded hosts."""
    return (
        HOST.c.rollout_id == book.id,
        HOST.c.fleet_id == book.fleet_id,
        HOST.c.wave == wave.number,
        HOST.c.state == AttemptState.SUCCEEDED.value,
    )


def _away() -> sa.Exists:
    """Return the condition that the host has no session and said no goodbye."""
    return (
        sa.select(AGENT.c.id)
        .where(
            AGENT.c.id == HOST.c.agent_id,
            AGENT.c.fleet_id == HOST.c.fleet_id,
            AGENT.c.server_id == "",
            AGENT.c.left_well.is_(False),
        )
        .exists()
    )


def _claimed() -> sa.Exists:
    """Return the condition that a rollout holds the product on the host."""
    return (
        sa.select(CLAIM.c.agent_id)
        .where(
            CLAIM.c.agent_id == HOST.c.agent_id,
            CLAIM.c.product == HOST.c.product,
            CLAIM.c.fleet_id == HOST.c.fleet_id,
        )
        .exists()
    )
