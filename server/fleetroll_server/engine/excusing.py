"""Excuses: a host whose attempt ended unproven, through the servers' fault or a start anew, is queued again.

After a way back for want of contact its next offer says so: the launcher then takes that way back from its count.

What is owed stands on the row of the host's assignment. The offer that carries it may get lost, end, or wait for its
rollout: it is sent until a hello shows that the host took it, and a host that hears it twice takes nothing back twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fleetroll_common.values.codes import Code
from fleetroll_server.domain.excuses import WayBack, is_excused
from fleetroll_server.domain.states import AttemptState
from fleetroll_server.engine import availability
from fleetroll_server.engine.silence import had_succeeded
from fleetroll_server.engine.targets import version_for
from fleetroll_server.gateway.convert_in import MAX_MESSAGE_CHARS
from fleetroll_server.store.tables import AssignmentRow, table_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fleetroll_server.domain.heard import Said
    from fleetroll_server.domain.states import Trigger
    from fleetroll_server.engine.book import Book
    from fleetroll_server.services import Services
    from fleetroll_server.store.tx import Tx

ASSIGNMENT = table_of(AssignmentRow)
EXCUSED = "excused"
"""In the history alone, for attempts that counted against nobody; a host never stands in it."""


async def excuses(
    tx: Tx, services: Services, book: Book, host: dict[str, Any], said: Said, trigger: Trigger
) -> dict[str, Any] | None:
    """Return what is written of a host that goes back into the queue instead; nothing where its word stands."""
    back = WayBack(
        state=AttemptState(host["state"]),
        trigger=trigger,
        unproven=said.unproven,
        had_succeeded=had_succeeded(host),
        granted_at=host["granted_at"],
        excuses=host["tries"],
        has_queue=book.has_queue,
    )
    if back.was_restarted:
        return _queued(host, "not counted, since nothing was changed", said)
    if not back.may_be_excused or back.granted_at is None:
        return None
    if not is_excused(back, await availability.spells_since(tx, services, back.granted_at), tx.now):
        return None
    await _owe(tx, book, host)
    if not back.has_queue:
        return None
    return _queued(host, "not counted, since hellos were not accepted all along", said)


def _queued(host: Mapping[str, Any], why: str, said: Said) -> dict[str, Any]:
    message = f"{why}: {said.message or 'nobody proved it'}"
    return {"tries": host["tries"] + 1, "message": message[:MAX_MESSAGE_CHARS]}


def told_as(host: Mapping[str, Any]) -> str:
    """Return how a queued host's earlier attempt stands in the history: ``excused``, or as its state says."""
    excused = host["granted_at"] is not None and host["tries"] > 0 and host["code"] != Code.KILLED.value
    return EXCUSED if excused and host["state"] == AttemptState.PENDING.value else str(host["state"])


def carried(version: str, known: Mapping[Any, Any] | None) -> dict[str, Any]:
    """Return the columns of a new assignment: what is owed for its version goes with it, until it is taken."""
    owed = known["excuse_owed"] if known is not None else ""
    return {"excuse_owed": owed, "excused": bool(version) and owed == version}


async def delivered(tx: Tx, row: Mapping[Any, Any]) -> None:
    """The host has taken the assignment ``row``: whatever excuse it carried is owed no more."""
    if not row["excused"] or not row["excuse_owed"]:
        return
    which = [ASSIGNMENT.c[name] == row[name] for name in ("agent_id", "product", "fleet_id", "generation")]
    await tx.execute(sa.update(ASSIGNMENT).where(*which).values(excuse_owed=""))


async def _owe(tx: Tx, book: Book, host: dict[str, Any]) -> None:
    """Note the excuse. What stands in the row now is the assignment that came back: it carries none."""
    which = [ASSIGNMENT.c[name] == host[name] for name in ("agent_id", "product", "fleet_id")]
    await tx.execute(sa.update(ASSIGNMENT).where(*which).values(excuse_owed=version_for(book, host), excused=False))
