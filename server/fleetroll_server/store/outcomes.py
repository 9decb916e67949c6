"""What comes after the jobs of a group: their events with sequences, then, once durable, their actions and answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
import structlog

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import StoreError
from fleetroll_server.store.tables import CounterRow, EventRow, table_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncConnection

    from fleetroll_server.store.lanes import Request
    from fleetroll_server.store.tx import EventFact, Tx

    Numbered = tuple[EventFact, int, datetime]

EVENT_COUNTER = "event"

_COUNTER = table_of(CounterRow)
_EVENT = table_of(EventRow)
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one job ended inside of the open transaction."""

    request: Request
    tx: Tx
    result: Any = None
    error: Exception | None = None


async def store_events(connection: AsyncConnection, outcomes: Sequence[Outcome]) -> list[Numbered]:
    """Give the group's events their block of sequences and return them; the counter is the transaction's last lock."""
    facts = [(event, outcome.tx.now) for outcome in outcomes for event in outcome.tx.events]
    if not facts:
        return []
    take = (
        sa.update(_COUNTER)
        .where(_COUNTER.c.name == EVENT_COUNTER)
        .values(value=_COUNTER.c.value + len(facts))
        .returning(_COUNTER.c.value)
    )
    first = (await connection.execute(take)).scalar_one() - len(facts) + 1
    rows = [
        {name: getattr(event, name) for name in event.__slots__}
        | {"facts": dict(event.facts), "sequence": first + number, "occurred_at": now}
        for number, (event, now) in enumerate(facts)
    ]
    await connection.execute(sa.insert(_EVENT), rows)
    return [(event, first + number, now) for number, (event, now) in enumerate(facts)]


def act(outcome: Outcome) -> None:
    """Run what waited for the commit. An action that fails is a defect of its own: the commit stands."""
    for action in outcome.tx.actions:
        try:
            action()
        except Exception:  # noqa: BLE001 (logged with its trace)
            _log.exception("store.after_commit_failed")


def tell(outcome: Outcome) -> None:
    """Answer the caller, if it still waits."""
    if outcome.request.answer.done():
        return
    if outcome.error is not None:
        outcome.request.answer.set_exception(outcome.error)
    else:
        outcome.request.answer.set_result(outcome.result)


def refuse(requests: Sequence[Request], make_error: Callable[[], StoreError]) -> None:
    """Give everyone who still waits an error of his own."""
    for request in requests:
        if not request.answer.done():
            request.answer.set_exception(make_error())


def going_down() -> StoreError:
    """Return the error of a server that stops."""
    return StoreError("the server goes down", code=Code.UNAVAILABLE, remedy="try again on another server")
