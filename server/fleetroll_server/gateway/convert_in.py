"""From the stream's messages to what the host said.

A host may say anything. What no database, clock or calendar can hold is cut, bounded or left out here, so that a report
is never refused for it: an unacknowledged report would come back for ever.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.platform import is_platform_part
from fleetroll_common.values.product_policy import MAX_SERIAL
from fleetroll_common.values.release import is_product
from fleetroll_server.domain.heard import Ask, Batch, HostSaid, ProductSaid, ReportLine, Said
from fleetroll_server.gateway.convert import read_code, read_state

if TYPE_CHECKING:
    from google.protobuf.duration_pb2 import Duration
    from google.protobuf.timestamp_pb2 import Timestamp

    from fleetroll.v1 import agent_stream_pb2 as stream_pb2
    from fleetroll.v1 import reasons_pb2

MAX_MESSAGE_CHARS = 2000
MAX_TAIL_CHARS = 4000
MAX_STEP_CHARS = 64
MAX_TEXT = 253
MAX_PRODUCTS = 64
MAX_ATTEMPTS = 200
MAX_REPORT_BYTES = 64 * 1024
"""All texts of a report at their longest need half of it. Of a longer one it is stored that it came, and no more."""
UNKNOWN_PART = "unknown"
"""For a part of a platform that none can be: it would stand in the way of whoever reads the inventory."""
MAX_COUNT = 2**63 - 1
"""What the database's largest numbers hold; counts of the wire go up to twice as far."""
MAX_TIME_LIMIT = timedelta(days=3)
"""Soak and lease are at most a day each: a host that asks for more silence than this is not believed."""


def read_batch(batch: stream_pb2.ReportBatch) -> Batch:
    """Read a batch of reports."""
    return Batch(_text(batch.journal_id, MAX_TEXT), tuple(_line(report) for report in batch.reports))


def read_ask(ask: stream_pb2.RequestGo) -> Ask:
    """Read an ask.

    Raises:
        RequestError: INVALID_ARGUMENT: its number can't be (the agent's fault).
    """
    require_count("request_go.ask", ask.ask)
    return Ask(_text(ask.product, MAX_TEXT), ask.generation, ask.ask, ask.sha256.hex())


def read_host(payload: stream_pb2.HelloPayload) -> HostSaid:
    """Read what a hello says of the host; attempts in unknown states are left out."""
    shown = (_shown(attempt) for attempt in payload.attempts[:MAX_ATTEMPTS])
    holds = {one.product: _hold(one) for one in payload.overrides[:MAX_PRODUCTS]}
    return HostSaid(
        os=_part(payload.platform.os),
        arch=_part(payload.platform.arch),
        abi=_part(payload.platform.abi),
        time_zone=_text(payload.time_zone, MAX_TEXT),
        disk_free_bytes=max(0, payload.disk_free_bytes),
        container_marker=_text(payload.container_marker, MAX_TEXT),
        boot_id=_text(payload.boot_id, MAX_TEXT),
        agent_version=_text(payload.agent_version, MAX_TEXT),
        launcher_version=_text(payload.launcher_version, MAX_TEXT),
        journal_id=_text(payload.journal_id, MAX_TEXT),
        products=tuple(
            _product(one, holds.get(one.product, ""))
            for one in payload.products[:MAX_PRODUCTS]
            if is_product(one.product)
        ),
        attempts=tuple(said for said in shown if said is not None),
        check_in=_wait(payload.check_in_interval) if payload.HasField("check_in_interval") else None,
        anchors_serial=read_serial(payload.anchors_serial),
    )


def read_serial(serial: int) -> int:
    """Read the serial of anchors; what none can have is bounded."""
    return min(max(0, serial), MAX_SERIAL)


def _part(text: str) -> str:
    """Read a part of a platform."""
    return text if is_platform_part(text) else UNKNOWN_PART


