"""Offers: the next pending hosts of a wave get their assignment, or the reason why not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert  # SQLite compiles its ON CONFLICT DO NOTHING alike

from fleetroll_common.values.codes import Code
from fleetroll_common.values.platform import Platform
from fleetroll_common.values.release import AGENT as AGENT_PRODUCT
from fleetroll_server.domain.deadlines import OFFLINE_SECONDS, deadline
from fleetroll_server.domain.limits import OfflinePolicy
from fleetroll_server.domain.states import AttemptState, RolloutState, Trigger
from fleetroll_server.domain.supported import is_below
from fleetroll_server.engine import late
from fleetroll_server.engine.actor import DISPATCH
from fleetroll_server.engine.crowd import Room, end_all, wait_all
from fleetroll_server.engine.desire import desire
from fleetroll_server.engine.excusing import told_as
from fleetroll_server.engine.moves import move, note
from fleetroll_server.engine.suspended import is_suspended
from fleetroll_server.store.tables import (
    AgentRow,
    ArtifactRow,
    AttemptHistoryRow,
    ClaimRow,
    HostProductRow,
    ReleaseRow,
    RolloutHostRow,
    table_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from fleetroll_server.engine.book import Book, Wave
    from fleetroll_server.services import Services
    from fleetroll_server.store.tx import Tx

HOST = table_of(RolloutHostRow)
AGENT = table_of(AgentRow)
PRODUCT = table_of(HostProductRow)
ARTIFACT = table_of(ArtifactRow)
CLAIM = table_of(ClaimRow)
RELEASE = table_of(ReleaseRow)
HISTORY = table_of(AttemptHistoryRow)


@dataclass(frozen=True, slots=True)
class Fate:
    """What a host's turn brings.

    Attributes:
        trigger: its step; none where it waits.
        code: why it is skipped, fails or waits; none for an offer.
        sha256: of the artefact that it is offered.
    """

    trigger: Trigger | None
    code: Code | None = None
    sha256: str = ""

    def is_for_all(self, host: dict[str, Any]) -> bool:
        """Tell whether one statement does it for many: no word to the host, and no bad end."""
        no_word = self.trigger in {Trigger.SKIP, Trigger.CANCEL} and host["generation"] is None
        return self.trigger is None or no_word


@dataclass(frozen=True, slots=True)
class Offered:
    """A release: hashes of its artefacts by what they are built for, and the oldest version that it updates."""

    artifacts: Mapping[Platform, str]
    supported_from: str

    def sha256_for(self, row: Mapping[str, Any]) -> str:
        """Return the artefact that fits a host best; empty for none."""
        told = Platform.said(row["os"], row["arch"], row["abi"])
        fits = told.candidates() if told is not None else ()
        return next((self.artifacts[one] for one in fits if one in self.artifacts), "")


_OFFLINE = {
    OfflinePolicy.SKIP: Fate(Trigger.SKIP, Code.HOST_OFFLINE),
    OfflinePolicy.FAIL: Fate(Trigger.FAIL, Code.HOST_OFFLINE_AT_DISPATCH),
    OfflinePolicy.WAIT: Fate(None, Code.HOST_OFFLINE),
}
"""The offline policy alone judges a host that is not there; late ones wait, whatever it says."""
_RETURNING = Fate(None, Code.HOST_OFFLINE)
"""It may be on its way back: no policy judges it, and no wave passes without it, before it is offline."""
_CHECKS_IN = Fate(None, Code.CHECK_IN)
_MESSAGES = {Trigger.FAIL: "offline when its turn came", Trigger.CANCEL: late.NEWER}
_SUPERSEDED = Fate(Trigger.CANCEL, Code.SUPERSEDED)


async def offer_next(tx: Tx, services: Services, book: Book, wave: Wave | None, count: int, room: Room) -> bool:
    """Go through pending hosts in their stored order until ``count`` have their offer; False when there was none.

    Without a ``wave`` those of all waves: late ones.

    Hosts that only wait, or never had an offer and are skipped, are noted by a statement for all of them: most of a
    fleet may be offline.
    """
    if await is_suspended(tx, book.fleet_id):
        return False
    rows = await _pending(tx, book, wave, min(room.crowd, max(count, room.reach)))
    room.reach = 2 * len(rows)
    release, held = await _offered(tx, book), await _held(tx, book, rows)
    elsewhere = await late.superseded(tx, book, [row["agent_id"] for row in rows])
    crowds: dict[Fate, list[dict[str, Any]]] = {}
    left = min(count, room.single)
    for row in rows:
        fate = _SUPERSEDED if row["agent_id"] in elsewhere else _fate(book, row, release, held, tx.now)
        if fate is _RETURNING:
            book.wave(row["wave"]).left(row["online_until"] - timedelta(seconds=OFFLINE_SECONDS))
        host = {column.name: row[column.name] for column in HOST.columns}
        if fate.is_for_all(host):
            crowds.setdefault(fate, []).append(host)
        elif left:
            await _one(tx, services, book, row, host, fate)
            left, room.single = left - 1, room.single - 1
        else:
            break
        room.crowd -= 1
    for fate, hosts in crowds.items():
        await _all(tx, book, hosts, fate)
    return bool(rows)


async def _pending(tx: Tx, book: Book, wave: Wave | None, count: int) -> list[dict[str, Any]]:
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


async def _held(tx: Tx, book: Book, rows: list[dict[str, Any]]) -> frozenset[str]:
    """Return which of these hosts another rollout holds."""
    query = sa.select(CLAIM.c.agent_id).where(
        CLAIM.c.agent_id.in_([row["agent_id"] for row in rows]),
        CLAIM.c.product == book.row["product"],
        CLAIM.c.fleet_id == book.fleet_id,
        CLAIM.c.rollout_id != book.id,
    )
    return frozenset((await tx.execute(query)).scalars())


def _fate(book: Book, row: dict[str, Any], release: Offered, held: frozenset[str], now: datetime) -> Fate:
    """Return what a host's turn brings: an offer, an end by name, or the reason to wait."""
    code = _skipped(book, row, release)
    if code is not None:
        return Fate(Trigger.SKIP, code)
    if row["quarantined"]:
        return Fate(None, Code.QUARANTINED)
    if not row["server_id"]:
        return _away(book, row, now)
    if row["agent_id"] in held:
        return Fate(None, Code.UPDATE_IN_PROGRESS)
    return Fate(Trigger.OFFER, sha256=release.sha256_for(row))


