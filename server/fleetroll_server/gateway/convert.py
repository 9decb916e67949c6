"""Values of the domain on the wire, as agents and admins see them alike: codes, states, decisions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll.v1 import reasons_pb2, types_pb2
from fleetroll_common.values.codes import Code
from fleetroll_server.domain.states import AttemptState

if TYPE_CHECKING:
    from datetime import datetime

_PREFIX = "REASON_CODE_"
_STATE_PREFIX = "ATTEMPT_STATE_"
_KINDS = {
    "user": types_pb2.ACTOR_KIND_USER,
    "token": types_pb2.ACTOR_KIND_TOKEN,
    "policy": types_pb2.ACTOR_KIND_POLICY,
    "agent-local": types_pb2.ACTOR_KIND_AGENT_LOCAL,
    "engine": types_pb2.ACTOR_KIND_ENGINE,
}


def wire_code(code: Code | str) -> reasons_pb2.ReasonCode.ValueType:
    """Return the wire's value of a code; an empty one is UNSPECIFIED."""
    return reasons_pb2.ReasonCode.Value(f"{_PREFIX}{code or 'UNSPECIFIED'}")


def read_code(value: reasons_pb2.ReasonCode.ValueType) -> Code | None:
    """Return the code of a wire value; nothing for UNSPECIFIED and for values of a newer contract."""
    if value not in reasons_pb2.ReasonCode.values():
        return None
    name = reasons_pb2.ReasonCode.Name(value).removeprefix(_PREFIX)
    return Code(name) if name in Code.__members__ else None


def wire_state(state: str) -> types_pb2.AttemptState.ValueType:
    """Return the wire's value of an attempt's state."""
    return types_pb2.AttemptState.Value(f"{_STATE_PREFIX}{state.upper()}")


def read_state(value: types_pb2.AttemptState.ValueType) -> AttemptState | None:
    """Return the state of a wire value; nothing for UNSPECIFIED, for what no host stands in, and for unknown ones."""
    if not value or value not in types_pb2.AttemptState.values():
        return None
    name = types_pb2.AttemptState.Name(value).removeprefix(_STATE_PREFIX)
    return AttemptState[name] if name in AttemptState.__members__ else None


def wire_decision(kind: str, actor: str, reason: str, code: str, at: datetime) -> types_pb2.Decision:
    """Return who decided, why and when."""
    wire = types_pb2.Decision(actor=types_pb2.Actor(kind=_KINDS[kind], id=actor), reason=reason, code=wire_code(code))
    wire.decided_at.FromDatetime(at)
    return wire
