"""Attempts that hosts have and that no rollout of this database knows: kept, charged, promoted; steered by nobody.

They were offered in the time that the database has lost. What is past Go holds its place in the budgets of its fleet
until it ends; a trial of a listed release is kept; what has not begun is told that nothing is desired any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fleetroll_common.values.codes import Code
from fleetroll_server.domain.budget import scopes_of_host
from fleetroll_server.domain.charges import holding_of_local
from fleetroll_server.domain.states import BEFORE_GO, FINAL, AttemptState
from fleetroll_server.engine.counting import free_generation
from fleetroll_server.engine.desire import ASSIGNMENT
from fleetroll_server.engine.holdings import hold, release_broken
from fleetroll_server.gateway.convert_out import assignment, promote
from fleetroll_server.recovery.minting import ACTOR
from fleetroll_server.store.tables import ArtifactRow, HostProductRow, ImportedAttemptRow, ReleaseRow, table_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import RowMapping

    from fleetroll_server.domain.heard import Said
    from fleetroll_server.gateway.convert_out import Message
    from fleetroll_server.gateway.session import SessionKey
    from fleetroll_server.services import Services
    from fleetroll_server.store import Tx

ARTIFACT = table_of(ArtifactRow)
IMPORTED = table_of(ImportedAttemptRow)
PRODUCT = table_of(HostProductRow)
RELEASE = table_of(ReleaseRow)
FORGOTTEN = "the host came back without any memory of it"


async def keep(
    tx: Tx,
    key: SessionKey,
    said: Said,
    *,
    unconfirmed: bool,
    rollout_id: str = "",
    ended_at: datetime | None = None,
) -> None:
    """Write an attempt that a host has shown; its place in a rollout is that rollout's, and charged there."""
    state = said.state
    values = {
        "state": state.value,
        "sha256": said.sha256,
        "code": str(said.code or ""),
        "message": said.message,
        "unproven": said.unproven,
        "ended_at": (ended_at or tx.now) if state in FINAL else None,
    }
    which = _which(key, said.product, said.generation)
    known = (await tx.execute(sa.select(IMPORTED).where(*which))).mappings().one_or_none()
    if known is None:
        keys = {"agent_id": key.agent_id, "product": said.product, "generation": said.generation}
        facts = {"unconfirmed": unconfirmed, "rollout_id": rollout_id, "version": await _version(tx, said)}
        row = {**keys, "fleet_id": key.fleet_id, **facts, **values, "imported_at": tx.now}
        await tx.execute(sa.insert(IMPORTED).values(**row))
    elif AttemptState(known["state"]) not in FINAL:
        await tx.execute(sa.update(IMPORTED).where(*which).values(**values))
        rollout_id = known["rollout_id"]
    else:
        return
    if not rollout_id:
        await _settle(tx, key, said.product, said.generation, state)


async def known_orphan(tx: Tx, key: SessionKey, product: str, generation: int) -> RowMapping | None:
    """Return an attempt that was taken over and has no place in a rollout."""
    which = (*_which(key, product, generation), IMPORTED.c.rollout_id == "")
    return (await tx.execute(sa.select(IMPORTED).where(*which))).mappings().one_or_none()


async def reported(tx: Tx, services: Services, key: SessionKey, said: Said) -> bool:
    """Take in a report of an orphan; False where it is none."""
    known = await known_orphan(tx, key, said.product, said.generation)
    if known is None:
        return False
    await keep(tx, key, said, unconfirmed=known["unconfirmed"])
    if said.running_version and said.state in FINAL:
        values: dict[str, Any] = {"version": said.running_version, "on_trial": False}
        await tx.execute(sa.update(PRODUCT).where(*_product(key, said.product)).values(**values))
    message = await promotion(tx, key, said)
    if message is not None:
        tx.after_commit(lambda: services.sessions.send(key.agent_id, message))
    return True


async def shown(tx: Tx, key: SessionKey, attempts: Sequence[Said], well: Collection[str]) -> list[Message]:
    """Bring the orphans of a host to what its hello shows; return permits to keep what is on trial.

    Args:
        tx: the hello's transaction.
        key: the host.
        attempts: as shown.
        well: products that are healthy and not on trial: what is past Go there and not shown is forgotten.
    """
    mine = (IMPORTED.c.agent_id == key.agent_id, IMPORTED.c.fleet_id == key.fleet_id)
    open_now = (*mine, IMPORTED.c.rollout_id == "", IMPORTED.c.ended_at.is_(None))
    rows = (await tx.execute(sa.select(IMPORTED).where(*open_now))).mappings().all()
    answers: list[Message] = []
    for row in rows:
        said = next((one for one in attempts if (one.product, one.generation) == _name(row)), None)
        if said is not None:
            await keep(tx, key, said, unconfirmed=row["unconfirmed"])
            message = await promotion(tx, key, said)
            answers.extend([message] if message is not None else [])
        elif row["product"] in well:
            end = {"state": AttemptState.FAILED.value, "code": Code.NEVER_CAME_BACK.value, "message": FORGOTTEN}
            which = _which(key, row["product"], row["generation"])
            await tx.execute(sa.update(IMPORTED).where(*which).values(**end, ended_at=tx.now))
            await _settle(tx, key, row["product"], row["generation"], AttemptState.FAILED)
            await release_broken(tx, key.agent_id, key.fleet_id, row["product"])
    return answers


