"""The stops of the lost time, carried out again at the first start of a restored server, in one transaction."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import sqlalchemy as sa
import structlog

from fleetroll_common.values.codes import Code
from fleetroll_server.access.caller import Caller, Role
from fleetroll_server.domain.states import ENDED_ROLLOUT, RolloutState
from fleetroll_server.engine import kill, people
from fleetroll_server.engine.actor import Actor
from fleetroll_server.engine.advance import go_on
from fleetroll_server.engine.book import open_book
from fleetroll_server.hosts.decisions import revoke_host
from fleetroll_server.recovery.state import META, STOPS_KEY, write_meta
from fleetroll_server.recovery.stops import KINDS, Stop, read_stops
from fleetroll_server.store.fleets import every_fleet
from fleetroll_server.store.tables import (
    AgentRow,
    ApiTokenRow,
    BarredAgentRow,
    EventRow,
    JoinTokenRow,
    ReleaseRow,
    table_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleetroll_server.services import Services
    from fleetroll_server.store import Tx

AGENT = table_of(AgentRow)
API_TOKEN = table_of(ApiTokenRow)
BARRED = table_of(BarredAgentRow)
EVENT = table_of(EventRow)
JOIN_TOKEN = table_of(JoinTokenRow)
RELEASE = table_of(ReleaseRow)
WHOSE = "the stop names the fleet, or the row is of none"
_log = structlog.get_logger(__name__)


def stored(stops: Sequence[Stop]) -> str:
    """Return stops as they wait in the database."""
    return json.dumps([stop.to_json() for stop in stops])


async def stop_again(services: Services) -> int:
    """Carry out what waits; return how many stops there were. A second call finds none.

    Raises:
        StoreError: the database can't be read or written (our fault).
    """
    count: int = await services.store.writer.command(lambda tx: _all(tx, services))
    if count:
        _log.info("recovery.stopped_again", stops=count)
    return count


async def forgotten_stops(tx: Tx, services: Services) -> list[Stop]:
    """Return the stops of this incarnation that the log knows and the database does not, oldest first.

    The log of a folder that was copied back is as old as its database; one that lies elsewhere is not. Sequences are
    given anew since then, so each is held against the event that has it.
    """
    path = services.settings.stops_log or services.folder.stops
    if not path.exists():
        return []
    stops, _damaged = await asyncio.to_thread(read_stops, path)
    since = (await tx.execute(every_fleet(sa.select(sa.func.min(EVENT.c.sequence)), WHOSE))).scalar_one_or_none() or 0
    known = {}
    query = sa.select(EVENT.c.sequence, EVENT.c.kind, EVENT.c.agent_id, EVENT.c.rollout_id, EVENT.c.message)
    for row in (await tx.execute(every_fleet(query.where(EVENT.c.kind.in_(KINDS)), WHOSE))).all():
        known[row.sequence] = (row.kind, row.agent_id, row.rollout_id, row.message)
    return [
        stop
        for stop in stops
        if stop.incarnation == services.incarnation
        and stop.sequence >= since
        and known.get(stop.sequence) != (stop.kind, stop.agent_id, stop.rollout_id, stop.message)
    ]


async def _all(tx: Tx, services: Services) -> int:
    text = (await tx.execute(sa.select(META.c.value).where(META.c.key == STOPS_KEY))).scalar_one_or_none()
    if text is None:
        return 0
    stops = [Stop.from_json(record) for record in json.loads(text)]
    for stop in stops:
        await carry_out(tx, services, stop)
    await write_meta(tx, STOPS_KEY, None)
    return len(stops)


async def carry_out(tx: Tx, services: Services, stop: Stop) -> None:
    """Carry out one stop; what it is about may be younger than the database, and gone with it."""
    actor = Actor(stop.actor_kind, stop.actor_id)
    match stop.kind:
        case "agent.revoked":
            await _revoke(tx, services, stop)
        case "agent.enrolled" | "agent.readmitted":
            used = JOIN_TOKEN.c.id == stop.facts.get("token", "")
            change = sa.update(JOIN_TOKEN).where(used, JOIN_TOKEN.c.uses < JOIN_TOKEN.c.max_uses)
            await tx.execute(every_fleet(change.values(uses=JOIN_TOKEN.c.uses + 1), WHOSE))
        case "token.revoked":
            change = sa.update(JOIN_TOKEN).where(JOIN_TOKEN.c.id == stop.facts.get("token", ""))
            await tx.execute(every_fleet(change.values(revoked=True), WHOSE))
        case "api_token.revoked":
            ended = sa.update(API_TOKEN).where(API_TOKEN.c.id == stop.facts.get("token", ""))
            await tx.execute(ended.values(revoked=True))
        case "kill_switch.pressed":
            await kill.press(tx, services, stop.fleet_id, actor, stop.reason)
        case "kill_switch.lifted":
            await kill.lift(tx, services, stop.fleet_id, actor, stop.reason)
        case "rollout.state":
            await _stop_rollout(tx, services, stop, actor)
        case "release.yanked" | "release.revoked":
            which = (RELEASE.c.product == stop.facts.get("product"), RELEASE.c.version == stop.facts.get("version"))
            await tx.execute(sa.update(RELEASE).where(*which).values(listed=False))
        case _:
            _log.warning("recovery.unknown_stop", kind=stop.kind)


async def _revoke(tx: Tx, services: Services, stop: Stop) -> None:
    """Revoke again; bar the agent that the database does not know."""
    mine = (AGENT.c.id == stop.agent_id, AGENT.c.fleet_id == stop.fleet_id)
    if (await tx.execute(sa.select(AGENT.c.id).where(*mine))).first() is not None:
        caller = Caller(stop.actor_kind, stop.actor_id, Role.ADMIN)
        await revoke_host(tx, services, stop.agent_id, (stop.fleet_id,), caller, stop.reason)
        return
    barred = (BARRED.c.agent_id == stop.agent_id, BARRED.c.fleet_id == stop.fleet_id)
    await tx.execute(sa.delete(BARRED).where(*barred))
    values = {"agent_id": stop.agent_id, "fleet_id": stop.fleet_id, "barred_at": stop.at}
    await tx.execute(sa.insert(BARRED).values(**values))


async def _stop_rollout(tx: Tx, services: Services, stop: Stop, actor: Actor) -> None:
    """Stop a rollout again: it came back paused, so that only a stop beyond that is news."""
    book = await open_book(tx, stop.rollout_id, stop.fleet_id)
    if book is None or book.state in ENDED_ROLLOUT:
        return
    if stop.message == RolloutState.CANCELLED:
        await people.cancel(tx, services, stop.rollout_id, stop.fleet_id, actor, reason=stop.reason, let_finish=True)
    elif book.state is not RolloutState.HALTED:
        code = Code(stop.code) if stop.code in Code.__members__ else ""
        book.set_state(tx, RolloutState(stop.message), actor, stop.reason, code)
        await go_on(tx, services, book)
