"""One name for one reason, here and on the wire."""

from __future__ import annotations

from fleetroll.v1 import reasons_pb2
from fleetroll_common.values.codes import Code

PREFIX = "REASON_CODE_"


def test_the_wire_has_the_same_names_in_the_same_number() -> None:
    names = reasons_pb2.ReasonCode.DESCRIPTOR.values_by_name
    wire = {name.removeprefix(PREFIX) for name in names} - {"UNSPECIFIED"}
    assert wire == {code.value for code in Code}


def test_a_code_is_its_own_name_and_shows_as_such() -> None:
    for code in Code:
        assert code.name == code.value == str(code) == f"{code}"
        assert code == code.name
