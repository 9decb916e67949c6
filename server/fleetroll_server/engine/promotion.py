"""Promote: sent when a session of the right version on trial speaks, and again on every hello of that trial."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fleetroll_server.domain.promote import TrialFacts, may_promote
from fleetroll_server.domain.states import AttemptState, Trigger
from fleetroll_server.engine.actor import DISPATCH
from fleetroll_server.engine.desire import assignment_of
from fleetroll_server.engine.moves import move
from fleetroll_server.gateway.convert_out import Message, promote
from fleetroll_server.store.tables import HostProductRow, table_of

if TYPE_CHECKING:
    from fleetroll_server.engine.book import Book
    from fleetroll_server.services import Services
    from fleetroll_server.store.tx import Tx

PRODUCT = table_of(HostProductRow)


async def promote_if_due(tx: Tx, services: Services, book: Book, host: dict[str, Any]) -> None:
    """Promote after the commit where it is due."""
    message = await promotion(tx, book, host)
    if message is not None:
        tx.after_commit(lambda: services.sessions.send(host["agent_id"], message))


async def promotion(tx: Tx, book: Book, host: dict[str, Any]) -> Message | None:
    """Write that the host is promoted and return the message; nothing where it is not due."""
    if host["state"] not in {AttemptState.TRIAL.value, AttemptState.PROMOTED.value}:
        return None
    which = (
        PRODUCT.c.agent_id == host["agent_id"],
        PRODUCT.c.product == host["product"],
        PRODUCT.c.fleet_id == host["fleet_id"],
    )
    running = (await tx.execute(sa.select(PRODUCT).where(*which))).mappings().one_or_none()
    desired = await assignment_of(tx, host["agent_id"], host["fleet_id"], host["product"])
    if running is None or desired is None:
        return None
    facts = TrialFacts(
        state=AttemptState(host["state"]),
        recalled=desired["recall"] and desired["generation"] > host["generation"],
        wanted_version=book.row["version"],
        wanted_sha256=host["sha256"],
        running_version=running["version"],
        running_sha256=running["sha256"],
        on_trial=running["on_trial"],
    )
    if not may_promote(facts):
        return None
    await move(tx, book, host, Trigger.PROMOTE, DISPATCH, deadline=host["deadline"])
    return promote(host["product"], host["generation"], host["sha256"])
