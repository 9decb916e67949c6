"""The gateway's values on the wire: codes, instants, hashes."""

from __future__ import annotations

from fleetroll.v1 import reasons_pb2
from fleetroll_common.values.codes import Code

_PREFIX = "REASON_CODE_"


def wire_code(code: Code | str) -> reasons_pb2.ReasonCode.ValueType:
    """Return the wire's value of a code; an empty one is UNSPECIFIED."""
    return reasons_pb2.ReasonCode.Value(f"{_PREFIX}{code or 'UNSPECIFIED'}")


def read_code(value: reasons_pb2.ReasonCode.ValueType) -> Code | None:
    """Return the code of a wire value; nothing for UNSPECIFIED and for values of a newer contract."""
    if value not in reasons_pb2.ReasonCode.values():
        return None
    name = reasons_pb2.ReasonCode.Name(value).removeprefix(_PREFIX)
    return Code(name) if name in Code.__members__ else None
