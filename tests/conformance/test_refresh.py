"""The workflow of a refresh: what is asked for, what is kept, what is refused, role by role."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_common.trust.library import MetaFile
from tests.conformance.simulator import EVERYTHING, LISTS, Repository, new_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conformance.conftest import Client

FIRST = {"root": 1, "timestamp": 1, "snapshot": 1, "targets": 1}
ASKED = ["2.root", "timestamp", "1.snapshot", "1.targets"]


def past(days: float = 1) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) - timedelta(days=days)


def future(days: float) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)


def test_a_first_refresh_asks_for_each_role_once_in_order(repository: Repository, client: Client) -> None:
    assert client.refresh()
    assert repository.asked == ASKED
    assert client.trusted() == FIRST


def test_what_is_kept_are_the_served_bytes(repository: Repository, client: Client) -> None:
    for role in LISTS:
        repository.files[repository.name(role)] += b" \n"
    assert client.refresh()
    for role in EVERYTHING:
        assert client.file(role) == repository.latest(role)


def test_a_second_refresh_asks_whether_there_is_anything_new_and_no_more(
    repository: Repository, client: Client
) -> None:
    assert client.refresh()
    repository.asked.clear()
    assert client.refresh()
    assert repository.asked == ["2.root", "timestamp"]


def test_only_what_has_changed_is_fetched(repository: Repository, client: Client) -> None:
    assert client.refresh()
    repository.publish("snapshot", "timestamp")
    repository.asked.clear()
    assert client.refresh()
    assert repository.asked == ["2.root", "timestamp", "2.snapshot"]


def test_a_download_refreshes_first(repository: Repository, client: Client) -> None:
    assert client.misses("nothing of this name")
    assert repository.asked == ASKED
    assert client.trusted() == FIRST


def test_names_are_without_versions_where_snapshots_are_not_consistent(repository: Repository, client: Client) -> None:
    repository.root.consistent_snapshot = False
    repository.publish(*EVERYTHING)
    repository.publish(*LISTS)
    assert client.refresh()
    assert repository.asked == ["2.root", "3.root", "timestamp", "snapshot", "targets"]
    assert client.trusted() == {"root": 2, "timestamp": 3, "snapshot": 3, "targets": 3}


def test_a_repository_may_begin_to_be_consistent(repository: Repository, client: Client) -> None:
    repository.root.consistent_snapshot = False
    repository.publish("root")
    repository.publish(*LISTS)
    assert client.refresh()
    repository.root.consistent_snapshot = True
    repository.publish("root", *LISTS)
    repository.asked.clear()
    assert client.refresh()
    assert repository.asked == ["3.root", "4.root", "timestamp", "3.snapshot", "3.targets"]


def test_a_root_that_says_nothing_about_consistency_is_one_without(repository: Repository, client: Client) -> None:
    repository.root.consistent_snapshot = None
    repository.publish("root", *LISTS)
    assert client.refresh()
    assert repository.asked[2:] == ["timestamp", "snapshot", "targets"]


def without(data: bytes, field: str) -> bytes:
    document = json.loads(data)
    del document["signed"][field]
    return json.dumps(document).encode()


BROKEN_ROOTS: dict[str, Callable[[Repository], bytes]] = {
    "no version": lambda one: without(one.files["1.root.json"], "version"),
    "no roles": lambda one: without(one.files["1.root.json"], "roles"),
    "not signed": lambda one: one.sign("root", []),
    "signed by another key": lambda one: one.sign("root", [new_key()]),
    "another role": lambda one: one.latest("targets"),
    "no JSON": lambda _: b"root",
    "empty": lambda _: b"",
}


@pytest.mark.parametrize("kind", BROKEN_ROOTS)
def test_without_a_sound_first_root_nothing_is_asked(repository: Repository, client: Client, kind: str) -> None:
    client.init(BROKEN_ROOTS[kind](repository))
    assert not client.refresh()
    assert repository.asked == []


BEFORE: dict[str, dict[str, int]] = {
    "root": {"root": 1},
    "timestamp": {"root": 2},
    "snapshot": {"root": 2, "timestamp": 2},
    "targets": {"root": 2, "timestamp": 2, "snapshot": 2},
}
"""What is trusted when this role, at version 2 of all, is the first one that is not."""


@pytest.mark.parametrize("role", BEFORE)
def test_a_role_that_is_not_signed_ends_the_refresh_at_it(repository: Repository, client: Client, role: str) -> None:
    repository.keys[role] = []
    repository.publish("root", *LISTS)
    assert client.refused("UNSIGNED")
    assert client.trusted() == BEFORE[role]


@pytest.mark.parametrize("role", BEFORE)
def test_a_role_that_a_stranger_signed_ends_the_refresh_at_it(
    repository: Repository, client: Client, role: str
) -> None:
    repository.keys[role] = [new_key()]
    repository.publish("root", *LISTS)
    assert client.refused("UNSIGNED")
    assert client.trusted() == BEFORE[role]


@pytest.mark.parametrize("role", ["root", "snapshot", "targets"])
def test_another_version_than_the_name_says_is_refused(repository: Repository, client: Client, role: str) -> None:
    repository.publish("root", *LISTS)
    repository.signed[role].version = 7
    repository.files[f"2.{role}.json"] = repository.sign(role)
    assert client.refused("METADATA_MIXED")
    assert client.trusted() == BEFORE[role]


@pytest.mark.parametrize("role", BEFORE)
@pytest.mark.parametrize("data", [b"", b"\0" * 99, b"[]", b'{"signed": {}, "signatures": []}', b"\xff\xfe"])
def test_nonsense_in_the_place_of_a_role_is_refused(
    repository: Repository, client: Client, role: str, data: bytes
) -> None:
    repository.publish("root", *LISTS)
    repository.files[repository.name(role)] = data
    assert client.refused("METADATA_INVALID")
    assert client.trusted() == BEFORE[role]


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_a_role_that_is_not_there_is_asked_for_again_another_time(
    repository: Repository, client: Client, role: str
) -> None:
    assert client.refresh()
    repository.publish(*LISTS)
    gone = repository.name(role)
    kept = repository.files.pop(gone)
    assert client.refused("DOWNLOAD_FAILED")
    assert client.trusted() == FIRST | {key: value for key, value in BEFORE[role].items() if key != "root"}
    repository.files[gone] = kept
    assert client.refresh()


def test_a_snapshot_in_the_place_of_a_timestamp_is_refused_even_with_the_timestamps_signature(
    repository: Repository, client: Client
) -> None:
    repository.snapshot.meta = {"snapshot.json": MetaFile(1)}
    repository.files["timestamp.json"] = repository.sign("snapshot", repository.keys["timestamp"])
    assert client.refused("METADATA_INVALID")
    assert client.trusted() == {"root": 1}


@pytest.mark.parametrize("role", ["snapshot", "targets"])
@pytest.mark.parametrize("lie", ["hash", "length", "none"])
def test_length_and_hash_are_held_against_the_file_where_they_are_listed(
    repository: Repository, client: Client, role: str, lie: str
) -> None:
    repository.describes = True
    repository.publish(*LISTS)
    assert client.refresh()
    repository.publish("targets", "snapshot")
    listed = repository.timestamp.snapshot_meta if role == "snapshot" else repository.snapshot.meta["targets.json"]
    if lie == "hash":
        listed.hashes = {"sha256": "0" * 64}
    elif lie == "length":
        listed.length = (listed.length or 0) - 1
    if role == "targets":
        repository.serve("snapshot", repository.sign("snapshot"))
    repository.publish("timestamp")
    if lie == "none":
        assert client.refresh()
        return
    # One byte less than there is: more than was promised, so reading ends there.
    assert client.refused("METADATA_ENDLESS" if lie == "length" else "METADATA_MIXED")
    assert client.trusted()[role] == 2


EXPIRED = {
    "timestamp": {"root": 1, "timestamp": 1, "snapshot": 1, "targets": 1},
    "snapshot": {"root": 1, "timestamp": 2, "snapshot": 1, "targets": 1},
    "targets": {"root": 1, "timestamp": 2, "snapshot": 2, "targets": 1},
}


@pytest.mark.parametrize("role", EXPIRED)
def test_a_new_version_that_has_expired_is_not_taken(repository: Repository, client: Client, role: str) -> None:
    assert client.refresh()
    repository.signed[role].expires = past()
    repository.publish(*LISTS)
    assert client.refused("METADATA_FREEZE")
    assert client.trusted() == EXPIRED[role]


def test_an_expired_root_is_kept_and_ends_the_refresh(repository: Repository, client: Client) -> None:
    assert client.refresh()
    repository.root.expires = past()
    repository.publish("root", *LISTS)
    assert client.refused("METADATA_FREEZE")
    assert client.trusted() == FIRST | {"root": 2}


def test_an_expired_root_on_the_way_to_a_newer_one_does_not_matter(repository: Repository, client: Client) -> None:
    safe = repository.root.expires
    repository.root.expires = past()
    repository.publish("root")
    repository.root.expires = safe
    repository.publish("root")
    assert client.refresh()
    assert client.trusted()["root"] == 3


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_what_expires_here_meanwhile_is_refused_when_nothing_newer_is_shown(
    repository: Repository, client: Client, role: str
) -> None:
    repository.signed[role].expires = future(7)
    repository.publish(*LISTS)
    assert client.refresh()
    client.wait(days=8)
    assert client.refused("METADATA_FREEZE")


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_what_expired_here_does_not_stop_a_newer_version(repository: Repository, client: Client, role: str) -> None:
    repository.signed[role].expires = future(7)
    repository.publish(*LISTS)
    assert client.refresh()
    client.wait(days=8)
    repository.signed[role].expires = future(20)
    repository.publish(*LISTS)
    assert client.refresh()
    assert client.trusted() == {"root": 1, "timestamp": 3, "snapshot": 3, "targets": 3}


def test_an_expired_first_root_is_enough_to_come_to_a_newer_one(repository: Repository, client: Client) -> None:
    client.wait(days=31)
    repository.root.expires = future(60)
    for role in LISTS:
        repository.signed[role].expires = future(60)
    repository.publish("root", *LISTS)
    assert client.refresh()
    assert client.trusted()["root"] == 2


def test_another_content_of_the_same_timestamp_is_passed_over(repository: Repository, client: Client) -> None:
    assert client.refresh()
    before = client.file("timestamp")
    repository.timestamp.snapshot_meta.version = 100
    repository.publish("timestamp", raised=False)
    assert client.refresh()
    assert repository.asked[-1] == "timestamp"
    assert client.file("timestamp") == before


@pytest.mark.parametrize("version", ["1.0", "1.0.0", "1.0.34", "1.99.3"])
def test_a_specification_of_the_same_generation_is_read(repository: Repository, client: Client, version: str) -> None:
    for role in EVERYTHING:
        repository.signed[role].spec_version = version
    repository.publish("root", *LISTS)
    assert client.refresh()


@pytest.mark.parametrize("version", ["2.0.0", "0.9", "1", "1.x.0", "", "1.0.0.0"])
@pytest.mark.parametrize("role", BEFORE)
def test_another_specification_is_refused(repository: Repository, client: Client, role: str, version: str) -> None:
    repository.signed[role].spec_version = version
    repository.publish("root", *LISTS)
    assert client.refused("METADATA_INVALID")
    assert client.trusted() == BEFORE[role]


def test_fields_that_nobody_knows_are_signed_and_accepted_everywhere(repository: Repository, client: Client) -> None:
    extra: dict[str, Any] = {"x-note": {"deep": [1, "two", None, True], "": "empty"}}
    for role in EVERYTHING:
        repository.signed[role].unrecognized_fields = dict(extra)
    key = new_key()
    key.public_key.unrecognized_fields = dict(extra)
    repository.add_key("root", key)
    repository.root.roles["snapshot"].unrecognized_fields = dict(extra)
    repository.add_target("targets", "file", b"data").unrecognized_fields = {"custom": {"x": 1}, **extra}
    repository.publish("targets")
    repository.snapshot.meta["targets.json"].unrecognized_fields = dict(extra)
    repository.publish("snapshot", "timestamp", "root")
    assert client.refresh()
    assert client.signed("root")["x-note"] == extra["x-note"]
    assert client.download("file")


@pytest.mark.parametrize("role", BEFORE)
def test_a_field_that_nobody_knows_and_nobody_signed_is_refused(
    repository: Repository, client: Client, role: str
) -> None:
    repository.publish("root", *LISTS)
    document = json.loads(repository.latest(role))
    document["signed"]["x-note"] = 1
    repository.files[repository.name(role)] = json.dumps(document).encode()
    assert client.refused("UNSIGNED")


@pytest.mark.parametrize("role", BEFORE)
def test_a_number_that_has_no_normal_form_is_refused(repository: Repository, client: Client, role: str) -> None:
    repository.publish("root", *LISTS)
    document = json.loads(repository.latest(role))
    document["signed"]["x-note"] = 1.5
    repository.files[repository.name(role)] = json.dumps(document).encode()
    assert not client.refresh()
    assert client.trusted() == BEFORE[role]


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets", "root"])
def test_a_file_without_end_is_not_read_to_its_end(repository: Repository, client: Client, role: str) -> None:
    repository.publish("root", *LISTS)
    repository.files[repository.name(role)] += b" " * 5_000_000
    assert client.refused("METADATA_ENDLESS")
    assert client.trusted() == BEFORE[role]


def test_a_long_chain_of_roots_is_walked_in_more_than_one_refresh(repository: Repository, client: Client) -> None:
    for _ in range(260):
        repository.publish("root")
    assert client.refresh()
    assert client.trusted()["root"] == 257
    assert client.refresh()
    assert client.trusted()["root"] == 261
