"""Between the contract's messages and the agent's values: the one place that knows both."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from fleetroll.v1 import agent_stream_pb2 as stream_pb2
from fleetroll.v1 import reasons_pb2, types_pb2
from fleetroll_agent.identity.facts import Enrolment, WelcomeReceipt
from fleetroll_agent.jobs import effects, events
from fleetroll_common.values.codes import Code

if TYPE_CHECKING:
    from collections.abc import Sequence

    from google.protobuf import duration_pb2

    from fleetroll.v1 import enrolment_pb2
    from fleetroll_agent.jobs.journal import Entry
    from fleetroll_agent.jobs.overrides import Override
    from fleetroll_agent.jobs.summary import AttemptFact
    from fleetroll_agent.jobs.values import Report
    from fleetroll_agent.session.facts import HostFacts, ProductFacts
    from fleetroll_common.values.platform import Platform

DEFAULT_LEASE_SECONDS = 300.0
"""For an assignment that names none (names.md)."""

MOST_ATTEMPTS = 100
"""The contract's bound: no server makes a host try for ever."""

MAX_ACTOR_CHARS = 128
MAX_OVERRIDE_REASON_CHARS = 500
MAX_REASON_CHARS = 2000
"""Of what a server says in words: it is logged and kept."""

_CODE = "REASON_CODE_"
_STATE = "ATTEMPT_STATE_"


def wire_code(code: Code | None) -> reasons_pb2.ReasonCode.ValueType:
    """Return the wire's value of a code; none is UNSPECIFIED."""
    return reasons_pb2.ReasonCode.Value(f"{_CODE}{'UNSPECIFIED' if code is None else code.value}")


def read_code(value: reasons_pb2.ReasonCode.ValueType) -> Code | None:
    """Return the code of a wire value; None for UNSPECIFIED and for a code of a newer server."""
    if value not in reasons_pb2.ReasonCode.values():
        return None
    name = reasons_pb2.ReasonCode.Name(value)[len(_CODE) :]
    return Code(name) if name in Code.__members__ else None


def wire_state(name: str) -> types_pb2.AttemptState.ValueType:
    """Return the wire's value of a reported state."""
    return types_pb2.AttemptState.Value(f"{_STATE}{name}")


def wire_platform(platform: Platform) -> types_pb2.Platform:
    """Return a platform as the contract has it."""
    return types_pb2.Platform(os=platform.os, arch=platform.arch, abi=platform.abi)


def seconds_of(duration: duration_pb2.Duration) -> float:
    """Return a duration in seconds, whatever it is: no ``timedelta`` holds all that the wire does."""
    return duration.seconds + duration.nanos / 1e9


def reason_of(text: str) -> str:
    """Return a server's words, cut at 2000 characters."""
    return text[:MAX_REASON_CHARS]


def assigned(message: stream_pb2.Assignment) -> events.Assigned:
    """Return the event of an assignment; whether it is taken is for the rules, its times for the launcher."""
    lease = seconds_of(message.lease) if message.HasField("lease") else DEFAULT_LEASE_SECONDS
    return events.Assigned(
        generation=message.generation,
        version=message.version,
        soak_seconds=seconds_of(message.soak),
        lease_seconds=lease,
        recall=message.recall,
        stop_before_switch=message.stop_before_switch,
        retry_bad=message.retry_bad,
        excused=message.excused,
        max_attempts=min(max(0, message.max_attempts), MOST_ATTEMPTS),
        override_local=message.override_local,
        automatic=message.decision.actor.kind == types_pb2.ACTOR_KIND_POLICY,
    )


def refused_go(session: int, message: stream_pb2.NoGo) -> events.GoRefused:
    """Return the event of a Go that was refused in ``session``."""
    wait = seconds_of(message.retry_after) if message.HasField("retry_after") else None
    text = reason_of(message.message)
    return events.GoRefused(session, message.generation, message.ask, read_code(message.code), text, wait)


def request_go(ask: effects.AskGo, product: str) -> stream_pb2.ConnectRequest:
    """Return the message that asks for Go."""
    request = stream_pb2.RequestGo(
        product=product, generation=ask.generation, ask=ask.ask, sha256=bytes.fromhex(ask.sha256)
    )
    return stream_pb2.ConnectRequest(request_go=request)


def report_batch(journal_id: str, entries: Sequence[Entry]) -> stream_pb2.ConnectRequest:
    """Return the message that carries journal entries."""
    batch = stream_pb2.ReportBatch(journal_id=journal_id, reports=[wire_report(entry) for entry in entries])
    return stream_pb2.ConnectRequest(reports=batch)


