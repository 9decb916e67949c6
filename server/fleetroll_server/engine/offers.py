"""Offers: the next pending hosts of a wave get their assignment, or the reason why not."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert  # SQLite compiles its ON CONFLICT DO NOTHING alike

from fleetroll_common.values.codes import Code
from fleetroll_common.values.platform import Platform
from fleetroll_common.values.release import AGENT as AGENT_PRODUCT
from fleetroll_server.domain.deadlines import OFFLINE_SECONDS, deadline
from fleetroll_server.domain.eligible import HostFacts, ReleaseFacts, objection
from fleetroll_server.domain.hostrules import UNRULED
from fleetroll_server.domain.states import AttemptState, RolloutState, Trigger
from fleetroll_server.domain.turn import RETURNING, Presence, Turn, TurnFacts, turn
from fleetroll_server.engine import late
from fleetroll_server.engine.actor import DISPATCH
from fleetroll_server.engine.crowd import Room, end_all, wait_all
from fleetroll_server.engine.desire import assign, desire
from fleetroll_server.engine.excusing import told_as
from fleetroll_server.engine.moves import move, note
from fleetroll_server.engine.suspended import is_suspended
from fleetroll_server.engine.targets import facts_for, version_for
from fleetroll_server.policies.reading import read_policies
from fleetroll_server.store.tables import (
    AgentRow,
    AttemptHistoryRow,
    ClaimRow,
    HostProductRow,
    RolloutHostRow,
    table_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from fleetroll_server.domain.hostrules import HostRules
    from fleetroll_server.engine.book import Book, Wave
    from fleetroll_server.services import Services
    from fleetroll_server.store.tx import Tx

HOST = table_of(RolloutHostRow)
AGENT = table_of(AgentRow)
PRODUCT = table_of(HostProductRow)
CLAIM = table_of(ClaimRow)
HISTORY = table_of(AttemptHistoryRow)


_MESSAGES = {Trigger.FAIL: "offline when its turn came", Trigger.CANCEL: late.NEWER}


async def offer_next(tx: Tx, services: Services, book: Book, wave: Wave | None, count: int, room: Room) -> bool:
    """Go through pending hosts in their stored order until ``count`` have their offer; False when there was none.

    Without a ``wave`` those of all waves: late ones.

    Hosts that only wait, or never had an offer and are skipped, are noted by a statement for all of them: most of a
    fleet may be offline.
    """
    if await is_suspended(tx, book.fleet_id):
        return False
    rows = await next_pending(tx, book, wave, min(room.crowd, max(count, room.reach)))
    room.reach = 2 * len(rows)
    crowds: dict[Turn, list[dict[str, Any]]] = {}
    left = min(count, room.single)
    for row, fate, release in await fates(tx, book, rows):
        if fate is RETURNING:
            book.wave(row["wave"]).left(row["online_until"] - timedelta(seconds=OFFLINE_SECONDS))
        host = {column.name: row[column.name] for column in HOST.columns}
        if _is_for_all(fate, host):
            crowds.setdefault(fate, []).append(host)
        elif left:
            await _one(tx, services, book, row, host, fate, release)
            left, room.single = left - 1, room.single - 1
        else:
            break
        room.crowd -= 1
    for fate, hosts in crowds.items():
        await _all(tx, book, hosts, fate)
    return bool(rows)


async def fates(tx: Tx, book: Book, rows: list[dict[str, Any]]) -> list[tuple[dict[str, Any], Turn, ReleaseFacts]]:
    """Return what the turns of pending hosts bring, in their order: as the engine acts on it and ``why`` tells it."""
    agents = [row["agent_id"] for row in rows]
    known, held = await facts_for(tx, book, rows), await _held(tx, book, agents)
    policies = await read_policies(tx.connection, book.fleet_id, book.row["product"], agents)
    elsewhere = await late.superseded(tx, book, agents)
    found = []
    for row in rows:
        facts = _turn_facts(book, row, tx.now, held=row["agent_id"] in held, superseded=row["agent_id"] in elsewhere)
        # What a host had before is no new install: no policy on versions keeps it from going back.
        rules = UNRULED if book.row["goes_back"] else policies.rules(row["agent_id"], row["time_zone"], tx.now)
        release = known[version_for(book, row)]
        found.append((row, _fate(facts, host_facts(row, book.row["product"], rules), release), release))
    return found


async def next_pending(tx: Tx, book: Book, wave: Wave | None, count: int) -> list[dict[str, Any]]:
    """Return the next pending hosts that do not wait, each with what decides about its offer."""
    agent_here = sa.and_(AGENT.c.id == HOST.c.agent_id, AGENT.c.fleet_id == HOST.c.fleet_id)
    product_here = sa.and_(
        PRODUCT.c.agent_id == HOST.c.agent_id,
        PRODUCT.c.product == HOST.c.product,
        PRODUCT.c.fleet_id == HOST.c.fleet_id,
    )
    query = (
        sa.select(
            HOST,
            AGENT.c.server_id,
            AGENT.c.online_until,
            AGENT.c.check_in_seconds,
            AGENT.c.time_zone,
            AGENT.c.quarantined,
            AGENT.c.revoked,
            AGENT.c.os,
            AGENT.c.arch,
            AGENT.c.abi,
            PRODUCT.c.version.label("running"),
        )
        .select_from(HOST.join(AGENT, agent_here).outerjoin(PRODUCT, product_here))
        .where(
            HOST.c.rollout_id == book.id,
            HOST.c.fleet_id == book.fleet_id,
            HOST.c.state == AttemptState.PENDING.value,
            HOST.c.waiting == "",
            *(() if wave is None else (HOST.c.wave == wave.number,)),
        )
        .order_by(HOST.c.wave, HOST.c.position)
        .limit(count)
    )
    return [dict(row) for row in (await tx.execute(query)).mappings()]


async def _held(tx: Tx, book: Book, agents: list[str]) -> frozenset[str]:
    """Return which of these hosts another rollout holds."""
    query = sa.select(CLAIM.c.agent_id).where(
        CLAIM.c.agent_id.in_(agents),
        CLAIM.c.product == book.row["product"],
        CLAIM.c.fleet_id == book.fleet_id,
        CLAIM.c.rollout_id != book.id,
    )
    return frozenset((await tx.execute(query)).scalars())


def _fate(facts: TurnFacts, host: HostFacts, release: ReleaseFacts) -> Turn:
    """Return what a host's turn brings: an offer, an end by name, or the reason to wait."""
    found = None if facts.superseded else objection(host, release)
    return turn(facts) if found is None else Turn(Trigger.SKIP, found.code)