def _skipped(book: Book, row: dict[str, Any], release: Offered) -> Code | None:
    """Return why a host is left out for good."""
    reasons = (
        (row["revoked"], Code.HOST_REVOKED),
        (row["running"] is None and row["product"] != AGENT_PRODUCT, Code.NOT_OPTED_IN),
        (row["running"] == book.row["version"], Code.ALREADY_AT_TARGET),
        (not release.sha256_for(row), Code.NO_ARTIFACT),
        (is_below(row["running"] or "", release.supported_from), Code.BELOW_SUPPORTED),
    )
    return next((code for holds, code in reasons if holds), None)


def _away(book: Book, row: dict[str, Any], now: datetime) -> Fate:
    """Return what the turn of a host without a session brings."""
    if row["online_until"] is not None and row["online_until"] > now:
        return _CHECKS_IN if row["check_in_seconds"] else _RETURNING
    late_one = book.state is RolloutState.COMPLETED
    return _OFFLINE[OfflinePolicy.WAIT if late_one else book.limits.offline_policy]


async def _all(tx: Tx, book: Book, hosts: list[dict[str, Any]], fate: Fate) -> None:
    """Let hosts wait, or skip them, by one statement."""
    assert fate.code is not None  # noqa: S101 (an offer is made to one host)
    if fate.trigger is None:
        await wait_all(tx, book, hosts, fate.code.value)
    else:
        message = _MESSAGES.get(fate.trigger, "")
        await end_all(tx, book, hosts, fate.trigger, DISPATCH, code=fate.code.value, message=message)


async def _one(tx: Tx, services: Services, book: Book, row: dict[str, Any], host: dict[str, Any], fate: Fate) -> None:
    """Offer to one host, or end its turn."""
    if fate.code is not None and fate.trigger is not None:
        message = _MESSAGES.get(fate.trigger, "")
        await _end(tx, services, book, host, fate.trigger, fate.code, message)
    elif await claim(tx, book, host):
        await _assign(tx, services, book, host, from_version=row["running"] or "", sha256=fate.sha256)
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
    await tx.execute(sa.insert(HISTORY).values(**values, to_version=book.row["version"], ended_at=tx.now))


async def _offered(tx: Tx, book: Book) -> Offered:
    """Return what is offered."""
    query = (
        sa.select(ARTIFACT, RELEASE.c.supported_from)
        .join(RELEASE, RELEASE.c.id == ARTIFACT.c.release_id)
        .where(ARTIFACT.c.release_id == book.row["release_id"])
    )
    rows = (await tx.execute(query)).mappings().all()
    artifacts = {Platform(row["os"], row["arch"], row["abi"]): row["sha256"] for row in rows}
    return Offered(artifacts, next((row["supported_from"] for row in rows), ""))