def wire_report(entry: Entry) -> stream_pb2.Report:
    """Return a journal entry as the contract has it."""
    report = entry.report
    message = stream_pb2.Report(
        sequence=entry.sequence,
        product=entry.product,
        generation=report.generation,
        local_number=report.local,
        state=wire_state(report.said.value),
        step=report.step,
        code=wire_code(report.code),
        message=report.message,
        output_tail=report.output_tail,
        running_version=report.running_version,
        sha256=bytes.fromhex(report.sha256),
        unproven=report.unproven,
        committed_locally=report.committed_locally,
    )
    _set_times(message, report)
    return message


def wire_attempt(fact: AttemptFact, product: str) -> stream_pb2.AttemptReport:
    """Return an attempt as a hello lists it."""
    message = stream_pb2.AttemptReport(
        product=product,
        generation=fact.generation,
        local_number=fact.local,
        state=wire_state(fact.said.value),
        version=fact.version,
        sha256=bytes.fromhex(fact.sha256),
        code=wire_code(fact.code),
        message=fact.message,
        unproven=fact.unproven,
    )
    if fact.time_left_seconds is not None:
        message.time_left.FromTimedelta(timedelta(seconds=fact.time_left_seconds))
    return message


def hello_payload(facts: HostFacts) -> bytes:
    """Return the serialized state of the host: what is signed and sent is these bytes."""
    message = stream_pb2.HelloPayload(
        host_name=facts.host_name,
        platform=wire_platform(facts.platform),
        labels=facts.labels,
        time_zone=facts.time_zone,
        disk_free_bytes=facts.disk_free_bytes,
        boot_id=facts.boot_id,
        container_marker=facts.container_marker,
        products=[_product(product) for product in facts.products],
        attempts=[wire_attempt(fact, product.product) for product in facts.products for fact in product.attempts],
        journal_id=facts.journal_id,
        agent_version=facts.agent_version,
        timestamp_version=facts.timestamp_version,
        anchors_serial=facts.anchors_serial,
    )
    for product in facts.products:
        if product.override is not None:
            message.overrides.append(_override(product.product, product.override))
    if facts.check_in_seconds is not None:
        message.check_in_interval.FromTimedelta(timedelta(seconds=facts.check_in_seconds))
    if facts.receipt is not None:
        receipt = facts.receipt
        message.receipt.CopyFrom(
            stream_pb2.Receipt(incarnation=receipt.incarnation, epoch=receipt.epoch, mac=receipt.mac)
        )
    return message.SerializeToString()


def receipt_of(message: stream_pb2.Receipt) -> WelcomeReceipt:
    """Return the receipt of a Welcome."""
    return WelcomeReceipt(message.incarnation, message.epoch, message.mac)


def enrolment_of(message: enrolment_pb2.EnrollResponse) -> Enrolment:
    """Return the server's answer to an enrolment."""
    return Enrolment(
        agent_id=message.agent_id,
        fleet_id=message.fleet_id,
        addresses=tuple(message.addresses),
        incarnation=message.incarnation,
        labels=dict(message.labels),
        receipt=message.receipt,
        receipt_mac=message.receipt_mac,
        ca_pem=message.ca_pem,
        root=message.root,
    )


def _text(words: str) -> str:
    """Return what can be sent: a record that an older version wrote may hold what is no text."""
    return words.encode("utf-8", "replace").decode()


def _override(product: str, override: Override) -> stream_pb2.Override:
    message = stream_pb2.Override(
        product=product,
        kind=override.kind.value,
        actor=types_pb2.Actor(kind=types_pb2.ACTOR_KIND_AGENT_LOCAL, id=_text(override.actor[:MAX_ACTOR_CHARS])),
        since_generation=override.since_generation,
        reason=_text(override.reason[:MAX_OVERRIDE_REASON_CHARS]),
    )
    message.until.FromDatetime(_instant(override.until))
    return message


def _product(facts: ProductFacts) -> stream_pb2.ProductState:
    return stream_pb2.ProductState(
        product=facts.product,
        version=facts.version,
        sha256=bytes.fromhex(facts.sha256),
        highest_generation=facts.highest_generation,
        previous_version=facts.previous_version,
        on_trial=facts.on_trial,
        healthy=facts.healthy,
        note=facts.note,
    )


def _set_times(message: stream_pb2.Report, report: Report) -> None:
    message.occurred_at.FromDatetime(_instant(report.occurred_at))
    if report.time_limit_seconds is not None:
        message.time_limit.FromTimedelta(timedelta(seconds=report.time_limit_seconds))
    if report.retry_at is not None:
        message.retry_at.FromDatetime(_instant(report.retry_at))


def _instant(unix_seconds: float) -> datetime:
    return datetime.fromtimestamp(unix_seconds, timezone.utc)