async def promotion(tx: Tx, key: SessionKey, said: Said) -> Message | None:
    """Return the permit to keep what is on trial, where exactly that runs and is listed."""
    if said.state is not AttemptState.TRIAL or not said.sha256:
        return None
    running = (await tx.execute(sa.select(PRODUCT).where(*_product(key, said.product)))).mappings().one_or_none()
    if running is None or not running["on_trial"] or running["sha256"] != said.sha256:
        return None
    listed = sa.select(RELEASE.c.id).where(
        RELEASE.c.id == ARTIFACT.c.release_id,
        ARTIFACT.c.sha256 == said.sha256,
        RELEASE.c.product == said.product,
        RELEASE.c.version == running["version"],
        RELEASE.c.listed.is_(True),
    )
    if (await tx.execute(listed.limit(1))).first() is None:
        return None
    return promote(said.product, said.generation, said.sha256)


async def told_nothing(tx: Tx, key: SessionKey, product: str, highest: int) -> Message:
    """Say under a new generation that nothing is desired: a host would wait for Go for ever otherwise."""
    mine = (ASSIGNMENT.c.agent_id == key.agent_id, ASSIGNMENT.c.fleet_id == key.fleet_id)
    which = (*mine, ASSIGNMENT.c.product == product)
    known = (await tx.execute(sa.select(ASSIGNMENT).where(*which).with_for_update())).mappings().one_or_none()
    stored = 0 if known is None else known["generation"]
    generation = await free_generation(tx, key.agent_id, key.fleet_id, product, stored, highest)
    row: dict[str, Any] = {
        "agent_id": key.agent_id,
        "product": product,
        "fleet_id": key.fleet_id,
        "version": "",
        "generation": generation,
        "rollout_id": "",
        "not_after": None,
        "soak_seconds": 0.0,
        "lease_seconds": 0.0,
        "max_attempts": 0,
        "recall": False,
        "retry_bad": False,
        "excused": False,
        "excuse_owed": "" if known is None else known["excuse_owed"],
        "actor_kind": ACTOR.kind,
        "actor_id": ACTOR.id,
        "reason": "the database went back",
        "code": Code.RECOVERY.value,
        "decided_at": tx.now,
    }
    await tx.execute(sa.delete(ASSIGNMENT).where(*which))
    await tx.execute(sa.insert(ASSIGNMENT).values(**row))
    return assignment(row)


def is_before_go(said: Said) -> bool:
    """Tell whether the attempt has not begun to change anything on its host."""
    return said.state in BEFORE_GO


async def _settle(tx: Tx, key: SessionKey, product: str, generation: int, state: AttemptState) -> None:
    """Hold what the state holds of the wide budgets."""
    if state in BEFORE_GO:
        return
    charged = {"agent_id": key.agent_id, "product": product, "fleet_id": key.fleet_id, "generation": generation}
    await hold(tx, charged, scopes_of_host(key.fleet_id), holding_of_local(state))
    if state is AttemptState.SUCCEEDED:
        await release_broken(tx, key.agent_id, key.fleet_id, product)


async def _version(tx: Tx, said: Said) -> str:
    """Return the version that the artefact is of; empty where it is not known here."""
    query = sa.select(RELEASE.c.version).where(
        RELEASE.c.id == ARTIFACT.c.release_id, ARTIFACT.c.sha256 == said.sha256, RELEASE.c.product == said.product
    )
    found: str | None = (await tx.execute(query.limit(1))).scalar_one_or_none()
    return found or ""


def _name(row: Mapping[Any, Any]) -> tuple[str, int]:
    return row["product"], row["generation"]


def _which(key: SessionKey, product: str, generation: int) -> tuple[sa.ColumnElement[bool], ...]:
    mine = (IMPORTED.c.agent_id == key.agent_id, IMPORTED.c.fleet_id == key.fleet_id)
    return (*mine, IMPORTED.c.product == product, IMPORTED.c.generation == generation)


def _product(key: SessionKey, product: str) -> tuple[sa.ColumnElement[bool], ...]:
    return PRODUCT.c.agent_id == key.agent_id, PRODUCT.c.product == product, PRODUCT.c.fleet_id == key.fleet_id
