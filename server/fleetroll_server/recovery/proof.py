"""The proof that the database went back without a restore: a receipt of this incarnation, above the agent's row.

Nobody but a server of this database can make one, and no row's epoch ever falls. So one is enough, and it is no fork: a
folder was copied back, a fail-over or a disk lost commits. In the same transaction nothing is offered any more and a
new incarnation begins; every stream is closed, so that the hosts come with all that they can show. A stops.log that
lies elsewhere has not gone back: what it knows and the database does not is stopped again, lifts of the kill switch
apart. Without any such stop nobody knows what was stopped, and join tokens are suspended.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa
import structlog

from fleetroll_common.wire.macs import receipt_holds
from fleetroll_server.gateway.convert_out import reconnect
from fleetroll_server.recovery.evidence import Evidence
from fleetroll_server.recovery.minting import mint
from fleetroll_server.recovery.restopping import forgotten_stops, hand_over, netted
from fleetroll_server.recovery.showing import is_agents_key
from fleetroll_server.recovery.state import Cause, Recovery, incarnation_of
from fleetroll_server.recovery.suspending import suspend_tokens
from fleetroll_server.store.fleets import every_fleet
from fleetroll_server.store.tables import AgentRow, EventRow, table_of

if TYPE_CHECKING:
    from datetime import datetime

    from fleetroll_server.identity.ratchet import HelloFacts
    from fleetroll_server.services import Services
    from fleetroll_server.store import Tx

AGENT = table_of(AgentRow)
EVENT = table_of(EventRow)
MAX_EPOCH = 2**63 - 1
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Proof:
    """The receipt that a hello shows; empty for none."""

    incarnation: str
    epoch: int
    mac: bytes

    def holds(self, server_key: bytes, agent_id: str) -> bool:
        """Tell whether a server of this key made it for this agent."""
        possible = 0 < self.epoch <= MAX_EPOCH
        return possible and receipt_holds(server_key, self.incarnation, agent_id, self.epoch, self.mac)


async def went_back(
    tx: Tx, services: Services, agent_id: str, proof: Proof, hello: HelloFacts, evidence: Evidence | None
) -> bool:
    """Begin a recovery where ``proof`` shows that it is due; tell whether it was.

    Of an agent that the database knows, only the agent itself: whoever has read the receipt has not its key.
    """
    if not proof.holds(services.server_key, agent_id) or proof.incarnation != await incarnation_of(tx.connection):
        return False
    query = sa.select(AGENT.c.epoch).where(AGENT.c.id == agent_id).with_for_update()
    epoch = (await tx.execute(every_fleet(query, "the agent's fleet is what is found out"))).scalar_one_or_none()
    if proof.epoch <= (epoch or 0):
        return False
    if epoch is not None and not await is_agents_key(tx.connection, agent_id, hello, evidence or Evidence()):
        return False
    forgotten = await forgotten_stops(tx, services)
    await hand_over(tx, [stop for stop in netted(forgotten) if stop.kind != "kill_switch.lifted"])
    suspended = 0 if forgotten else await suspend_tokens(tx)
    last = max((stop.at for stop in forgotten), default=None) or await _last_event(tx)
    recovery = Recovery(
        Cause.WENT_BACK, since=tx.now, stops_read=bool(forgotten), blind_from=last, suspended_tokens=suspended
    )
    fresh = await mint(tx, services.ids.new("inc"), recovery)
    tx.after_commit(lambda: announce(services, fresh))
    return True


async def _last_event(tx: Tx) -> datetime | None:
    """Return when the last thing happened that the database knows."""
    query = sa.select(EVENT.c.occurred_at).order_by(EVENT.c.sequence.desc()).limit(1)
    return (await tx.execute(every_fleet(query, "the whole database went back"))).scalar_one_or_none()


def announce(services: Services, incarnation: str) -> None:
    """Take note of the new incarnation: everybody comes back, to show what the database has lost."""
    if services.born.incarnation == incarnation:
        return
    services.born.incarnation = incarnation
    closed = services.sessions.close_all(reconnect())
    _log.error("recovery.began", incarnation=incarnation, sessions=closed)
