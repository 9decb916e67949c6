"""From what the engine decides to the stream's messages."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from fleetroll.v1 import agent_stream_pb2 as stream_pb2
from fleetroll_common.values.codes import Code
from fleetroll_server.gateway.convert import wire_code, wire_decision

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fleetroll_server.domain.go import Refuse
    from fleetroll_server.domain.heard import Ask

Message = stream_pb2.ConnectResponse
"""What is queued for an agent."""


def assignment(row: Mapping[Any, Any]) -> Message:
    """Return the message of an assignment, from the columns of its row."""
    wire = stream_pb2.Assignment(
        product=row["product"],
        version=row["version"],
        generation=row["generation"],
        rollout_id=row["rollout_id"],
        recall=row["recall"],
        retry_bad=row["retry_bad"],
        excused=row["excused"],
        stop_before_switch=not row["version"] and row["code"] == Code.CANCELLED_BY.value,
        decision=wire_decision(row["actor_kind"], row["actor_id"], row["reason"], row["code"], row["decided_at"]),
    )
    if row["max_attempts"]:
        wire.max_attempts = row["max_attempts"]
    if row["not_after"] is not None:
        wire.not_after.FromDatetime(row["not_after"])
    wire.soak.FromTimedelta(timedelta(seconds=row["soak_seconds"]))
    wire.lease.FromTimedelta(timedelta(seconds=row["lease_seconds"]))
    return Message(assignment=wire)


def go(ask: Ask) -> Message:
    """Return the permit to apply."""
    return Message(go=stream_pb2.Go(product=ask.product, generation=ask.generation, ask=ask.ask))


def no_go(ask: Ask, refused: Refuse) -> Message:
    """Return the answer without a permit."""
    wire = stream_pb2.NoGo(
        product=ask.product,
        generation=ask.generation,
        ask=ask.ask,
        code=wire_code(refused.code),
        message=refused.message,
    )
    wire.retry_after.FromTimedelta(refused.retry_after)
    return Message(no_go=wire)


def ask_again(product: str, generation: int) -> Message:
    """Return the word that asking is worth it again."""
    return Message(ask_again=stream_pb2.AskAgain(product=product, generation=generation))


def promote(product: str, generation: int, sha256: str, local: int = 0) -> Message:
    """Return the permit to keep the version with the digest ``sha256`` (hex); ``local`` as in the contract."""
    wire = stream_pb2.Promote(product=product, generation=generation, sha256=bytes.fromhex(sha256), local_number=local)
    return Message(promote=wire)


def ack(journal_id: str, sequence: int) -> Message:
    """Return that everything up to ``sequence`` is durable."""
    return Message(ack=stream_pb2.Ack(journal_id=journal_id, sequence=sequence))


def suspension(scope: str, epoch: int, *, active: bool) -> Message:
    """Return that the kill switch was pressed or lifted."""
    return Message(suspension=stream_pb2.Suspension(scope=scope, epoch=epoch, active=active))


def reconnect() -> Message:
    """Return the last word to a session that is not the newest one of its agent."""
    wire = stream_pb2.Refusal(code=wire_code(Code.RECONNECT), message="a newer session of this agent is open")
    return Message(refusal=wire)


def metadata_notice(timestamp_version: int) -> Message:
    """Return that newer release metadata is there."""
    return Message(metadata_notice=stream_pb2.MetadataNotice(timestamp_version=timestamp_version))
