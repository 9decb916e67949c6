"""From rows and values to the contract's messages: what all nouns share. Each has its own module beside this one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll.v1 import reasons_pb2, types_pb2

if TYPE_CHECKING:
    from datetime import datetime

    from google.protobuf.timestamp_pb2 import Timestamp

    from fleetroll_common.values.platform import Platform

ACTOR_KINDS = {
    "user": types_pb2.ACTOR_KIND_USER,
    "token": types_pb2.ACTOR_KIND_TOKEN,
    "policy": types_pb2.ACTOR_KIND_POLICY,
    "agent-local": types_pb2.ACTOR_KIND_AGENT_LOCAL,
    "engine": types_pb2.ACTOR_KIND_ENGINE,
}


def set_instant(target: Timestamp, value: datetime | None) -> None:
    """Write an instant that may be absent."""
    if value is not None:
        target.FromDatetime(value)


def reason_code(stored: str) -> reasons_pb2.ReasonCode.ValueType:
    """Return the wire's value of a stored code; an empty one is UNSPECIFIED."""
    return reasons_pb2.ReasonCode.Value(f"REASON_CODE_{stored or 'UNSPECIFIED'}")


def attempt_state(stored: str) -> types_pb2.AttemptState.ValueType:
    """Return the wire's value of a stored state; an empty one is UNSPECIFIED."""
    return types_pb2.AttemptState.Value(f"ATTEMPT_STATE_{(stored or 'unspecified').upper()}")


def platform(value: Platform) -> types_pb2.Platform:
    """Return a platform."""
    return types_pb2.Platform(os=value.os, arch=value.arch, abi=value.abi)


def decision(
    actor_kind: str, actor_id: str, decided_at: datetime | None, reason: str = "", code: str = ""
) -> types_pb2.Decision:
    """Return who decided, why and when."""
    actor = types_pb2.Actor(kind=ACTOR_KINDS[actor_kind], id=actor_id)
    wire = types_pb2.Decision(actor=actor, reason=reason, code=reason_code(code))
    set_instant(wire.decided_at, decided_at)
    return wire
