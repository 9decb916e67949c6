"""Where servers are and whom to believe there: read strictly."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from fleetroll_common.values.anchors import MAX_ANCHORS, Anchors
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import TrustError
from fleetroll_server.certificates import make_ca

FIRST, SECOND = (make_ca(name, datetime.now(UTC)).certificate.decode() for name in ("first", "second"))
WHOLE = Anchors(3, ("fleet.example:7443", "[fd00::1]:7443", "192.0.2.7:443"), (FIRST, SECOND))
DOCUMENT = WHOLE.to_json()


def test_what_is_signed_says_everything_and_is_read_back() -> None:
    assert Anchors.from_json(DOCUMENT) == WHOLE
    assert Anchors.from_json({**DOCUMENT, "later": "field"}) == WHOLE


def test_old_and_new_certificates_are_given_together() -> None:
    assert WHOLE.ca_pem.decode() == FIRST + SECOND


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kind", "policy"),
        ("serial", 0),
        ("serial", True),
        ("addresses", []),
        ("addresses", ["fleet.example"]),
        ("addresses", ["fleet.example:0"]),
        ("addresses", ["fleet.example:65536"]),
        ("addresses", ["user@fleet.example:443"]),
        ("addresses", ["https://fleet.example:443"]),
        ("addresses", ["a:1", "a:1"]),
        ("addresses", [f"a:{number}" for number in range(1, MAX_ANCHORS + 2)]),
        ("addresses", [7]),
        ("addresses", "a:1"),
        ("certificates", []),
        ("certificates", [FIRST, FIRST]),
        ("certificates", [FIRST + SECOND]),
        ("certificates", [FIRST.replace("M", "!", 1)]),
        ("certificates", ["-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]),
        ("certificates", [FIRST + "x" * 20_000]),
        ("certificates", [None]),
    ],
)
def test_a_wrong_field_is_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(TrustError) as caught:
        Anchors.from_json({**DOCUMENT, field: value})
    assert caught.value.code is Code.METADATA_INVALID
    assert field in caught.value.message
    assert caught.value.remedy


@pytest.mark.parametrize("field", sorted(DOCUMENT))
def test_a_field_that_is_missing_is_refused_by_name(field: str) -> None:
    with pytest.raises(TrustError) as caught:
        Anchors.from_json({name: value for name, value in DOCUMENT.items() if name != field})
    assert field in caught.value.message
