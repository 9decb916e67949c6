"""Hosts that did not come back in time: they are offline, and what waited for their return goes on without them."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_common.values.codes import Code
from fleetroll_server.domain.states import AttemptState
from fleetroll_server.engine import hello, presence
from fleetroll_server.engine.advance import go_on
from fleetroll_server.engine.book import open_book
from fleetroll_server.engine.crowd import ONE_BY_ONE, wait_all
from fleetroll_server.engine.moves import HOST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleetroll_server.engine.book import Book
    from fleetroll_server.services import Services
    from fleetroll_server.store.tx import Tx

AT_ONCE = 200
"""Hosts of one transaction: a few statements for all of them, and as many again for each of their rollouts."""
OFFLINE = Code.HOST_OFFLINE.value


async def overdue(tx: Tx, services: Services) -> int:
    """Call the next hosts offline that held their stream, and did not come back in time; return how many they were."""
    gone = await presence.call_offline(tx, AT_ONCE, check_in=False)
    for fleet_id, keys in groupby(gone, lambda key: key.fleet_id):
        agents = [key.agent_id for key in keys]
        for rollout_id in await _rollouts(tx, fleet_id, agents):
            book = await open_book(tx, rollout_id, fleet_id)
            if book is not None and book.judges_absent:
                await _judge_again(tx, book, agents)
                await go_on(tx, services, book)
    return len(gone)


async def missed(tx: Tx, services: Services) -> int:
    """Call the next hosts offline that did not check in; return how many they were."""
    gone = await presence.call_offline(tx, ONE_BY_ONE, check_in=True)
    for key in gone:
        await hello.missed(tx, services, key)
    return len(gone)


async def _rollouts(tx: Tx, fleet_id: str, agents: Sequence[str]) -> list[str]:
    """Return the rollouts in which any of these hosts waits for its turn, in the order in which they are locked."""
    query = sa.select(HOST.c.rollout_id).where(*_waiting(fleet_id, agents)).distinct().order_by(HOST.c.rollout_id)
    return list((await tx.execute(query)).scalars())


async def _judge_again(tx: Tx, book: Book, agents: Sequence[str]) -> None:
    """Let the offline policy have its word on hosts that it spared while they could have come back."""
    query = sa.select(HOST).where(HOST.c.rollout_id == book.id, *_waiting(book.fleet_id, agents))
    await wait_all(tx, book, [dict(row) for row in (await tx.execute(query)).mappings()], "")


def _waiting(fleet_id: str, agents: Sequence[str]) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        HOST.c.fleet_id == fleet_id,
        HOST.c.agent_id.in_(agents),
        HOST.c.state == AttemptState.PENDING.value,
        HOST.c.generation.is_(None),  # one that had an offer was there when its turn came
        HOST.c.waiting == OFFLINE,
    )
