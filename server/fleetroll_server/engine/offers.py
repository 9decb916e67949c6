"""Offers: the next pending hosts of a wave get their assignment, or the reason why not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fleetroll_common.values.codes import Code
from fleetroll_server.domain.deadlines import deadline
from fleetroll_server.domain.limits import OfflinePolicy
from fleetroll_server.domain.states import AttemptState, Trigger
from fleetroll_server.engine.actor import DISPATCH
from fleetroll_server.engine.desire import desire
from fleetroll_server.engine.moves import move, note
from fleetroll_server.engine.suspended import is_suspended
from fleetroll_server.store.tables import (
    AgentRow,
    ArtifactRow,
    AttemptHistoryRow,
    ClaimRow,
    HostProductRow,
    RolloutHostRow,
    table_of,
)

if TYPE_CHECKING:
    from fleetroll_server.engine.book import Book, Wave
    from fleetroll_server.services import Services
    from fleetroll_server.store.tx import Tx

HOST = table_of(RolloutHostRow)
AGENT = table_of(AgentRow)
PRODUCT = table_of(HostProductRow)
ARTIFACT = table_of(ArtifactRow)
CLAIM = table_of(ClaimRow)
HISTORY = table_of(AttemptHistoryRow)

AT_ONCE = 200
"""Hosts per transaction: a wave of 100,000 hosts must not hold the writer for longer than some milliseconds."""


async def offer_next(tx: Tx, services: Services, book: Book, wave: Wave, count: int) -> bool:
    """Offer to at most ``count`` pending hosts in their stored order; False when none could be touched."""
    if await is_suspended(tx, book.fleet_id):
        return False
    hosts = await _pending(tx, book, wave, min(count, AT_ONCE))
    artifacts = await _artifacts(tx, book)
    for host in hosts:
        await _offer(tx, services, book, host, artifacts)
    return bool(hosts)


async def _pending(tx: Tx, book: Book, wave: Wave, count: int) -> list[dict[str, Any]]:
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
            HOST.c.wave == wave.number,
            HOST.c.state == AttemptState.PENDING.value,
            HOST.c.waiting == "",
        )
        .order_by(HOST.c.position)
        .limit(count)
    )
    return [dict(row) for row in (await tx.execute(query)).mappings()]


async def _offer(
    tx: Tx, services: Services, book: Book, row: dict[str, Any], artifacts: dict[tuple[str, str, str], tuple[str, int]]
) -> None:
    """Offer to one host, skip it by name, or let it wait."""
    host = {column.name: row[column.name] for column in HOST.columns}
    artifact = artifacts.get((row["os"], row["arch"], row["abi"]))
    if row["revoked"]:
        await _end(tx, services, book, host, Trigger.SKIP, Code.HOST_REVOKED)
    elif row["running"] == book.row["version"]:
        await _end(tx, services, book, host, Trigger.SKIP, Code.ALREADY_AT_TARGET)
    elif artifact is None:
        await _end(tx, services, book, host, Trigger.SKIP, Code.NO_ARTIFACT)
    elif row["quarantined"]:
        await note(tx, book, host, waiting=Code.QUARANTINED.value)
    elif not row["server_id"]:
        await _offline(tx, services, book, host)
    elif not await _claim(tx, book, host):
        await note(tx, book, host, waiting=Code.UPDATE_IN_PROGRESS.value)
    else:
        await _assign(tx, services, book, host, from_version=row["running"] or "", sha256=artifact[0])


async def _offline(tx: Tx, services: Services, book: Book, host: dict[str, Any]) -> None:
    """Let the offline policy alone judge a host that is not there."""
    policy = book.limits.offline_policy
    if policy is OfflinePolicy.SKIP:
        await _end(tx, services, book, host, Trigger.SKIP, Code.HOST_OFFLINE)
    elif policy is OfflinePolicy.FAIL:
        code, message = Code.HOST_OFFLINE_AT_DISPATCH, "offline when its turn came"
        await _end(tx, services, book, host, Trigger.FAIL, code, message)
    else:
        await note(tx, book, host, waiting=Code.HOST_OFFLINE.value)


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
        await _archive(tx, book, host)
    generation = await desire(
        tx, services.sessions, book, host["agent_id"], book.row["version"], DISPATCH, reason=book.row["reason"]
    )
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


async def _claim(tx: Tx, book: Book, host: dict[str, Any]) -> bool:
    """Take the product on this host for this rollout; False when another one has it."""
    which = (
        CLAIM.c.agent_id == host["agent_id"],
        CLAIM.c.product == host["product"],
        CLAIM.c.fleet_id == host["fleet_id"],
    )
    holder = (await tx.execute(sa.select(CLAIM.c.rollout_id).where(*which))).scalar_one_or_none()
    if holder is not None:
        return bool(holder == book.id)
    values = {name: host[name] for name in ("agent_id", "product", "fleet_id")}
    await tx.execute(sa.insert(CLAIM).values(**values, rollout_id=book.id))
    return True


async def _archive(tx: Tx, book: Book, host: dict[str, Any]) -> None:
    """Keep the attempt that a new generation replaces."""
    names = ("agent_id", "product", "generation", "fleet_id", "rollout_id", "state", "code", "message", "from_version")
    values = {name: host[name] for name in (*names, "offered_at", "granted_at")}
    await tx.execute(sa.insert(HISTORY).values(**values, to_version=book.row["version"], ended_at=tx.now))


async def _artifacts(tx: Tx, book: Book) -> dict[tuple[str, str, str], tuple[str, int]]:
    """Return hash and length of the release's artefacts by platform."""
    query = sa.select(ARTIFACT).where(ARTIFACT.c.release_id == book.row["release_id"])
    rows = (await tx.execute(query)).mappings()
    return {(row["os"], row["arch"], row["abi"]): (row["sha256"], row["length"]) for row in rows}
