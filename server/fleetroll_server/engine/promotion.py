"""Promote: sent when a session of the right version on trial speaks, and again on every hello of that trial."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fleetroll_common.values.codes import Code
from fleetroll_server.domain.promote import TrialFacts, is_another, may_promote
from fleetroll_server.domain.states import AttemptState, Trigger
from fleetroll_server.engine import other_name
from fleetroll_server.engine.actor import DISPATCH
from fleetroll_server.engine.desire import assignment_of
from fleetroll_server.engine.moves import move, note
from fleetroll_server.engine.targets import version_for
from fleetroll_server.gateway.convert_out import Message, promote
from fleetroll_server.store.tables import AgentRow, HostProductRow, table_of

if TYPE_CHECKING:
    from fleetroll_server.engine.book import Book
    from fleetroll_server.services import Services
    from fleetroll_server.store.tx import Tx

AGENT = table_of(AgentRow)
PRODUCT = table_of(HostProductRow)


async def promote_if_due(tx: Tx, services: Services, book: Book, host: dict[str, Any]) -> None:
    """Promote after the commit where it is due."""
    message = await promotion(tx, book, host)
    if message is not None:
        tx.after_commit(lambda: services.sessions.send(host["agent_id"], message))


async def promotion(tx: Tx, book: Book, host: dict[str, Any]) -> Message | None:
    """Write that the host is promoted and return the message; nothing where it is not due."""
    facts = await _facts(tx, book, host)
    if facts is None:
        return None
    if is_another(facts):
        await _tell(tx, book, host, facts)
    if not may_promote(facts):
        return None
    await move(tx, book, host, Trigger.PROMOTE, DISPATCH, deadline=host["deadline"])
    return promote(host["product"], host["generation"], host["sha256"])


async def _facts(tx: Tx, book: Book, host: dict[str, Any]) -> TrialFacts | None:
    """Return what is known of the host's trial; nothing where there is none."""
    if host["state"] not in {AttemptState.TRIAL.value, AttemptState.PROMOTED.value}:
        return None
    which = (
        PRODUCT.c.agent_id == host["agent_id"],
        PRODUCT.c.product == host["product"],
        PRODUCT.c.fleet_id == host["fleet_id"],
    )
    both = PRODUCT.join(AGENT, sa.and_(AGENT.c.id == PRODUCT.c.agent_id, AGENT.c.fleet_id == PRODUCT.c.fleet_id))
    query = sa.select(PRODUCT, AGENT.c.agent_version).select_from(both).where(*which)
    running = (await tx.execute(query)).mappings().one_or_none()
    desired = await assignment_of(tx, host["agent_id"], host["fleet_id"], host["product"])
    if running is None or desired is None:
        return None
    return TrialFacts(
        state=AttemptState(host["state"]),
        recalled=desired["recall"] and desired["generation"] > host["generation"],
        wanted_version=version_for(book, host),
        wanted_sha256=host["sha256"],
        running_version=running["version"],
        calls_itself=running["agent_version"],
        running_sha256=running["sha256"],
        on_trial=running["on_trial"],
    )


async def _tell(tx: Tx, book: Book, host: dict[str, Any], facts: TrialFacts) -> None:
    """Raise the alarm about a release that runs under another name, once for each trial."""
    if other_name.is_told(host):
        return
    said = facts.calls_itself if facts.calls_itself != facts.wanted_version else facts.running_version
    message = f"what is on trial calls itself {said}, the release is {facts.wanted_version}: it is not kept"
    other_name.tell(tx, book, host, Code.CAME_BACK_OTHER, message)
    await note(tx, book, host, code=Code.CAME_BACK_OTHER.value, message=message)
