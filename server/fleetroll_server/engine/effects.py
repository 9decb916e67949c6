"""What a host's word does: the step, its facts, the deadline that follows, and what must be told at once."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fleetroll_server.domain.deadlines import deadline
from fleetroll_server.domain.limits import RolloutLimits
from fleetroll_server.domain.states import BEFORE_GO, FINAL, AttemptState, RolloutState, Trigger
from fleetroll_server.engine import other_name
from fleetroll_server.engine.actor import HOST
from fleetroll_server.engine.excusing import excuses
from fleetroll_server.engine.moves import cohorts_here, move
from fleetroll_server.engine.silence import had_succeeded
from fleetroll_server.recovery.state import recovery_of
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
    if step.uncharged and not await _is_of_lost_time(tx, host):
        tx.emit(book.event("alert.go_without_grant", HOST, agent_id=host["agent_id"], message=said.state.value))
    late = step.late or (had_succeeded(host) and step.trigger is Trigger.ROLL_BACK)
    if late:
        tx.emit(book.event("alert.rolled_back_late", HOST, agent_id=host["agent_id"], message=said.message))
    if said.state is AttemptState.ROLLBACK_FAILED:
        words = {"code": str(said.code or ""), "message": said.message}
        tx.emit(book.event("alert.rollback_failed", HOST, agent_id=host["agent_id"], **words))
    other_name.tell_of_end(tx, book, host, said)
    values: dict[str, Any] = {"late": late}
    if said.state in FINAL or (said.code is not None and not other_name.is_told(host)):
        values.update(code=str(said.code or ""), message=said.message, output_tail=said.output_tail)
    if said.state is AttemptState.APPLYING:
        values["step"] = said.step
    if said.state is AttemptState.ROLLED_BACK:
        values["unproven"] = said.unproven
    values["deadline"] = await _deadline(tx, services, book, host, said)
    trigger, excuse = step.trigger, await excuses(tx, services, book, host, said, step.trigger)
    if excuse is not None:
        trigger = Trigger.REQUEUE
        values.update(excuse, unproven=False)
    elif other_name.explains(host, said):
        values.update(code=host["code"], message=host["message"])
    values.update(_go_of(trigger))
    not_late = step.late and _was_there(book, host)
    await move(tx, book, host, trigger, HOST, **values)
    if not_late:
        wave = book.wave(host["wave"])
        wave.counters = wave.counters.forgive_one(await cohorts_here(tx, host))
    host["deadline"] = values["deadline"] if AttemptState(host["state"]) not in FINAL else None
    await _runs(tx, host, said)


async def _is_of_lost_time(tx: Tx, host: dict[str, Any]) -> bool:
    """Tell whether the attempt's Go may be one that a database which went back has forgotten."""
    recovery = await recovery_of(tx.connection)
    return recovery is not None and host["offered_at"] is not None and host["offered_at"] <= recovery.since


def _go_of(trigger: Trigger) -> dict[str, Any]:
    """Return what a step back leaves of the attempt's Go; one in the queue shows when it had it: it is over."""
    unused = {"granted_at": None} if trigger in {Trigger.STAGE, Trigger.DOWNLOAD, Trigger.OFFER} else {}
    return {"attempted": False, **unused} if unused or trigger is Trigger.REQUEUE else {}


def is_over(book: Book, host: dict[str, Any], said: Said) -> bool:
    """Tell whether a queued host speaks of an attempt that is over, in a journal or hello that comes after its end.

    Either it had Go, and was excused or killed: its row says when until its next offer. Or it was before Go, and its
    rollout, now ended, has let go of it.
    """
    if host["state"] != AttemptState.PENDING.value:
        return False
    let_go = BEFORE_GO | ({AttemptState.CANCELLED} if book.state is RolloutState.COMPLETED else set())
    return host["granted_at"] is not None or (not book.is_open and said.state in let_go)


def _was_there(book: Book, host: dict[str, Any]) -> bool:
    """Tell whether a succeeded host's rollout completed after it: going back later is no harm done by a late host."""
    completed = book.state is RolloutState.COMPLETED
    return completed and host["ended_at"] is not None and bool(host["ended_at"] <= book.row["ended_at"])


async def _deadline(tx: Tx, services: Services, book: Book, host: dict[str, Any], said: Said) -> datetime | None:
    """Return when the time of the state that the host entered is over."""
    online = services.sessions.is_online(host["agent_id"])
    size = 0
    if said.state in {AttemptState.OFFERED, AttemptState.DOWNLOADING}:
        query = sa.select(sa.func.max(ARTIFACT.c.length)).where(ARTIFACT.c.release_id == book.row["release_id"])
        size = (await tx.execute(query)).scalar_one_or_none() or 0
    state = AttemptState.DOWNLOADING if said.state is AttemptState.OFFERED else said.state
    announced = said.time_limit if said.time_limit is not None else _by_limits(book, state)
    return deadline(state, tx.now, online=online, size_bytes=size, announced=announced)


def _by_limits(book: Book, state: AttemptState) -> timedelta | None:
    """Return what the rollout allows a host that announced nothing; nothing where its limits don't or can't say it.

    A host's word must not be lost over limits that can't be read.
    """
    limits = book.stored_limits
    if not isinstance(limits, RolloutLimits):
        return None
    if state is AttemptState.TRIAL:
        return timedelta(seconds=limits.lease_seconds + limits.soak_seconds)
    return timedelta(seconds=limits.soak_seconds) if state is AttemptState.SOAKING else None


async def _runs(tx: Tx, host: dict[str, Any], said: Said) -> None:
    """Write what runs after the step. Of products nothing else may be heard for days: no hello follows a restart."""
    which = (
        PRODUCT.c.agent_id == host["agent_id"],
        PRODUCT.c.product == host["product"],
        PRODUCT.c.fleet_id == host["fleet_id"],
    )
    values: dict[str, Any] = {"version": said.running_version} if said.running_version else {}
    if said.state is AttemptState.SUCCEEDED and said.running_version:
        if host["from_version"] not in {"", said.running_version}:
            values["previous_version"] = host["from_version"]
        values.update(last_success_at=tx.now, on_trial=False, healthy=True, sha256=said.sha256 or host["sha256"])
    if said.state is AttemptState.ROLLBACK_FAILED:
        values["healthy"] = False
    if values:
        await tx.execute(sa.update(PRODUCT).where(*which).values(**values))
