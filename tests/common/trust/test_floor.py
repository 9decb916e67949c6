"""The floor as values: it only rises, except under a root that replaced the keys."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetroll_common.trust.floor import (
    Floor,
    admit_root,
    admit_snapshot,
    admit_timestamp,
    forget_replaced_keys,
)
from fleetroll_common.trust.library import MetaFile, Root, Snapshot, Timestamp
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import TrustError
from tests.faults.repositories import signer

VERSIONS = st.integers(1, 5)
FLOOR = Floor("a" * 64, root=3, timestamp=3, snapshot=3, roles={"targets.json": 3, "products/agent.json": 3})


def timestamp(version: int, snapshot: int) -> Timestamp:
    return Timestamp(version, snapshot_meta=MetaFile(snapshot))


def snapshot(version: int, **roles: int) -> Snapshot:
    return Snapshot(version, meta={f"{name.replace('_', '/')}.json": MetaFile(value) for name, value in roles.items()})


def root(*names: str) -> Root:
    made = Root(1)
    for role, name in zip(("timestamp", "snapshot"), names, strict=True):
        made.add_key(signer(name).public_key, role)
    return made


def test_a_key_that_a_root_names_and_does_not_hold_is_a_key_like_others() -> None:
    made = root("timestamp", "snapshot")
    made.roles["timestamp"].keyids.append("e" * 64)
    before = forget_replaced_keys(FLOOR, root("timestamp", "snapshot"))
    seen = forget_replaced_keys(replace(before, timestamp=3, snapshot=3), made)
    assert (seen.timestamp, seen.snapshot_keys) == (0, before.snapshot_keys)
    assert forget_replaced_keys(replace(seen, timestamp=3), made).timestamp == 3


@given(VERSIONS)
def test_a_root_counts_from_the_floor_on(version: int) -> None:
    if version < 3:
        with pytest.raises(TrustError) as caught:
            admit_root(FLOOR, version)
        assert caught.value.details == {"role": "root", "seen": "3", "offered": str(version)}
    else:
        assert admit_root(FLOOR, version) == replace(FLOOR, root=version)


@given(VERSIONS, VERSIONS)
def test_a_timestamp_counts_with_its_snapshot(version: int, listed: int) -> None:
    if version < 3 or listed < 3:
        with pytest.raises(TrustError) as caught:
            admit_timestamp(FLOOR, timestamp(version, listed))
        assert caught.value.code is Code.METADATA_ROLLBACK
    else:
        assert admit_timestamp(FLOOR, timestamp(version, listed)) == replace(FLOOR, timestamp=version)


@given(VERSIONS, VERSIONS, VERSIONS)
def test_a_snapshot_counts_with_all_its_roles(version: int, targets: int, agent: int) -> None:
    shown = snapshot(version, targets=targets, products_agent=agent)
    if min(version, targets, agent) < 3:
        with pytest.raises(TrustError):
            admit_snapshot(FLOOR, shown)
    else:
        raised = admit_snapshot(FLOOR, shown)
        assert (raised.snapshot, raised.roles) == (
            version,
            {"targets.json": targets, "products/agent.json": agent},
        )


def test_a_role_may_come_and_never_go() -> None:
    wider = admit_snapshot(FLOOR, snapshot(3, targets=3, products_agent=3, products_shop=1))
    with pytest.raises(TrustError) as caught:
        admit_snapshot(wider, snapshot(4, targets=3, products_agent=3))
    assert caught.value.details == {"role": "products/shop", "seen": "1", "offered": "0"}


def test_the_same_keys_keep_the_floor() -> None:
    noted = forget_replaced_keys(Floor("a" * 64), root("t", "s"))
    high = replace(noted, timestamp=9, snapshot=9, roles={"targets.json": 9})
    assert forget_replaced_keys(high, root("t", "s")) == high


@pytest.mark.parametrize(
    ("keys", "left"),
    [(("t2", "s"), (0, 0, {"targets.json": 9})), (("t", "s2"), (9, 0, {})), (("t2", "s2"), (0, 0, {}))],
)
def test_replaced_keys_take_along_what_they_signed(
    keys: tuple[str, str], left: tuple[int, int, dict[str, int]]
) -> None:
    noted = forget_replaced_keys(Floor("a" * 64, root=1), root("t", "s"))
    high = replace(noted, timestamp=9, snapshot=9, roles={"targets.json": 9})
    fallen = forget_replaced_keys(high, root(*keys))
    assert (fallen.timestamp, fallen.snapshot, fallen.roles) == left
    assert fallen.root == 1


def test_another_threshold_over_the_same_keys_is_another_set() -> None:
    noted = replace(forget_replaced_keys(Floor("a" * 64), root("t", "s")), timestamp=9)
    stricter = root("t", "s")
    stricter.roles["timestamp"].threshold = 2
    assert forget_replaced_keys(noted, stricter).timestamp == 0


def test_the_time_of_the_last_refresh_is_aware() -> None:
    assert Floor("a" * 64).reference_time == datetime(1970, 1, 1, tzinfo=UTC)
