"""The stops of the lost time, carried out again: by the first start of a restored server, or when it turns out.

The incarnation is committed before, with the stops that wait: from then on nothing is offered. They are carried out in
batches, each in a transaction of its own, so that however many there are no job holds the writer. One that is cut off
is gone on with by the next start; where two servers share the database, one of them does each batch.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import sqlalchemy as sa
import structlog

from fleetroll_common.values.codes import Code
from fleetroll_server.access.caller import Caller, Role
from fleetroll_server.catalogue.stopped import stop_release
from fleetroll_server.domain.states import ENDED_ROLLOUT, RolloutState
from fleetroll_server.engine import kill, people
from fleetroll_server.engine.actor import Actor
from fleetroll_server.engine.advance import go_on
from fleetroll_server.engine.book import open_book
from fleetroll_server.gateway.suspensions import GLOBAL_SCOPE, fleet_scope
from fleetroll_server.hosts.decisions import revoke_host
from fleetroll_server.recovery.state import META, STOPS_KEY, incarnation_of, write_meta
from fleetroll_server.recovery.stops import KINDS, Stop, read_stops
from fleetroll_server.store.fleets import every_fleet
from fleetroll_server.store.tables import (
    AgentRow,
    ApiTokenRow,
    BarredAgentRow,
    EventRow,
    JoinTokenRow,
    SuspensionRow,
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
SUSPENSION = table_of(SuspensionRow)
DONE_KEY = "recovery_stops_done"
"""How many of them are carried out."""
BATCH = 50
"""Stops of one transaction: each may end the attempts of a rollout's hosts."""
SWITCHED = frozenset({"kill_switch.pressed", "kill_switch.lifted"})
SAME = ("kind", "fleet_id", "actor_id", "reason", "agent_id", "rollout_id", "message")
"""What makes two stops the same, beside time and facts."""
_LOCKED = sa.select(META.c.value).where(META.c.key == STOPS_KEY).with_for_update()
_DONE = sa.select(META.c.value).where(META.c.key == DONE_KEY)
WHOSE = "the stop names the fleet, or the row is of none"
_log = structlog.get_logger(__name__)


def stored(stops: Sequence[Stop]) -> str:
    """Return stops as they wait in the database."""
    return json.dumps([stop.to_json() for stop in stops])


def netted(stops: Sequence[Stop]) -> list[Stop]:
    """Leave out what a later press or lift of the same kill switch has replaced."""
    last = {stop.fleet_id: at for at, stop in enumerate(stops) if stop.kind in SWITCHED}
    return [stop for at, stop in enumerate(stops) if stop.kind not in SWITCHED or last[stop.fleet_id] == at]


async def stop_again(services: Services) -> int:
    """Carry out what waits; return how many stops there were. A second call finds none.

    Raises:
        StoreError: the database can't be read or written (our fault).
    """
    count = 0
    while (waiting := await _waiting(services)) is not None:
        incarnation, stops = waiting
        done = await services.store.writer.command(lambda tx: _batch(tx, services, incarnation, stops))  # noqa: B023
        count += done
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
    query = sa.select(*(EVENT.c[name] for name in ("sequence", "occurred_at", *SAME, "facts")))
    for row in (await tx.execute(every_fleet(query.where(EVENT.c.kind.in_(KINDS)), WHOSE))).mappings():
        known[row["sequence"]] = (row["occurred_at"], *(row[name] for name in SAME), dict(row["facts"]))
    return [
        stop
        for stop in stops
        if stop.incarnation == services.incarnation
        and stop.sequence >= since
        and known.get(stop.sequence) != (stop.at, *(getattr(stop, name) for name in SAME), dict(stop.facts))
    ]


async def hand_over(tx: Tx, stops: Sequence[Stop]) -> None:
    """Let stops wait behind those that wait already; the caller gives the database another incarnation."""
    text = (await tx.execute(_LOCKED)).scalar_one_or_none()
    done = int((await tx.execute(_DONE)).scalar_one_or_none() or 0)
    before = [] if text is None else [Stop.from_json(record) for record in json.loads(text)][done:]
    await write_meta(tx, DONE_KEY, None)
    await write_meta(tx, STOPS_KEY, stored([*before, *stops]) if before or stops else None)


