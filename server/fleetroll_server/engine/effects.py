"""What a host's word does: the step, its facts, the deadline that follows, and what must be told at once."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fleetroll_server.domain.deadlines import deadline
from fleetroll_server.domain.states import BEFORE_GO, FINAL, AttemptState, Trigger
from fleetroll_server.engine.actor import HOST
from fleetroll_server.engine.moves import move
from fleetroll_server.store.tables import ArtifactRow, HostProductRow, table_of

if TYPE_CHECKING:
    from datetime import datetime

    from fleetroll_server.domain.assignments import Step
    from fleetroll_server.domain.heard import Said
    from fleetroll_server.engine.book import Book
    from fleetroll_server.services import Services
    from fleetroll_server.store.tx import Tx

PRODUCT = table_of(HostProductRow)
ARTIFACT = table_of(ArtifactRow)


async def take_step(tx: Tx, services: Services, book: Book, host: dict[str, Any], said: Said, step: Step) -> None:
    """Move the host as it said, and write what it said beside it."""
    if step.uncharged:
        tx.emit(book.event("alert.go_without_grant", HOST, agent_id=host["agent_id"], message=said.state.value))
    if step.late:
        tx.emit(book.event("alert.rolled_back_late", HOST, agent_id=host["agent_id"], message=said.message))
    values: dict[str, Any] = {"late": step.late}
    if said.code is not None or said.state in FINAL:
        values.update(code=str(said.code or ""), message=said.message, output_tail=said.output_tail)
    if said.state is AttemptState.APPLYING:
        values["step"] = said.step
    if said.state is AttemptState.ROLLED_BACK:
        values["unproven"] = said.unproven
    if step.trigger in {Trigger.STAGE, Trigger.DOWNLOAD, Trigger.OFFER, Trigger.REQUEUE}:
        values.update(granted_at=None, attempted=False)
    values["deadline"] = await _deadline(tx, services, book, host, said)
    await move(tx, book, host, step.trigger, HOST, **values)
    host["deadline"] = values["deadline"] if AttemptState(host["state"]) not in FINAL else None
    if said.running_version:
        await _runs(tx, host, said)


def is_over(book: Book, host: dict[str, Any], said: Said) -> bool:
    """Tell whether a late host speaks of an attempt before Go that its rollout, now ended, has let go of."""
    return not book.is_open and host["state"] == AttemptState.PENDING.value and said.state in BEFORE_GO


async def _deadline(tx: Tx, services: Services, book: Book, host: dict[str, Any], said: Said) -> datetime | None:
    """Return when the time of the state that the host entered is over."""
    online = services.sessions.is_online(host["agent_id"])
    size = 0
    if said.state in {AttemptState.OFFERED, AttemptState.DOWNLOADING}:
        query = sa.select(sa.func.max(ARTIFACT.c.length)).where(ARTIFACT.c.release_id == book.row["release_id"])
        size = (await tx.execute(query)).scalar_one_or_none() or 0
    state = AttemptState.DOWNLOADING if said.state is AttemptState.OFFERED else said.state
    announced = said.time_limit
    if state is AttemptState.TRIAL and announced is None:
        announced = timedelta(seconds=book.limits.lease_seconds + book.limits.soak_seconds)
    if state is AttemptState.SOAKING and announced is None:
        announced = timedelta(seconds=book.limits.soak_seconds)
    return deadline(state, tx.now, online=online, size_bytes=size, announced=announced)


async def _runs(tx: Tx, host: dict[str, Any], said: Said) -> None:
    """Write which version runs after the step."""
    which = (
        PRODUCT.c.agent_id == host["agent_id"],
        PRODUCT.c.product == host["product"],
        PRODUCT.c.fleet_id == host["fleet_id"],
    )
    values: dict[str, Any] = {"version": said.running_version}
    if said.state is AttemptState.SUCCEEDED:
        values.update(last_success_at=tx.now, on_trial=False, sha256=said.sha256 or host["sha256"])
    await tx.execute(sa.update(PRODUCT).where(*which).values(**values))
