"""Metadata of any shape whatever, by strangers and under stolen keys: refused in good order, or harmless."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fleetroll_common.trust.library import encode_canonical
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import FleetrollError
from fleetroll_publishing.roles import describe
from tests.faults.repositories import Host, Repository

REFUSALS = {
    Code.METADATA_ENDLESS,
    Code.METADATA_FREEZE,
    Code.METADATA_INVALID,
    Code.METADATA_MIXED,
    Code.METADATA_ROLLBACK,
    Code.DOWNLOAD_FAILED,
    Code.NOT_LISTED,
    Code.UNSIGNED,
    Code.WRONG_PRODUCT,
}
"""All that can be said about a repository; what is missing would be an error about this host."""

REPOSITORY = Repository()
FILES = {
    "timestamp": "timestamp.json",
    "snapshot": "2.snapshot.json",
    "targets": "1.targets.json",
    "products/agent": "2.products%2Fagent.json",
}
WAYS = st.lists(st.integers(0, 20), max_size=6)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def bent(value: Any, way: list[int], other: Any) -> Any:
    """Return ``value`` with the part at the end of ``way`` exchanged for ``other``."""
    if not way or not value or not isinstance(value, (dict, list)):
        return other
    if isinstance(value, list):
        index = way[0] % len(value)
        return [*value[:index], bent(value[index], way[1:], other), *value[index + 1 :]]
    key = sorted(value)[way[0] % len(value)]
    return {**value, key: bent(value[key], way[1:], other)}


@pytest.mark.timeout(300)
@given(role=st.sampled_from(sorted(FILES)), way=WAYS, other=JSON)
def test_a_strangers_nonsense_is_refused_by_an_error_with_a_code(role: str, way: list[int], other: Any) -> None:
    data = json.loads(REPOSITORY.files[FILES[role]])
    changed = bent(data, way, other)
    if changed == data:
        return
    with tempfile.TemporaryDirectory() as folder:
        source = Repository()
        source.forged = {FILES[role]: json.dumps(changed).encode()}
        with pytest.raises(FleetrollError) as caught:
            Host(Path(folder), source).update()
        assert caught.value.code in REFUSALS


def signed_anyhow(role: str, signed: Any) -> bytes:
    """Sign whatever it is with the key of ``role``, as its thief can."""
    key = REPOSITORY.signers.of(role)
    signature = key.sign(str(encode_canonical(signed)).encode()).to_dict()
    return json.dumps({"signatures": [signature], "signed": signed}).encode()


def listed_anyhow(role: str, data: bytes) -> dict[str, bytes | Exception]:
    """Return files in which lists above ``role`` name ``data`` under its old version."""
    forged: dict[str, bytes | Exception] = {FILES[role]: data}
    if role in {"targets", "products/agent"}:
        snapshot = json.loads(REPOSITORY.files[FILES["snapshot"]])["signed"]
        name = f"{role}.json"
        snapshot["meta"][name] = describe(snapshot["meta"][name]["version"], data).to_dict()
        forged |= listed_anyhow("snapshot", signed_anyhow("snapshot", snapshot))
    if role == "snapshot":
        timestamp = json.loads(REPOSITORY.files[FILES["timestamp"]])["signed"]
        timestamp["meta"]["snapshot.json"] = describe(2, data).to_dict()
        forged["timestamp.json"] = signed_anyhow("timestamp", timestamp)
    return forged


@pytest.mark.timeout(300)
@given(role=st.sampled_from(sorted(FILES)), way=WAYS, other=JSON)
@example(role="timestamp", way=[4], other=True)
@example(role="snapshot", way=[2, 1, 2], other=True)
@example(role="targets", way=[1, 1, 0, 0], other=[None])
@example(role="targets", way=[1, 1, 0, 1], other=None)
def test_nonsense_under_a_stolen_key_never_damages_the_host(role: str, way: list[int], other: Any) -> None:
    """Refused or taken, the folder stays readable: a new root can still bring the honest repository back."""
    signed = bent(json.loads(REPOSITORY.files[FILES[role]])["signed"], way, other)
    try:
        data = signed_anyhow(role, signed)
    except Exception:  # noqa: BLE001 (no signature exists for it, whoever holds the key)
        return
    with tempfile.TemporaryDirectory() as folder:
        source = Repository()
        source.forged = listed_anyhow(role, data)
        host = Host(Path(folder), source)
        for _ in range(2):
            try:
                host.update()
            except FleetrollError as error:
                assert error.code in REFUSALS, error  # noqa: PT017 (it may as well be taken)
            host.restart()
        source.forged.clear()
        source.rotate_online("second ")
        host.update()


@pytest.mark.parametrize("meta", [[], None, {"x": 1}, {"x": {"version": True}}])
def test_fields_of_later_formats_are_no_business_of_this_one(tmp_path: Path, meta: Any) -> None:
    """A field that other roles have means nothing in this one."""
    signed = json.loads(REPOSITORY.files[FILES["targets"]])["signed"] | {"meta": meta}
    source = Repository()
    source.forged = listed_anyhow("targets", signed_anyhow("targets", signed))
    assert Host(tmp_path, source).update() == ("1.0.0",)


@pytest.mark.parametrize("version", [True, 2.0, "2", None, [2], -1, 0])
@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets", "products/agent"])
def test_a_version_that_is_no_whole_number_is_refused(tmp_path: Path, role: str, version: Any) -> None:
    """True passes for 1 in comparisons, and is another thing on disk."""
    signed = json.loads(REPOSITORY.files[FILES[role]])["signed"] | {"version": version}
    key = REPOSITORY.signers.of(role)
    source = Repository()
    text = json.dumps(signed, sort_keys=True, separators=(",", ":")).encode()
    data = json.dumps({"signatures": [key.sign(text).to_dict()], "signed": signed}).encode()
    source.forged = listed_anyhow(role, data)
    host = Host(tmp_path, source)
    with pytest.raises(FleetrollError) as caught:
        host.update()
    assert caught.value.code is Code.METADATA_INVALID
