"""Assignments: what a host shall run, written with a new generation and pushed after the commit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fleetroll_common.values.codes import Code
from fleetroll_server.engine.counting import free_generation
from fleetroll_server.engine.excusing import carried
from fleetroll_server.gateway.convert_out import assignment
from fleetroll_server.store.tables import AssignmentRow, HostProductRow, table_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import RowMapping

    from fleetroll_server.engine.actor import Actor
    from fleetroll_server.engine.book import Book
    from fleetroll_server.services import Sessions
    from fleetroll_server.store.tx import Tx

ASSIGNMENT = table_of(AssignmentRow)
PRODUCT = table_of(HostProductRow)


async def desire(
    tx: Tx,
    sessions: Sessions,
    book: Book,
    agent_id: str,
    version: str,
    actor: Actor,
    *,
    reason: str = "",
    code: str = "",
) -> int:
    """Write what the host shall run, with the next generation, and push it after the commit; return the generation.

    Args:
        tx: the transaction of the decision.
        sessions: where to push.
        book: the rollout that decides.
        agent_id: the host.
        version: empty for none, which changes nothing where another rollout desires something by now.
        actor: who decided.
        reason: why, in words.
        code: why; CANCELLED_BY with no version takes an attempt past Go back as long as it has not switched.
    """
    decided = _decided(book, reason=reason, code=code)
    return await _next(tx, sessions, book, agent_id, version, actor, decided)


async def assign(tx: Tx, sessions: Sessions, book: Book, host: Mapping[str, Any], version: str, actor: Actor) -> int:
    """Write that a host of the rollout shall run ``version``; as :func:`desire`."""
    decided = _decided(book, reason=book.row["reason"], retry_bad=host["retry_bad"])
    return await _next(tx, sessions, book, host["agent_id"], version, actor, decided)


async def recall(tx: Tx, sessions: Sessions, book: Book, agent_id: str, actor: Actor, reason: str) -> int:
    """Write that nothing is desired and an attempt past Go goes back, out of its trial as well; as :func:`desire`."""
    decided = _decided(book, reason=reason, code=Code.RECALLED.value, recall=True)
    return await _next(tx, sessions, book, agent_id, "", actor, decided)


def _decided(
    book: Book, *, reason: str = "", code: str = "", recall: bool = False, retry_bad: bool = False
) -> dict[str, Any]:
    """Return the columns of a decision."""
    return {"reason": reason, "code": code, "recall": recall, "retry_bad": retry_bad or book.row["retry_bad"]}


async def _next(
    tx: Tx,
    sessions: Sessions,
    book: Book,
    agent_id: str,
    version: str,
    actor: Actor,
    decided: dict[str, Any],
) -> int:
    """Write a decision under the next generation."""
    product = book.row["product"]
    known = await _known(tx, agent_id, book.fleet_id, product)
    if not version and known is not None and known["rollout_id"] != book.id:
        return int(known["generation"])
    highest = await _highest(tx, agent_id, book.fleet_id, product)
    stored = known["generation"] if known is not None else 0
    generation = await free_generation(tx, agent_id, book.fleet_id, product, stored, highest)
    values = await _write(tx, book, agent_id, version, generation, known, actor, decided)
    message = assignment({"product": product, **values})
    tx.after_commit(lambda: sessions.send(agent_id, message))
    return generation


async def desired_as_shown(tx: Tx, book: Book, agent_id: str, version: str, generation: int, actor: Actor) -> None:
    """Write that the host shall run ``version`` under a generation that it has taken; nobody is told."""
    known = await _known(tx, agent_id, book.fleet_id, book.row["product"])
    decided = _decided(book, reason=book.row["reason"])
    await _write(tx, book, agent_id, version, generation, known, actor, decided)


async def _write(
    tx: Tx,
    book: Book,
    agent_id: str,
    version: str,
    generation: int,
    known: RowMapping | None,
    actor: Actor,
    decided: dict[str, Any],
) -> dict[str, Any]:
    """Write the assignment; return its columns."""
    product = book.row["product"]
    values: dict[str, Any] = {
        "version": version,
        "generation": generation,
        "rollout_id": book.id,
        "not_after": book.row["not_after"],
        **_timing(book, version, known),
        **carried(version, known),
        "actor_kind": actor.kind,
        "actor_id": actor.id,
        **decided,
        "decided_at": tx.now,
    }
    which = (
        ASSIGNMENT.c.agent_id == agent_id,
        ASSIGNMENT.c.product == product,
        ASSIGNMENT.c.fleet_id == book.fleet_id,
    )
    if known is not None:
        await tx.execute(sa.update(ASSIGNMENT).where(*which).values(**values))
    else:
        keys = {"agent_id": agent_id, "product": product, "fleet_id": book.fleet_id}
        await tx.execute(sa.insert(ASSIGNMENT).values(**keys, **values))
    return values


def _timing(book: Book, version: str, known: RowMapping | None) -> dict[str, Any]:
    """Return what a host is told of the limits. To desire nothing none must be read: what it was told stands."""
    names = ("soak_seconds", "lease_seconds", "max_attempts")
    if not version:
        return {name: known[name] if known is not None else 0 for name in names}
    return {name: getattr(book.limits, name) for name in names}


async def assignment_of(tx: Tx, agent_id: str, fleet_id: str, product: str) -> RowMapping | None:
    """Return what the host shall run."""
    return await _known(tx, agent_id, fleet_id, product)


async def _known(tx: Tx, agent_id: str, fleet_id: str, product: str) -> RowMapping | None:
    """Return the stored assignment, locked."""
    which = (ASSIGNMENT.c.agent_id == agent_id, ASSIGNMENT.c.product == product, ASSIGNMENT.c.fleet_id == fleet_id)
    return (await tx.execute(sa.select(ASSIGNMENT).where(*which).with_for_update())).mappings().one_or_none()


async def _highest(tx: Tx, agent_id: str, fleet_id: str, product: str) -> int:
    """Return the highest generation that the host has shown."""
    which = (PRODUCT.c.agent_id == agent_id, PRODUCT.c.product == product, PRODUCT.c.fleet_id == fleet_id)
    highest: int | None = (await tx.execute(sa.select(PRODUCT.c.highest_generation).where(*which))).scalar_one_or_none()
    return highest or 0
