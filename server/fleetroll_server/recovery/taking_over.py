"""A host's attempts of the lost time: into their places where a rollout still means the host, else as orphans.

1. What the database knows in the same state, or as ended, is no news.
2. An attempt whose row stands behind is brought to its end: it had Go, and nobody here knows of it.
3. An attempt of a known rollout that had not offered yet, as far as this database knows, gets the host's place there.
4. Everything else is an orphan.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fleetroll_server.domain.assignments import Step, judge_hello
from fleetroll_server.domain.generations import MAX_GENERATION_SHOWN
from fleetroll_server.domain.states import BEFORE_GO, ENDED_ROLLOUT, FINAL, AttemptState, Trigger
from fleetroll_server.engine.actor import HOST as HOST_ACTOR
from fleetroll_server.engine.advance import go_on
from fleetroll_server.engine.book import ROLLOUT, open_book
from fleetroll_server.engine.desire import desired_as_shown
from fleetroll_server.engine.effects import is_over, take_step
from fleetroll_server.engine.moves import HOST, host_of, move
from fleetroll_server.engine.offers import archive, claim
from fleetroll_server.engine.targets import version_for
from fleetroll_server.recovery import orphans
from fleetroll_server.store.tables import ArtifactRow, AttemptHistoryRow, table_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fleetroll_server.domain.heard import Said
    from fleetroll_server.engine.book import Book
    from fleetroll_server.gateway.convert_out import Message
    from fleetroll_server.gateway.rules import Greeted
    from fleetroll_server.gateway.session import SessionKey
    from fleetroll_server.recovery.evidence import Kept, Shown
    from fleetroll_server.services import Services
    from fleetroll_server.store import Tx

ARTIFACT = table_of(ArtifactRow)
HISTORY = table_of(AttemptHistoryRow)

MAX_TAKEN = 200
"""Attempts that one hello brings in, once in an incarnation; of more the newest ones."""


async def take_over(
    tx: Tx, services: Services, hello: Greeted, shown: Shown, highest: Mapping[str, int]
) -> list[Message]:
    """Take in what a hello shows to this incarnation, oldest first; return what the host is to be told."""
    ended = {(one.said.product, one.said.generation): one for one in shown.evidence.outcomes}
    attempts = {name: one.said for name, one in ended.items()}
    attempts.update({(said.product, said.generation): said for said in hello.host.attempts})
    for name in sorted(attempts, key=lambda each: each[1])[-MAX_TAKEN:]:
        said = attempts[name]
        if said.local or not 0 < said.generation <= _believed(highest.get(said.product, 0)):
            continue
        await _one(tx, services, hello.key, said, ended.get(name), unconfirmed=shown.unconfirmed)
    answers = []
    for said in hello.host.attempts:
        orphan = await orphans.known_orphan(tx, hello.key, said.product, said.generation) if not said.local else None
        if orphan is not None and orphans.is_before_go(said):
            answers.append(await orphans.told_nothing(tx, hello.key, said.product, highest.get(said.product, 0)))
    return answers


def _believed(highest: int) -> int:
    """Return the highest generation that a host's attempts may have: its hello's own, where that can be."""
    return highest if highest <= MAX_GENERATION_SHOWN else 0


async def _one(
    tx: Tx, services: Services, key: SessionKey, said: Said, kept: Kept | None, *, unconfirmed: bool
) -> None:
    """Take one attempt in."""
    host = await host_of(tx, key.agent_id, key.fleet_id, said.product, said.generation)
    if host is None and (await _is_history(tx, key, said) or await orphans.known_orphan(tx, key, *_name(said))):
        return None
    ended_at = None if kept is None else kept.ended_at
    host = host or await _place(tx, key, said)
    book = None if host is None else await open_book(tx, host["rollout_id"], key.fleet_id)
    if host is None or book is None:
        return await orphans.keep(tx, key, said, unconfirmed=unconfirmed, ended_at=ended_at)
    before = host["state"]
    await _bring(tx, services, book, host, said)
    if host["state"] != before:
        await orphans.keep(tx, key, said, unconfirmed=unconfirmed, rollout_id=book.id, ended_at=ended_at)
    await go_on(tx, services, book)
    return None


async def _bring(tx: Tx, services: Services, book: Book, host: dict[str, Any], said: Said) -> None:
    """Let the host's row take the steps to what the host says; its Go is of the lost time, and nobody's fault."""
    if said.state in FINAL | {AttemptState.TRIAL} and AttemptState(host["state"]) in BEFORE_GO and _had_go(said):
        await _step(tx, services, book, host, replace(said, state=AttemptState.APPLYING, code=None, message=""))
    await _step(tx, services, book, host, said)


async def _step(tx: Tx, services: Services, book: Book, host: dict[str, Any], said: Said) -> None:
    judgement = judge_hello(AttemptState(host["state"]), said.state, code=said.code, is_open=book.has_queue)
    if isinstance(judgement, Step) and not is_over(book, host, said):
        await take_step(tx, services, book, host, said, replace(judgement, uncharged=False))


def _had_go(said: Said) -> bool:
    """Tell whether such an end follows a Go: what was cancelled or skipped had none, or gave it back."""
    return said.state not in {AttemptState.CANCELLED, AttemptState.SKIPPED, AttemptState.FAILED}


async def _place(tx: Tx, key: SessionKey, said: Said) -> dict[str, Any] | None:
    """Give the host the place in a rollout that the attempt was of, as the offer did; nothing where there is none."""
    query = (
        sa.select(HOST)
        .select_from(HOST.join(ROLLOUT, sa.and_(ROLLOUT.c.id == HOST.c.rollout_id, ROLLOUT.c.fleet_id == key.fleet_id)))
        .where(
            HOST.c.agent_id == key.agent_id,
            HOST.c.fleet_id == key.fleet_id,
            HOST.c.product == said.product,
            HOST.c.state == AttemptState.PENDING.value,
            sa.or_(HOST.c.generation.is_(None), HOST.c.generation < said.generation),
            ROLLOUT.c.state.not_in([state.value for state in ENDED_ROLLOUT]),
            sa.or_(
                HOST.c.target_sha256 == said.sha256,
                sa.and_(
                    HOST.c.target_sha256 == "",
                    ROLLOUT.c.release_id.in_(sa.select(ARTIFACT.c.release_id).where(ARTIFACT.c.sha256 == said.sha256)),
                ),
            ),
        )
        .order_by(ROLLOUT.c.created_at.desc())
        .limit(1)
    )
    row = (await tx.execute(query)).mappings().one_or_none()
    book = None if row is None else await open_book(tx, row["rollout_id"], key.fleet_id)
    if row is None or book is None:
        return None
    host = dict(row)
    if not await claim(tx, book, host):
        return None
    if host["generation"] is not None:
        await archive(tx, book, host)
    await desired_as_shown(tx, book, key.agent_id, version_for(book, host), said.generation, HOST_ACTOR)
    values = {"generation": said.generation, "sha256": said.sha256, "offered_at": tx.now, "granted_at": None}
    fresh = {"code": "", "message": "", "step": "", "session_epoch": 0, "last_ask": 0, "attempted": False}
    await move(tx, book, host, Trigger.OFFER, HOST_ACTOR, **values, **fresh)
    await book.write(tx)
    return host


async def _is_history(tx: Tx, key: SessionKey, said: Said) -> bool:
    """Tell whether a newer attempt of the same rollout has replaced this one: it is known."""
    query = sa.select(HISTORY.c.generation).where(
        HISTORY.c.agent_id == key.agent_id,
        HISTORY.c.fleet_id == key.fleet_id,
        HISTORY.c.product == said.product,
        HISTORY.c.generation == said.generation,
    )
    return (await tx.execute(query)).first() is not None


def _name(said: Said) -> tuple[str, int]:
    return said.product, said.generation
