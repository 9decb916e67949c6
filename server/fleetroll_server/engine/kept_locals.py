"""What is kept of attempts that were started on hosts: the newest of each product, as their last report left them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fleetroll_server.domain.deadlines import deadline
from fleetroll_server.domain.states import FINAL, PAST_GO, AttemptState
from fleetroll_server.store.tables import ArtifactRow, LocalAttemptRow, ReleaseRow, table_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from fleetroll_server.domain.heard import Said
    from fleetroll_server.gateway.session import SessionKey
    from fleetroll_server.store.tx import Tx

ARTIFACT = table_of(ArtifactRow)
LOCAL = table_of(LocalAttemptRow)
RELEASE = table_of(ReleaseRow)
KEPT = 50
"""Of each product of a host: as many as are shown."""


async def keep(tx: Tx, key: SessionKey, said: Said, running: str) -> dict[str, Any]:
    """Write what a host says of an attempt; return its row.

    Args:
        tx: the transaction of the report, or of the hello.
        key: the host.
        said: its word.
        running: the version that ran before it.
    """
    known = await _known(tx, key, said)
    target = await _target(tx, said)
    values = {
        "state": said.state.value,
        "step": said.step,
        "code": str(said.code or ""),
        "message": said.message,
        "output_tail": said.output_tail,
        "unproven": said.unproven,
        "changed_at": tx.now,
        "ended_at": tx.now if said.state in FINAL else None,
        "deadline": _deadline(said, tx.now),
        **({"to_version": target} if target else {}),
    }
    if known is not None:
        await tx.execute(sa.update(LOCAL).where(*_which(key, said.product, said.local)).values(**values))
        return {**known, **values}
    await tx.execute(sa.delete(LOCAL).where(*_which(key, said.product, said.local)))
    keys = {"agent_id": key.agent_id, "fleet_id": key.fleet_id, "product": said.product, "number": said.local}
    row = {**keys, "from_version": running, "to_version": "", **values, "started_at": tx.now}
    await tx.execute(sa.insert(LOCAL).values(**row))
    await _forget_old(tx, key, said.product)
    return row


async def keep_shown(tx: Tx, key: SessionKey, said: Said, running: str) -> tuple[dict[str, Any], bool]:
    """Write what a hello shows of an attempt that goes on; return its row, and whether its state is another one.

    A hello has fewer words than the reports of the same step: theirs stand. Arguments as of :func:`keep`.
    """
    known = await _known(tx, key, said)
    if known is None or known["state"] != said.state.value:
        return await keep(tx, key, said, running), True
    values = {"deadline": _deadline(said, tx.now)}
    await tx.execute(sa.update(LOCAL).where(*_which(key, said.product, said.local)).values(**values))
    return {**known, **values}, False


def _deadline(said: Said, now: datetime) -> datetime | None:
    """Return until when the host has to speak again, as after any Go; before its first step it may take its time."""
    return deadline(said.state, now, online=False, announced=said.time_limit) if said.state in PAST_GO else None


async def _known(tx: Tx, key: SessionKey, said: Said) -> Mapping[Any, Any] | None:
    """Return the attempt; nothing where its number is an older one's, as after the loss of a host's records."""
    row = (await tx.execute(sa.select(LOCAL).where(*_which(key, said.product, said.local)))).mappings().one_or_none()
    return None if row is None or (row["ended_at"] is not None and said.state not in FINAL) else row


async def _target(tx: Tx, said: Said) -> str:
    """Return the version that the attempt is to bring: of the artefact, or what runs by it."""
    if said.state is AttemptState.SUCCEEDED and said.running_version:
        return said.running_version
    if not said.sha256:
        return ""
    query = (
        sa.select(RELEASE.c.version)
        .where(
            RELEASE.c.id == ARTIFACT.c.release_id, ARTIFACT.c.sha256 == said.sha256, RELEASE.c.product == said.product
        )
        .limit(1)
    )
    return (await tx.execute(query)).scalar_one_or_none() or ""


async def _forget_old(tx: Tx, key: SessionKey, product: str) -> None:
    """Drop what is older than those that are kept."""
    mine = (LOCAL.c.agent_id == key.agent_id, LOCAL.c.fleet_id == key.fleet_id, LOCAL.c.product == product)
    oldest = sa.select(LOCAL.c.started_at).where(*mine).order_by(LOCAL.c.started_at.desc()).offset(KEPT - 1).limit(1)
    limit = (await tx.execute(oldest)).scalar_one_or_none()
    if limit is not None:
        await tx.execute(sa.delete(LOCAL).where(*mine, LOCAL.c.started_at < limit))


def _which(key: SessionKey, product: str, number: int) -> tuple[sa.ColumnElement[bool], ...]:
    mine = (LOCAL.c.agent_id == key.agent_id, LOCAL.c.fleet_id == key.fleet_id)
    return (*mine, LOCAL.c.product == product, LOCAL.c.number == number)