async def _waiting(services: Services) -> tuple[str, list[Stop]] | None:
    """Return the stops that wait, and the incarnation that they wait in; nothing where none do."""
    async with services.store.read() as connection:
        incarnation = await incarnation_of(connection)
        text = await connection.scalar(sa.select(META.c.value).where(META.c.key == STOPS_KEY))
    return None if text is None else (incarnation, [Stop.from_json(record) for record in json.loads(text)])


async def _batch(tx: Tx, services: Services, incarnation: str, stops: Sequence[Stop]) -> int:
    """Carry out the next ones; return how many. None where another process ended it, or added to it."""
    if (await tx.execute(_LOCKED)).scalar_one_or_none() is None or await incarnation_of(tx.connection) != incarnation:
        return 0
    done = int((await tx.execute(_DONE)).scalar_one_or_none() or 0)
    batch = stops[done : done + BATCH]
    for stop in batch:
        await carry_out(tx, services, stop)
    is_over = done + len(batch) >= len(stops)
    await write_meta(tx, DONE_KEY, None if is_over else str(done + len(batch)))
    if is_over:
        await write_meta(tx, STOPS_KEY, None)
    return len(batch)


async def carry_out(tx: Tx, services: Services, stop: Stop) -> None:
    """Carry out one stop; what it is about may be younger than the database, and gone with it."""
    actor = Actor(stop.actor_kind, stop.actor_id)
    match stop.kind:
        case "agent.revoked":
            await _revoke(tx, services, stop)
        case "agent.enrolled" | "agent.readmitted":
            await _use_token(tx, stop)
        case "token.revoked":
            change = sa.update(JOIN_TOKEN).where(JOIN_TOKEN.c.id == stop.facts.get("token", ""))
            await tx.execute(every_fleet(change.values(revoked=True), WHOSE))
        case "api_token.revoked":
            ended = sa.update(API_TOKEN).where(API_TOKEN.c.id == stop.facts.get("token", ""))
            await tx.execute(ended.values(revoked=True))
        case "kill_switch.pressed" | "kill_switch.lifted":
            await _switch(tx, services, stop, actor)
        case "rollout.state":
            await _stop_rollout(tx, services, stop, actor)
        case "release.yanked" | "release.revoked":
            product, version = stop.facts.get("product", ""), stop.facts.get("version", "")
            await stop_release(tx, product, version, stop.kind.removeprefix("release."), stop.reason)
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


async def _use_token(tx: Tx, stop: Stop) -> None:
    """Use the token again. A readmitted agent waits for approval: the host that was shut out may come first."""
    used = JOIN_TOKEN.c.id == stop.facts.get("token", "")
    change = sa.update(JOIN_TOKEN).where(used, JOIN_TOKEN.c.uses < JOIN_TOKEN.c.max_uses)
    await tx.execute(every_fleet(change.values(uses=JOIN_TOKEN.c.uses + 1), WHOSE))
    if stop.kind == "agent.readmitted":
        mine = (AGENT.c.id == stop.agent_id, AGENT.c.fleet_id == stop.fleet_id)
        await tx.execute(sa.update(AGENT).where(*mine).values(younger=True, quarantined=True))


async def _switch(tx: Tx, services: Services, stop: Stop, actor: Actor) -> None:
    """Press or lift again, where nobody has decided about it since."""
    if await _is_decided(tx, stop):
        _log.info("recovery.switch_decided_since", fleet=stop.fleet_id, kind=stop.kind)
        return
    use = kill.press if stop.kind == "kill_switch.pressed" else kill.lift
    await use(tx, services, stop.fleet_id, actor, stop.reason)


async def _is_decided(tx: Tx, stop: Stop) -> bool:
    """Tell whether somebody has used the switch since: a press that stands is never undone by an older lift."""
    scope = fleet_scope(stop.fleet_id) if stop.fleet_id else GLOBAL_SCOPE
    which = (SUSPENSION.c.scope == scope, SUSPENSION.c.fleet_id == stop.fleet_id)
    at = (await tx.execute(sa.select(SUSPENSION.c.decided_at).where(*which))).scalar_one_or_none()
    return at is not None and stop.at <= at


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
