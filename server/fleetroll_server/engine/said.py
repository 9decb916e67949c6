"""What a host said about an attempt, by report or by hello, in the domain's terms."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from fleetroll_server.gateway.convert import read_code, read_state

if TYPE_CHECKING:
    from fleetroll.v1 import agent_stream_pb2 as stream_pb2
    from fleetroll_common.values.codes import Code
    from fleetroll_server.domain.states import AttemptState

MAX_MESSAGE_CHARS = 2000
MAX_TAIL_CHARS = 4000


@dataclass(frozen=True, slots=True)
class Said:
    """One statement; texts are cut to what the contract allows."""

    product: str
    generation: int
    state: AttemptState
    code: Code | None = None
    message: str = ""
    step: str = ""
    output_tail: str = ""
    time_limit: timedelta | None = None
    running_version: str = ""
    sha256: str = ""
    unproven: bool = False
    retry_at: datetime | None = None

    @classmethod
    def of_report(cls, report: stream_pb2.Report) -> Said | None:
        """Read a report; nothing when its state is unknown."""
        state = read_state(report.state)
        if state is None:
            return None
        return cls(
            product=report.product,
            generation=report.generation,
            state=state,
            code=read_code(report.code),
            message=report.message[:MAX_MESSAGE_CHARS],
            step=report.step[:64],
            output_tail=report.output_tail[-MAX_TAIL_CHARS:],
            time_limit=report.time_limit.ToTimedelta() if report.HasField("time_limit") else None,
            running_version=report.running_version,
            sha256=report.sha256.hex(),
            unproven=report.unproven,
            retry_at=report.retry_at.ToDatetime(UTC) if report.HasField("retry_at") else None,
        )

    @classmethod
    def of_hello(cls, shown: stream_pb2.AttemptReport) -> Said | None:
        """Read an attempt that a hello shows; nothing when its state is unknown."""
        state = read_state(shown.state)
        if state is None:
            return None
        return cls(
            product=shown.product,
            generation=shown.generation,
            state=state,
            code=read_code(shown.code),
            message=shown.message[:MAX_MESSAGE_CHARS],
            time_limit=shown.time_left.ToTimedelta() if shown.HasField("time_left") else None,
            sha256=shown.sha256.hex(),
        )
