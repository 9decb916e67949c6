"""What a publisher rules about a product: read strictly, and what follows from it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError, TrustError
from fleetroll_common.values.product_policy import (
    MAX_RULINGS,
    MAX_SERIAL,
    ProductPolicy,
    Revoked,
    Withdrawn,
    policy_path,
)
from fleetroll_common.values.version import Version

ONE, ONE_FIVE, TWO, THREE = (Version.parse(text) for text in ("1.0.0", "1.5.0", "2.0.0", "3.0.0"))
DIGEST = "d" * 64
WHOLE = ProductPolicy(
    "shop",
    7,
    floor=TWO,
    intermediates=(ONE_FIVE, TWO),
    yanked=(Withdrawn(THREE, "it eats orders"),),
    retired=(Withdrawn(ONE, "old"),),
    revoked=(Revoked(DIGEST, THREE, "it was not ours"),),
)
DOCUMENT = WHOLE.to_json()


def test_it_stands_under_a_path_of_its_product_that_no_version_has() -> None:
    assert policy_path("shop") == "shop/policy/policy.json"
    with pytest.raises(RequestError):
        Version.parse("policy")
    with pytest.raises(RequestError):
        policy_path("../shop")


def test_what_is_signed_says_everything_and_is_read_back() -> None:
    assert ProductPolicy.from_json(DOCUMENT) == WHOLE
    assert ProductPolicy.from_json({**DOCUMENT, "later": "field"}) == WHOLE
    bare = ProductPolicy("shop", 1)
    assert ProductPolicy.from_json(bare.to_json()) == bare


def test_what_was_taken_back_has_its_reason() -> None:
    assert (WHOLE.yanked_why(THREE), WHOLE.yanked_why(TWO)) == ("it eats orders", "")
    assert (WHOLE.retired_why(ONE), WHOLE.retired_why(THREE)) == ("old", "")
    assert (WHOLE.revoked_why(DIGEST), WHOLE.revoked_why("e" * 64)) == ("it was not ours", "")


@pytest.mark.parametrize(
    ("running", "wanted", "hop"),
    [
        (ONE, THREE, ONE_FIVE),
        (ONE, ONE_FIVE, ONE_FIVE),
        (ONE_FIVE, THREE, TWO),
        (TWO, THREE, THREE),
        (THREE, ONE, ONE),
    ],
)
def test_no_intermediate_is_jumped_over(running: Version, wanted: Version, hop: Version) -> None:
    assert WHOLE.next_hop(running, wanted) == hop


@given(st.lists(st.integers(0, 9), unique=True), st.integers(0, 9), st.integers(0, 9))
def test_a_path_of_hops_ends_where_it_is_meant_to_and_only_rises(stops: list[int], start: int, goal: int) -> None:
    intermediates = tuple(Version(number, 0, 0) for number in sorted(stops))
    policy = ProductPolicy("shop", 1, intermediates=intermediates)
    at, wanted, seen = Version(start, 0, 0), Version(goal, 0, 0), []
    while at != wanted:
        at = policy.next_hop(at, wanted)
        seen.append(at)
    between = [one for one in intermediates if Version(start, 0, 0) < one < wanted]
    assert [*between, wanted] == seen or start == goal


def test_the_floor_spares_the_intermediates_that_it_requires() -> None:
    assert WHOLE.is_below_floor(ONE)
    assert not WHOLE.is_below_floor(ONE_FIVE)
    assert not WHOLE.is_below_floor(TWO)
    assert not ProductPolicy("shop", 1).is_below_floor(ONE)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kind", "anchors"),
        ("kind", None),
        ("product", "Shop"),
        ("product", 3),
        ("serial", 0),
        ("serial", True),
        ("serial", MAX_SERIAL + 1),
        ("serial", "7"),
        ("floor", "2"),
        ("floor", 2),
        ("intermediates", ["2.0.0", "1.5.0"]),
        ("intermediates", ["2.0.0", "2.0.0"]),
        ("intermediates", [2]),
        ("intermediates", "2.0.0"),
        ("yanked", [{"version": "3.0.0", "reason": ""}]),
        ("yanked", [{"version": "3.0.0"}]),
        ("yanked", [{"version": "3.0.0", "reason": "x" * 4097}]),
        ("yanked", [{"version": "3.0.0", "reason": "a"}, {"version": "3.0.0", "reason": "b"}]),
        ("yanked", ["3.0.0"]),
        ("retired", [{"version": "old", "reason": "x"}]),
        ("revoked", [{"sha256": "D" * 64, "version": "3.0.0", "reason": "x"}]),
        ("revoked", [{"sha256": DIGEST, "version": "3.0.0", "reason": ""}]),
        ("revoked", [{"sha256": DIGEST, "version": "3.0.0", "reason": "x"}] * 2),
        ("intermediates", [f"{number}.0.0" for number in range(MAX_RULINGS + 1)]),
    ],
)
def test_a_wrong_field_is_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(TrustError) as caught:
        ProductPolicy.from_json({**DOCUMENT, field: value})
    assert caught.value.code is Code.METADATA_INVALID
    assert caught.value.message.startswith("policy: ")
    assert caught.value.remedy


@pytest.mark.parametrize("field", sorted(DOCUMENT))
def test_a_field_that_is_missing_is_refused_by_name(field: str) -> None:
    with pytest.raises(TrustError) as caught:
        ProductPolicy.from_json({name: value for name, value in DOCUMENT.items() if name != field})
    assert field in caught.value.message
