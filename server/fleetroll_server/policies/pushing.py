"""After a change of a policy: the rollouts that it concerns are looked at again, one transaction each.

Staged hosts that may begin now are told to ask, at most as many as may be past Go at once, and so are those that may
not take the release any more: their ask ends them by name. Whoever is told nothing asks within a minute by itself.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fleetroll_server.domain.eligible import policy_objection
from fleetroll_server.domain.hostrules import shut
from fleetroll_server.domain.limits import RolloutLimits
from fleetroll_server.domain.states import AttemptState
from fleetroll_server.engine.advance import go_on
from fleetroll_server.engine.book import Book, open_book
from fleetroll_server.engine.crowd import AT_ONCE
from fleetroll_server.engine.moves import AGENT, HOST
from fleetroll_server.engine.ruled import staged_facts
from fleetroll_server.engine.targets import facts_for, version_for
from fleetroll_server.gateway.convert_out import ask_again
from fleetroll_server.policies.reading import read_policies

if TYPE_CHECKING:
    from fleetroll_server.services import Services
    from fleetroll_server.store.tx import Tx


async def push(tx: Tx, services: Services, rollout_id: str, fleet_id: str) -> None:
    """Look at one rollout again."""
    book = await open_book(tx, rollout_id, fleet_id)
    if book is None:
        return
    if book.offers and isinstance(book.stored_limits, RolloutLimits):
        await _tell_staged(tx, services, book, book.stored_limits.max_concurrent)
    await go_on(tx, services, book)


async def _tell_staged(tx: Tx, services: Services, book: Book, places: int) -> None:
    """Tell staged hosts, in their order, that asking is worth it."""
    rows = await _staged(tx, book)
    policies = await read_policies(tx.connection, book.fleet_id, book.row["product"], [row["agent_id"] for row in rows])
    known = await facts_for(tx, book, rows)
    for row in rows:
        rules = policies.rules(row["agent_id"], row["time_zone"], tx.now)
        may = shut(rules, tx.now) is None and places > 0
        release = known[version_for(book, row)]
        if may or (not book.row["goes_back"] and policy_objection(staged_facts(row, rules), release) is not None):
            places -= int(may)
            tx.after_commit(partial(services.sessions.send, row["agent_id"], _word(row)))


async def _staged(tx: Tx, book: Book) -> list[dict[str, Any]]:
    """Return the first staged hosts, as many as one transaction looks at."""
    here = sa.and_(AGENT.c.id == HOST.c.agent_id, AGENT.c.fleet_id == HOST.c.fleet_id)
    query = (
        sa.select(HOST, AGENT.c.time_zone)
        .select_from(HOST.join(AGENT, here))
        .where(
            HOST.c.rollout_id == book.id,
            HOST.c.fleet_id == book.fleet_id,
            HOST.c.state == AttemptState.STAGED.value,
        )
        .order_by(HOST.c.wave, HOST.c.position)
        .limit(AT_ONCE)
    )
    return [dict(row) for row in (await tx.execute(query)).mappings()]


def _word(row: dict[str, Any]) -> Any:  # noqa: ANN401 (a message of the stream)
    return ask_again(row["product"], row["generation"])
