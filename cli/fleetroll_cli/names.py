"""Enumerations and instants of the wire as people read them."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any

from fleetroll.v1 import options_pb2, policy_pb2, reasons_pb2, rollouts_pb2, types_pb2

if TYPE_CHECKING:
    from datetime import datetime

    from google.protobuf.message import Message
    from google.protobuf.timestamp_pb2 import Timestamp


def attempt_state(value: types_pb2.AttemptState.ValueType) -> str:
    """Return "rolled_back" for ATTEMPT_STATE_ROLLED_BACK; "-" for none."""
    name = _name(types_pb2.AttemptState, value, "ATTEMPT_STATE_").lower()
    return "-" if name == "unspecified" else name


def rollout_state(value: rollouts_pb2.RolloutState.ValueType) -> str:
    """Return "running" for ROLLOUT_STATE_RUNNING."""
    return _name(rollouts_pb2.RolloutState, value, "ROLLOUT_STATE_").lower()


def wave_state(value: rollouts_pb2.WaveState.ValueType) -> str:
    """Return "baking" for WAVE_STATE_BAKING."""
    return _name(rollouts_pb2.WaveState, value, "WAVE_STATE_").lower()


def policy_origin(value: policy_pb2.PolicyOrigin.ValueType) -> str:
    """Return "fleet" for POLICY_ORIGIN_FLEET."""
    return _name(policy_pb2.PolicyOrigin, value, "POLICY_ORIGIN_").lower()


def role_name(value: options_pb2.Role.ValueType) -> str:
    """Return "operator" for ROLE_OPERATOR."""
    return _name(options_pb2.Role, value, "ROLE_").lower()


def code_name(value: reasons_pb2.ReasonCode.ValueType) -> str:
    """Return "EXITED" for REASON_CODE_EXITED; empty for none."""
    name = _name(reasons_pb2.ReasonCode, value, "REASON_CODE_")
    return "" if name == "UNSPECIFIED" else name


def local_time(message: Message, field: str) -> str:
    """Return an instant of ``message`` in UTC to the second; "-" where it is absent, or none that a calendar holds."""
    found = calendar(getattr(message, field)) if message.HasField(field) else None
    return f"{found:%Y-%m-%d %H:%M:%SZ}" if found is not None else "-"


def calendar(instant: Timestamp) -> datetime | None:
    """Return an instant in UTC; None for one outside of the years 1 to 9999, or whose parts are no time."""
    try:
        return instant.ToDatetime(UTC)
    except ValueError:  # whoever sent it says so, and the rest of what it said is read all the same
        return None


def _name(enum: Any, value: int, prefix: str) -> str:  # noqa: ANN401 (the wrapper that generated code has)
    """Return a value's name, or its number where only a newer version knows it."""
    name: str = enum.Name(value) if value in enum.values() else str(value)
    return name.removeprefix(prefix)
