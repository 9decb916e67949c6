"""The record of availability: one row per spell of accepting hellos, one small write per tick.

A start, a store that failed, a machine that was suspended and a crowd at the door are one case: a new spell.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_server.domain.availability import Spell, closed_until_now, heard_through
from fleetroll_server.store.tables import SpellRow, table_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from fleetroll_server.domain.availability import Span
    from fleetroll_server.services import Services
    from fleetroll_server.store.tx import Tx

SPELL = table_of(SpellRow)
NEWEST = 100
"""Spells that are looked at for the last one: more than servers share a database."""
_OPENING = 7_316_020_417
"""PostgreSQL's name of the lock under which a spell is opened: any number that nothing else locks."""


async def tick(tx: Tx, services: Services, *, refused: bool, signs: Sequence[datetime] = ()) -> Span | None:
    """Say that this server accepts hellos; return the closed time that ended now, nothing where there was none.

    The same transaction MUST give that time back: no other one sees it as closed until now.

    Args:
        tx: the transaction.
        services: of this server.
        refused: it refused a hello since the last tick.
        signs: when it was seen alive since, in order; now, where none are given. A tick that was written late closes
            nothing: what counts is that the server was there.
    """
    if services.door.is_shut:
        return None
    mine = await _mine(tx, services.server_id)
    if mine is not None and mine.began_at == tx.now:
        return None
    if mine is not None:
        mine = heard_through(mine, signs or (tx.now,), refused=refused)
        await _write(tx, services.server_id, mine, ticked_at=mine.ticked_at, over=mine.over)
        if not mine.over:
            return None
    await _lock(tx, services)
    # Where no other server can live, each of theirs has ended too.
    ended = sa.true() if services.store.is_sqlite else SPELL.c.server_id == services.server_id
    await tx.execute(sa.update(SPELL).where(SPELL.c.over.is_(False), ended).values(over=True))
    closed = closed_until_now(await _newest(tx), tx.now)
    if mine is not None and mine.began_at == mine.ticked_at:  # a crowd at the door leaves no row for each of its ticks
        await tx.execute(sa.delete(SPELL).where(*_which(services.server_id, mine)))
    opened = {"server_id": services.server_id, "began_at": tx.now, "ticked_at": tx.now, "over": False}
    await tx.execute(sa.insert(SPELL).values(**opened))
    return closed


async def end(tx: Tx, services: Services) -> None:
    """End this server's spell with its last tick: it drains."""
    mine = await _mine(tx, services.server_id)
    if mine is not None:
        await _write(tx, services.server_id, mine, over=True)


async def spells_since(tx: Tx, services: Services, since: datetime) -> list[Spell]:
    """Return the spells that reach behind ``since``, and the last one before, which says that the record reaches there.

    A hello that this server refused since its last tick ends its spell there; signs of life that wait to be written
    belong to it.
    """
    before = sa.select(sa.func.max(SPELL.c.ticked_at)).where(SPELL.c.ticked_at < since).scalar_subquery()
    query = sa.select(SPELL).where(sa.or_(SPELL.c.ticked_at >= since, SPELL.c.ticked_at == before))
    found = (await tx.execute(query)).all()
    spells, door = [], services.door
    for row in found:
        spell = Spell(row.began_at, row.ticked_at, over=row.over)
        if row.server_id == services.server_id and not row.over:
            spell = heard_through(spell, door.signs, refused=door.is_refusing)
            spell = replace(spell, over=spell.over or door.is_refusing)
        spells.append(spell)
    return spells


async def _mine(tx: Tx, server_id: str) -> Spell | None:
    """Return this server's newest spell."""
    query = sa.select(SPELL).where(SPELL.c.server_id == server_id).order_by(SPELL.c.began_at.desc()).limit(1)
    row = (await tx.execute(query)).one_or_none()
    return Spell(row.began_at, row.ticked_at, over=row.over) if row is not None else None


async def _newest(tx: Tx) -> list[Spell]:
    """Return the newest spells of all servers."""
    rows = (await tx.execute(sa.select(SPELL).order_by(SPELL.c.ticked_at.desc()).limit(NEWEST))).all()
    return [Spell(row.began_at, row.ticked_at, over=row.over) for row in rows]


async def _lock(tx: Tx, services: Services) -> None:
    """Let one server at a time open a spell: two that come up together give the same closed time back once.

    No row would do: after a clean stop there is none to lock. SQLite has one writer.
    """
    if not services.store.is_sqlite:
        await tx.execute(sa.select(sa.func.pg_advisory_xact_lock(_OPENING)))


async def _write(tx: Tx, server_id: str, mine: Spell, **values: object) -> None:
    """Change one spell."""
    await tx.execute(sa.update(SPELL).where(*_which(server_id, mine)).values(**values))


def _which(server_id: str, mine: Spell) -> tuple[sa.ColumnElement[bool], ...]:
    """Return the condition of one spell."""
    return SPELL.c.server_id == server_id, SPELL.c.began_at == mine.began_at
