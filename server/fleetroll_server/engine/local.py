"""Attempts that were started on a host: told to watchers, shown as local, charged, a new agent kept; steered by nobody.

Root on the host is the authority. The server learns what came of it: which version runs, and an alert when it is bad. A
new version of the agent itself is promoted by the same rules as any other: a session of what runs, its digest listed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fleetroll_common.values.ids import local_attempt_id
from fleetroll_server.domain.states import BAD, FINAL, AttemptState
from fleetroll_server.engine import kept_locals, local_charges
from fleetroll_server.gateway.convert_out import promote
from fleetroll_server.store import EventFact
from fleetroll_server.store.tables import ArtifactRow, HostProductRow, ReleaseRow, table_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fleetroll_server.domain.heard import HostSaid, Said
    from fleetroll_server.gateway.convert_out import Message
    from fleetroll_server.gateway.session import SessionKey
    from fleetroll_server.services import Services
    from fleetroll_server.store.tx import Tx

ARTIFACT = table_of(ArtifactRow)
PRODUCT = table_of(HostProductRow)
RELEASE = table_of(ReleaseRow)
KIND = "agent-local"


async def reported(tx: Tx, services: Services, key: SessionKey, said: Said) -> None:
    """Take in a report of an attempt that was started on the host."""
    row = (await tx.execute(sa.select(PRODUCT).where(*_which(key, said.product)))).mappings().one_or_none()
    if row is not None:  # nothing is kept of what the host does not say that it keeps
        await local_charges.settle(tx, await kept_locals.keep(tx, key, said, row["version"]))
    facts = {"agent_id": key.agent_id, "fleet_id": key.fleet_id, "product": said.product, "number": said.local}
    words = {"state": said.state.value, "step": said.step, "code": str(said.code or ""), "message": said.message}
    tell(tx, facts | words)
    if said.running_version:
        values: dict[str, object] = {"version": said.running_version}
        if said.state is AttemptState.SUCCEEDED:
            values.update(on_trial=False, healthy=True, last_success_at=tx.now, sha256=said.sha256)
        elif said.state is AttemptState.ROLLBACK_FAILED:
            values.update(healthy=False)
        await tx.execute(sa.update(PRODUCT).where(*_which(key, said.product)).values(**values))
    message = await promotion(tx, key, said)
    if message is not None:
        tx.after_commit(lambda: services.sessions.send(key.agent_id, message))


async def shown(tx: Tx, key: SessionKey, host: HostSaid) -> bool:
    """Take in what a hello shows of attempts that were started on the host; tell whether anything is new in it.

    Of those that have ended the reports follow: they have all words.
    """
    query = sa.select(PRODUCT.c.product, PRODUCT.c.version)
    mine = (PRODUCT.c.agent_id == key.agent_id, PRODUCT.c.fleet_id == key.fleet_id)
    versions = {row.product: row.version for row in (await tx.execute(query.where(*mine))).all()}
    changed = await local_charges.reconcile(tx, key, host)
    for said in host.attempts:
        if said.local and said.state not in FINAL and said.product in versions:
            row, moved = await kept_locals.keep_shown(tx, key, said, versions[said.product])
            await local_charges.settle(tx, row)
            changed = changed or moved
    return changed


async def promotion(tx: Tx, key: SessionKey, said: Said) -> Message | None:
    """Return the permit to keep what a local attempt has on trial; None where it is not due."""
    if said.state is not AttemptState.TRIAL or not said.local:
        return None
    row = (await tx.execute(sa.select(PRODUCT).where(*_which(key, said.product)))).mappings().one_or_none()
    if row is None or not row["on_trial"] or row["sha256"] != said.sha256 or not said.sha256:
        return None
    listed = sa.select(RELEASE.c.id).where(
        RELEASE.c.id == ARTIFACT.c.release_id, ARTIFACT.c.sha256 == said.sha256, RELEASE.c.listed.is_(True)
    )
    if (await tx.execute(listed.limit(1))).first() is None:
        return None
    return promote(said.product, 0, said.sha256, said.local)


def _which(key: SessionKey, product: str) -> tuple[sa.ColumnElement[bool], ...]:
    return (PRODUCT.c.agent_id == key.agent_id, PRODUCT.c.product == product, PRODUCT.c.fleet_id == key.fleet_id)


def tell(tx: Tx, row: Mapping[str, Any]) -> None:
    """Record a step of an attempt for watchers. ``row``: as it is kept, its keys and words at least."""
    state = AttemptState(row["state"])
    step = f" {row['step']}" if row["step"] else ""
    tx.emit(
        EventFact(
            fleet_id=row["fleet_id"],
            kind="alert.local_attempt_failed" if state in BAD else "attempt.local",
            actor_kind=KIND,
            actor_id=f"local:{row['number']}",
            code=row["code"],
            agent_id=row["agent_id"],
            attempt_id=local_attempt_id(row["agent_id"], row["product"], row["number"]),
            attempt_state=state.value,
            message=f"{row['product']}: {state.value}{step} {row['message']}".rstrip()[:2000],
        )
    )
