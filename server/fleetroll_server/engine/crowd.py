"""Many hosts in one transaction: how many at most, and those steps that one statement can take for all of them.

Such a step needs no budget, no claim and no word to the host: it is for hosts that have never had an offer. The step of
any other host is :func:`~fleetroll_server.engine.moves.move`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fleetroll_server.domain.states import ATTEMPT_TRANSITIONS, AttemptState, Trigger, transition
from fleetroll_server.engine.moves import HOST, step_event, view

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fleetroll_server.engine.actor import Actor
    from fleetroll_server.engine.book import Book
    from fleetroll_server.services import Services
    from fleetroll_server.store.tx import Tx

AT_ONCE = 200
"""Hosts that one transaction looks at: a person's command waits for one transaction, never for a fleet."""
ONE_BY_ONE = 40
"""Hosts that take up to eight statements each: 40 of them cost what 200 cost in one statement, some 50 ms."""


@dataclass(slots=True)
class Room:
    """How many more hosts this transaction may touch.

    Attributes:
        crowd: all of them.
        single: those that are moved one by one.
        reach: how many the next step reads at least. It doubles with each step: one free place costs one row, and a
            crowd that is passed over costs few steps.
    """

    crowd: int = AT_ONCE
    single: int = ONE_BY_ONE
    reach: int = 1

    @property
    def is_spent(self) -> bool:
        """Tell whether the rest must wait for the next transaction."""
        return self.crowd <= 0 or self.single <= 0


def look_again(tx: Tx, services: Services, book: Book) -> None:
    """Let the engine go on with this rollout in a transaction of its own, right after this one's commit."""
    tx.after_commit(partial(services.look_again.add, book.id, book.fleet_id))


async def wait_all(tx: Tx, book: Book, hosts: Sequence[dict[str, Any]], waiting: str) -> None:
    """Note why pending hosts wait."""
    if not hosts:
        return
    for host in hosts:
        _change(book, host, {"waiting": waiting})
    await _write(tx, book, hosts, {"waiting": waiting})


async def end_all(
    tx: Tx, book: Book, hosts: Sequence[dict[str, Any]], trigger: Trigger, actor: Actor, *, code: str, message: str = ""
) -> None:
    """End pending hosts that never had an offer. ``trigger`` leads to no bad end: cohorts are not counted here.

    Raises:
        IllegalTransitionError: the machine knows no such step; nothing was changed.
    """
    if not hosts:
        return
    values = {
        "state": transition(ATTEMPT_TRANSITIONS, AttemptState.PENDING, trigger).value,
        "code": code,
        "message": message,
        "waiting": "",
        "deadline": None,
        "changed_at": tx.now,
        "ended_at": tx.now,
    }
    for host in hosts:
        _change(book, host, values)
        book.wave(host["wave"]).set(moved_at=tx.now)
        tx.emit(step_event(book, host, actor))
    await _write(tx, book, hosts, values)


def _change(book: Book, host: dict[str, Any], values: Mapping[str, Any]) -> None:
    """Change a row in memory, and its wave's counters with it."""
    before = view(host, ())
    host.update(values)
    wave = book.wave(host["wave"])
    wave.counters = wave.counters.moved(before, view(host, ()))
    wave.set()


async def _write(tx: Tx, book: Book, hosts: Sequence[dict[str, Any]], values: Mapping[str, Any]) -> None:
    """Write the same values to every row."""
    mine = (HOST.c.rollout_id == book.id, HOST.c.fleet_id == book.fleet_id)
    those = HOST.c.agent_id.in_([host["agent_id"] for host in hosts])
    await tx.execute(sa.update(HOST).where(*mine, those).values(**values))
