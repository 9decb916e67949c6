"""From the stream's messages to what the host said."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from fleetroll_server.domain.heard import Ask, Batch, HostSaid, ProductSaid, ReportLine, Said
from fleetroll_server.gateway.convert import read_code, read_state

if TYPE_CHECKING:
    from fleetroll.v1 import agent_stream_pb2 as stream_pb2

MAX_MESSAGE_CHARS = 2000
MAX_TAIL_CHARS = 4000
MAX_STEP_CHARS = 64
MAX_TEXT = 253
MAX_PART = 24


def read_batch(batch: stream_pb2.ReportBatch) -> Batch:
    """Read a batch of reports."""
    return Batch(batch.journal_id, tuple(_line(report) for report in batch.reports))


def read_ask(ask: stream_pb2.RequestGo) -> Ask:
    """Read an ask."""
    return Ask(ask.product, ask.generation, ask.ask, ask.sha256.hex())


def read_host(payload: stream_pb2.HelloPayload) -> HostSaid:
    """Read what a hello says of the host; attempts in unknown states are left out."""
    shown = (_shown(attempt) for attempt in payload.attempts)
    return HostSaid(
        os=payload.platform.os[:MAX_PART],
        arch=payload.platform.arch[:MAX_PART],
        abi=payload.platform.abi[:MAX_PART],
        time_zone=payload.time_zone[:MAX_TEXT],
        disk_free_bytes=max(0, payload.disk_free_bytes),
        container_marker=payload.container_marker[:MAX_TEXT],
        boot_id=payload.boot_id[:MAX_TEXT],
        agent_version=payload.agent_version[:MAX_TEXT],
        launcher_version=payload.launcher_version[:MAX_TEXT],
        journal_id=payload.journal_id[:MAX_TEXT],
        products=tuple(_product(product) for product in payload.products),
        attempts=tuple(said for said in shown if said is not None),
    )


def _line(report: stream_pb2.Report) -> ReportLine:
    """Read a report."""
    return ReportLine(
        sequence=report.sequence,
        product=report.product,
        generation=report.generation,
        said=_reported(report),
        code=str(read_code(report.code) or ""),
        payload=report.SerializeToString(),
    )


def _reported(report: stream_pb2.Report) -> Said | None:
    """Read what a report says; nothing when its state is unknown."""
    state = read_state(report.state)
    if state is None:
        return None
    return Said(
        product=report.product,
        generation=report.generation,
        state=state,
        code=read_code(report.code),
        message=report.message[:MAX_MESSAGE_CHARS],
        step=report.step[:MAX_STEP_CHARS],
        output_tail=report.output_tail[-MAX_TAIL_CHARS:],
        time_limit=report.time_limit.ToTimedelta() if report.HasField("time_limit") else None,
        running_version=report.running_version[:MAX_TEXT],
        sha256=report.sha256.hex(),
        unproven=report.unproven,
        retry_at=report.retry_at.ToDatetime(UTC) if report.HasField("retry_at") else None,
    )


def _shown(attempt: stream_pb2.AttemptReport) -> Said | None:
    """Read an attempt that a hello shows; nothing when its state is unknown."""
    state = read_state(attempt.state)
    if state is None:
        return None
    return Said(
        product=attempt.product,
        generation=attempt.generation,
        state=state,
        code=read_code(attempt.code),
        message=attempt.message[:MAX_MESSAGE_CHARS],
        time_limit=attempt.time_left.ToTimedelta() if attempt.HasField("time_left") else None,
        sha256=attempt.sha256.hex(),
    )


def _product(product: stream_pb2.ProductState) -> ProductSaid:
    """Read one product."""
    return ProductSaid(
        product=product.product,
        version=product.version[:MAX_TEXT],
        sha256=product.sha256.hex(),
        previous_version=product.previous_version[:MAX_TEXT],
        on_trial=product.on_trial,
        healthy=product.healthy,
        note=product.note[:MAX_TEXT],
        highest_generation=product.highest_generation,
    )