def _is_for_all(fate: Turn, host: dict[str, Any]) -> bool:
    """Tell whether one statement does it for many: no word to the host, and no bad end."""
    no_word = fate.trigger in {Trigger.SKIP, Trigger.CANCEL} and host["generation"] is None
    return fate.trigger is None or no_word


def _turn_facts(book: Book, row: Mapping[str, Any], now: datetime, *, held: bool, superseded: bool) -> TurnFacts:
    """Return what one host's turn depends on."""
    return TurnFacts(
        presence=presence_of(row, now),
        quarantined=row["quarantined"],
        held=held,
        superseded=superseded,
        late=book.state is RolloutState.COMPLETED,
        offline_policy=book.limits.offline_policy,
    )


def presence_of(row: Mapping[str, Any], now: datetime) -> Presence:
    """Return whether the host of an agent's row can be spoken to."""
    if row["server_id"]:
        return Presence.HERE
    if row["online_until"] is None or row["online_until"] <= now:
        return Presence.OFFLINE
    return Presence.CHECKS_IN if row["check_in_seconds"] else Presence.RETURNING


def host_facts(row: Mapping[str, Any], product: str, rules: HostRules) -> HostFacts:
    """Return what a plan would see of a host whose row carries the version that is ``running``."""
    return HostFacts(
        agent_id=row["agent_id"],
        name=row["name"],
        labels={},
        platform=Platform.said(row["os"], row["arch"], row["abi"]),
        version=row["running"] or "",
        revoked=row["revoked"],
        claimed_by="",
        keeps=row["running"] is not None or product == AGENT_PRODUCT,
        rules=rules,
    )


