"""What an admin decides in a recovery: which younger hosts are the fleet's, and that it is over."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_publishing.roles import TIMESTAMP_FILE
from fleetroll_publishing.sealing import is_signed
from fleetroll_server.catalogue.metadata import one_file
from fleetroll_server.recovery.missing import locked_recovery
from fleetroll_server.recovery.reads import standing
from fleetroll_server.recovery.state import RECOVERY_KEY, write_meta
from fleetroll_server.store import EventFact
from fleetroll_server.store.tables import AgentRow, table_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleetroll_server.access.caller import Caller
    from fleetroll_server.store import Tx

AGENT = table_of(AgentRow)


async def approve(
    tx: Tx, agent_ids: Sequence[str], listed_hosts: int, fleets: Sequence[str], caller: Caller, reason: str
) -> tuple[str, ...]:
    """Let listed hosts have updates; return their ids. Without ids: all that are listed in ``fleets``.

    Raises:
        RequestError: HOST_NOT_FOUND: one of them is not listed; STALE_DECISION: no ids, and another number is listed
            than the caller has read. Nothing was changed (caller's fault).
    """
    listed = (AGENT.c.younger.is_(True), AGENT.c.revoked.is_(False), AGENT.c.fleet_id.in_(fleets))
    query = sa.select(AGENT.c.id, AGENT.c.fleet_id).where(*listed).order_by(AGENT.c.id).with_for_update()
    rows = (await tx.execute(query)).all()
    known = {row.id: row.fleet_id for row in rows}
    if not agent_ids and listed_hosts != len(known):
        message = f"hosts_listed: {len(known)} hosts are listed as younger, not {listed_hosts}"
        remedy = "look at the recovery again, then name the hosts, or their number"
        raise RequestError(message, code=Code.STALE_DECISION, remedy=remedy, current=str(len(known)))
    for agent_id in agent_ids:
        if agent_id not in known:
            message = f"agent_ids: {agent_id[:80]!r} is not listed as younger than the database"
            remedy = "name hosts that the recovery shows"
            raise RequestError(message, code=Code.HOST_NOT_FOUND, remedy=remedy, field="agent_ids")
    chosen = tuple(dict.fromkeys(agent_ids)) or tuple(known)
    for agent_id in chosen:
        mine = (AGENT.c.id == agent_id, AGENT.c.fleet_id == known[agent_id])
        await tx.execute(sa.update(AGENT).where(*mine).values(younger=False, quarantined=False))
        tx.emit(_fact("recovery.host_approved", caller, reason, known[agent_id], agent_id))
    return chosen


async def end(tx: Tx, not_seen: int, caller: Caller, reason: str) -> None:
    """Let the server offer again; what was paused stays paused until somebody resumes it.

    Raises:
        RequestError: ROLLOUT_STATE: there is no recovery; NOT_ALLOWED: the server can sign no list; STALE_DECISION:
            another number of hosts has not been seen than the caller has read (caller's fault).
    """
    recovery = await locked_recovery(tx)
    if recovery is None or not recovery.active:
        message = "recovery: the server is in none"
        raise RequestError(message, code=Code.ROLLOUT_STATE, remedy="nothing is left to do")
    if not is_signed(await one_file(tx.connection, TIMESTAMP_FILE)):
        message = "recovery: the newest root names keys of snapshot or timestamp that are not here; hosts take nothing"
        remedy = "exchange them first: fleetroll keys rotate snapshot timestamp"
        raise RequestError(message, code=Code.NOT_ALLOWED, remedy=remedy)
    stands = await standing(tx.connection, ())
    if stands.not_seen != not_seen:
        message = f"hosts_not_seen: {stands.not_seen} hosts have not come, not {not_seen}"
        remedy = "look at the recovery again: those hosts may be past Go, and are in no budget"
        raise RequestError(message, code=Code.STALE_DECISION, remedy=remedy, current=str(stands.not_seen))
    await write_meta(tx, RECOVERY_KEY, replace(recovery, active=False).to_json())
    fact = _fact("recovery.ended", caller, reason)
    tx.emit(replace(fact, facts={"hosts_not_seen": str(not_seen)}))


def _fact(kind: str, caller: Caller, reason: str, fleet_id: str = "", agent_id: str = "") -> EventFact:
    return EventFact(
        fleet_id=fleet_id,
        kind=kind,
        actor_kind=caller.actor_kind,
        actor_id=caller.actor_id,
        reason=reason,
        agent_id=agent_id,
    )