def _line(report: stream_pb2.Report) -> ReportLine:
    """Read a report; one that is longer than any can be says nothing."""
    fits = report.ByteSize() <= MAX_REPORT_BYTES
    return ReportLine(
        sequence=report.sequence,
        product=_text(report.product, MAX_TEXT),
        generation=report.generation,
        said=_reported(report) if fits else None,
        code=str(read_code(report.code) or ""),
        payload=report.SerializeToString() if fits else b"",
    )


def _reported(report: stream_pb2.Report) -> Said | None:
    """Read what a report says; nothing when its state is unknown."""
    state = read_state(report.state)
    if state is None:
        return None
    return Said(
        product=_text(report.product, MAX_TEXT),
        generation=report.generation,
        state=state,
        code=_said(report.code),
        message=_text(report.message, MAX_MESSAGE_CHARS),
        step=_text(report.step, MAX_STEP_CHARS),
        output_tail=_text(report.output_tail[-MAX_TAIL_CHARS:], MAX_TAIL_CHARS),
        time_limit=_wait(report.time_limit) if report.HasField("time_limit") else None,
        running_version=_text(report.running_version, MAX_TEXT),
        sha256=report.sha256.hex(),
        unproven=report.unproven,
        retry_at=_when(report.retry_at) if report.HasField("retry_at") else None,
        local=max(0, report.local_number),
    )


def _shown(attempt: stream_pb2.AttemptReport) -> Said | None:
    """Read an attempt that a hello shows; nothing when its state is unknown."""
    state = read_state(attempt.state)
    if state is None:
        return None
    return Said(
        product=_text(attempt.product, MAX_TEXT),
        generation=attempt.generation,
        state=state,
        code=_said(attempt.code),
        message=_text(attempt.message, MAX_MESSAGE_CHARS),
        time_limit=_wait(attempt.time_left) if attempt.HasField("time_left") else None,
        sha256=attempt.sha256.hex(),
        unproven=attempt.unproven,
        local=max(0, attempt.local_number),
    )


def _hold(said: stream_pb2.Override) -> str:
    """Read a person's own decision on the host as words."""
    until = _when(said.until) if said.HasField("until") else None
    limit = "" if until is None else f" until {until:%Y-%m-%d %H:%M}Z"
    why = f": {said.reason}" if said.reason else ""
    return f"held: {said.kind} by {said.actor.id}{limit}{why}"


def _said(number: reasons_pb2.ReasonCode.ValueType) -> Code | None:
    """Return the code that a host gives; that it came back as another version is the server's own word."""
    code = read_code(number)
    return None if code is Code.CAME_BACK_OTHER else code


def _product(product: stream_pb2.ProductState, hold: str = "") -> ProductSaid:
    """Read one product; what a person holds on the host is noted beside it."""
    return ProductSaid(
        product=_text(product.product, MAX_TEXT),
        version=_text(product.version, MAX_TEXT),
        sha256=product.sha256.hex(),
        previous_version=_text(product.previous_version, MAX_TEXT),
        on_trial=product.on_trial,
        healthy=product.healthy,
        note=_text(hold or product.note, MAX_TEXT),
        highest_generation=product.highest_generation,
    )


def require_count(field: str, value: int) -> None:
    """Refuse a count that can't be stored.

    Raises:
        RequestError: INVALID_ARGUMENT (the agent's fault).
    """
    if value > MAX_COUNT:
        message = f"{field}: {value} is above {MAX_COUNT}"
        raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy="update the agent", field=field)


def _text(value: str, limit: int) -> str:
    """Return at most ``limit`` characters; PostgreSQL holds no zero character."""
    return value[:limit].replace("\0", "\ufffd")


def _wait(value: Duration) -> timedelta:
    """Return a time that a host allows itself, bounded."""
    most = MAX_TIME_LIMIT.total_seconds()
    return timedelta(seconds=min(max(0.0, value.seconds + value.nanos / 1e9), most))


def _when(value: Timestamp) -> datetime | None:
    """Return an instant; nothing for one that no calendar has."""
    try:
        return value.ToDatetime(UTC)
    except (ValueError, OverflowError):
        return None