async def _all(tx: Tx, book: Book, hosts: list[dict[str, Any]], fate: Turn) -> None:
    """Let hosts wait, or skip them, by one statement."""
    assert fate.code is not None  # noqa: S101 (an offer is made to one host)
    if fate.trigger is None:
        await wait_all(tx, book, hosts, fate.code.value)
    else:
        message = _MESSAGES.get(fate.trigger, "")
        await end_all(tx, book, hosts, fate.trigger, DISPATCH, code=fate.code.value, message=message)


async def _one(
    tx: Tx,
    services: Services,
    book: Book,
    row: dict[str, Any],
    host: dict[str, Any],
    fate: Turn,
    release: ReleaseFacts,
) -> None:
    """Offer to one host, or end its turn."""
    if fate.code is not None and fate.trigger is not None:
        message = _MESSAGES.get(fate.trigger, "")
        await _end(tx, services, book, host, fate.trigger, fate.code, message)
    elif await claim(tx, book, host):
        sha256 = release.sha256_for(Platform.said(row["os"], row["arch"], row["abi"]))
        await _assign(tx, services, book, host, from_version=row["running"] or "", sha256=sha256)
    else:
        await note(tx, book, host, waiting=Code.UPDATE_IN_PROGRESS.value)


async def _end(
    tx: Tx, services: Services, book: Book, host: dict[str, Any], trigger: Trigger, code: Code, message: str = ""
) -> None:
    """End a host's turn; one that had an offer before is told that nothing is desired any more."""
    await move(tx, book, host, trigger, DISPATCH, code=code.value, message=message)
    if host["generation"] is not None:
        await desire(tx, services.sessions, book, host["agent_id"], "", DISPATCH, code=code.value)


async def _assign(
    tx: Tx, services: Services, book: Book, host: dict[str, Any], *, from_version: str, sha256: str
) -> None:
    """Write the assignment and move the host to OFFERED."""
    if host["generation"] is not None:
        await archive(tx, book, host)
    generation = await assign(tx, services.sessions, book, host, version_for(book, host), DISPATCH)
    await move(
        tx,
        book,
        host,
        Trigger.OFFER,
        DISPATCH,
        generation=generation,
        from_version=from_version,
        sha256=sha256,
        offered_at=tx.now,
        granted_at=None,
        attempted=False,
        code="",
        message="",
        step="",
        session_epoch=0,
        last_ask=0,
        deadline=deadline(AttemptState.OFFERED, tx.now, online=True),
    )


async def claim(tx: Tx, book: Book, host: dict[str, Any]) -> bool:
    """Take the product on this host for this rollout; False when another one has it, or takes it at this moment."""
    which = (
        CLAIM.c.agent_id == host["agent_id"],
        CLAIM.c.product == host["product"],
        CLAIM.c.fleet_id == host["fleet_id"],
    )
    values = {name: host[name] for name in ("agent_id", "product", "fleet_id")}
    await tx.execute(insert(CLAIM).values(**values, rollout_id=book.id).on_conflict_do_nothing())
    holder = (await tx.execute(sa.select(CLAIM.c.rollout_id).where(*which))).scalar_one_or_none()
    return bool(holder == book.id)


async def archive(tx: Tx, book: Book, host: dict[str, Any]) -> None:
    """Keep the attempt that a new generation replaces."""
    names = ("agent_id", "product", "generation", "fleet_id", "rollout_id", "code", "message", "from_version")
    values = {name: host[name] for name in (*names, "offered_at", "granted_at")} | {"state": told_as(host)}
    ended_at = host["ended_at"] or tx.now
    await tx.execute(sa.insert(HISTORY).values(**values, to_version=version_for(book, host), ended_at=ended_at))
