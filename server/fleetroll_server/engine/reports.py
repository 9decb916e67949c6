"""Reports: stored, taken into account in their order, acknowledged. Nothing stays unacknowledged for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_server.domain.assignments import Rejected, Step, judge_report
from fleetroll_server.domain.states import FINAL, AttemptState
from fleetroll_server.engine import late, local, other_name
from fleetroll_server.engine.advance import go_on
from fleetroll_server.engine.book import open_book
from fleetroll_server.engine.effects import is_over, take_step
from fleetroll_server.engine.moves import host_of, note
from fleetroll_server.engine.promotion import promote_if_due
from fleetroll_server.engine.ruled import until_opening
from fleetroll_server.engine.speaker import speaker_of
from fleetroll_server.gateway.convert_out import Message, ack, reconnect
from fleetroll_server.recovery import orphans
from fleetroll_server.store.tables import AgentRow, ReportRow, table_of

if TYPE_CHECKING:
    from fleetroll_server.domain.heard import Batch, ReportLine, Said
    from fleetroll_server.engine.book import Book
    from fleetroll_server.gateway.session import SessionKey
    from fleetroll_server.services import Services
    from fleetroll_server.store.tx import Tx

AGENT = table_of(AgentRow)
REPORT = table_of(ReportRow)
MAX_REPORTS = 100
"""Reports of one batch, as the contract says."""


async def take(tx: Tx, services: Services, key: SessionKey, batch: Batch) -> Message:
    """Store a batch and let it take effect; the ack that is returned leaves after the commit.

    Raises:
        RequestError: the batch is empty, too large, or of another journal than the hello's (the agent's fault).
    """
    speaker = await speaker_of(tx, key)
    if speaker is None:
        return reconnect()
    _check(batch, speaker["journal_id"])
    last: int = speaker["last_sequence"]
    for report in batch.lines:
        if report.sequence <= last:
            continue
        if report.sequence != last + 1:
            break
        await _take_one(tx, services, key, batch.journal_id, report)
        last = report.sequence
    mine = (AGENT.c.id == key.agent_id, AGENT.c.fleet_id == key.fleet_id)
    await tx.execute(sa.update(AGENT).where(*mine).values(last_sequence=last, last_seen_at=tx.now))
    return ack(batch.journal_id, last)


def _check(batch: Batch, journal_id: str) -> None:
    """Refuse a batch that can't be judged."""
    if not 1 <= len(batch.lines) <= MAX_REPORTS:
        message = f"reports: {len(batch.lines)} in one batch, 1 to {MAX_REPORTS} are allowed"
        raise RequestError(message, code=Code.REPORT_INVALID, remedy="update the agent")
    if batch.journal_id != journal_id:
        message = "reports: they are of another journal than the hello's"
        raise RequestError(message, code=Code.REPORT_INVALID, remedy="connect again")


async def _take_one(tx: Tx, services: Services, key: SessionKey, journal_id: str, report: ReportLine) -> None:
    """Judge one report, store it with the verdict, let it move its attempt."""
    status, code = "rejected", Code.REPORT_INVALID.value
    if report.said is not None:
        status, code = await _effect(tx, services, key, report.said)
    await tx.execute(
        sa.insert(REPORT).values(
            agent_id=key.agent_id,
            journal_id=journal_id,
            sequence=report.sequence,
            fleet_id=key.fleet_id,
            product=report.product,
            generation=report.generation,
            status=status,
            code=code or report.code,
            payload=report.payload,
            received_at=tx.now,
        )
    )


async def _effect(tx: Tx, services: Services, key: SessionKey, said: Said) -> tuple[str, str]:
    """Let a report take effect; return how it is stored."""
    if said.local:
        await local.reported(tx, services, key, said)
        return "accepted", ""
    host = await host_of(tx, key.agent_id, key.fleet_id, said.product, said.generation)
    if host is None:
        return ("accepted" if await orphans.reported(tx, services, key, said) else "history"), ""
    book = await open_book(tx, host["rollout_id"], key.fleet_id)
    host = await host_of(tx, key.agent_id, key.fleet_id, said.product, said.generation)
    if book is None or host is None:
        return "history", ""
    if is_over(book, host, said):
        return "history", ""
    judgement = judge_report(AttemptState(host["state"]), said.state, code=said.code, is_open=book.has_queue)
    if isinstance(judgement, Rejected):
        return "rejected", judgement.code.value
    if not isinstance(judgement, Step):
        await _fill_in(tx, book, host, said)
        return "history", ""
    await take_step(tx, services, book, host, said, judgement)
    await _note_waiting(tx, book, host, said)
    await late.meet(tx, services, book, host)
    await promote_if_due(tx, services, book, host)
    await go_on(tx, services, book)
    return "accepted", ""


async def _fill_in(tx: Tx, book: Book, host: dict[str, Any], said: Said) -> None:
    """Keep what a hello was too short for: the report of the same result brings words and last output."""
    if said.state in FINAL and host["state"] == said.state.value and not host["output_tail"]:
        message = host["message"] if other_name.explains(host, said) else said.message
        facts = {"message": message, "output_tail": said.output_tail, "unproven": said.unproven}
        await note(tx, book, host, **facts)
        await book.write(tx)


async def _note_waiting(tx: Tx, book: Book, host: dict[str, Any], said: Said) -> None:
    """Keep why a staged host waits by its own rules."""
    if said.state is not AttemptState.STAGED:
        return
    if said.code is not None:
        opening = until_opening(said.retry_at) if said.code is Code.WINDOW else {"retry_at": said.retry_at}
        await note(tx, book, host, waiting=said.code.value, **opening)
    elif host["waiting"] == Code.HELD_LOCALLY.value:  # the hold has ended
        await note(tx, book, host, waiting="", retry_at=None)
