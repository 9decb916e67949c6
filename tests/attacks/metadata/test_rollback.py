"""Rollback: metadata that was genuine once, shown to a host that has seen newer."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_common.values.codes import Code
from fleetroll_publishing.roles import describe
from tests.faults.repositories import Host, Repository

if TYPE_CHECKING:
    from pathlib import Path

HUGE = 2**40
LISTS = ("timestamp.json", "floor.json")


def test_a_replayed_old_repository_is_refused(host: Host, repository: Repository) -> None:
    old = repository.frozen()
    repository.publish("1.1.0")
    assert host.update() == ("1.1.0", "1.0.0")
    repository.shown = old
    error = host.refuses(Code.METADATA_ROLLBACK)
    assert error.details["role"] == "timestamp"


def test_an_old_timestamp_over_the_same_snapshot_is_refused(host: Host, repository: Repository) -> None:
    old = repository.frozen()
    repository.refresh_timestamp()
    host.update()
    repository.shown = old
    host.refuses(Code.METADATA_ROLLBACK)


def test_a_newer_timestamp_over_an_older_snapshot_is_refused(host: Host, repository: Repository) -> None:
    """The thief of the timestamp key."""
    old = repository.frozen()
    repository.publish("1.1.0")
    host.update()
    listed = Repository()
    listed.files = old

    def name_old_snapshot(timestamp: Any) -> None:
        timestamp.version += 5

    repository.forged["timestamp.json"] = listed.signed_by_thief("timestamp", name_old_snapshot)
    host.refuses(Code.METADATA_ROLLBACK)


@pytest.mark.parametrize("name", ["targets.json", "products/agent.json"])
def test_a_newer_snapshot_with_an_older_role_is_refused(host: Host, repository: Repository, name: str) -> None:
    """The thief of the snapshot and timestamp keys."""
    repository.signed_by_thief("targets", lambda _: None)
    repository.adopt()
    host.update()

    def lower(snapshot: Any) -> None:
        snapshot.meta[name].version -= 1

    repository.signed_by_thief("snapshot", lower)
    error = host.refuses(Code.METADATA_ROLLBACK, kept=LISTS)
    assert error.details["role"] == "snapshot"


@pytest.mark.parametrize("name", ["targets.json", "products/agent.json"])
def test_a_role_that_vanishes_from_the_snapshot_is_refused(host: Host, repository: Repository, name: str) -> None:
    def drop(snapshot: Any) -> None:
        del snapshot.meta[name]

    repository.signed_by_thief("snapshot", drop)
    error = host.refuses(Code.METADATA_ROLLBACK, kept=LISTS)
    assert error.details["role"] == "snapshot"


def test_an_old_root_in_the_place_of_the_next_is_refused(host: Host, repository: Repository) -> None:
    repository.forged["2.root.json"] = repository.root
    error = host.refuses(Code.METADATA_ROLLBACK)
    assert error.details["role"] == "root"


def test_a_repository_from_before_a_root_is_refused(host: Host, repository: Repository) -> None:
    """Under the old root the stolen, replaced keys would count again."""
    old = repository.frozen()
    repository.rotate_online("second ")
    assert host.update() == ("1.0.0",)
    repository.shown = old
    host.refuses(Code.UNSIGNED, Code.METADATA_ROLLBACK)


def test_a_stolen_timestamp_key_stays_stolen_for_a_fresh_host_only_until_it_sees_the_new_root(
    tmp_path: Path, repository: Repository
) -> None:
    old_key = repository.signers.timestamp
    repository.rotate_online("second ")
    host = Host(tmp_path, repository)
    host.update()
    repository.signed_by_thief("timestamp", lambda _: None, by=old_key)
    host.refuses(Code.UNSIGNED)


def test_fast_forward_cannot_be_undone_without_a_new_root(host: Host, repository: Repository) -> None:
    """The thief of the timestamp key signs an astronomic version; the honest repository is then the older one."""

    def far(timestamp: Any) -> None:
        timestamp.version = HUGE

    repository.signed_by_thief("timestamp", far)
    host.update()
    repository.forged.clear()
    repository.now += timedelta(hours=1)
    repository.refresh_timestamp()
    host.refuses(Code.METADATA_ROLLBACK)


@pytest.mark.parametrize("restarted", [False, True])
def test_a_new_root_with_new_online_keys_recovers_from_fast_forward(
    host: Host, repository: Repository, restarted: bool
) -> None:
    """Of timestamp, snapshot and every role at once: all online keys were stolen."""

    def far(snapshot: Any) -> None:
        snapshot.version = HUGE
        for meta in snapshot.meta.values():
            meta.version = HUGE

    repository.signed_by_thief("snapshot", far)
    repository.signed_by_thief("timestamp", lambda timestamp: _point(timestamp, repository))
    error = host._refused(host.update, (Code.DOWNLOAD_FAILED,))
    assert f"{HUGE}.targets.json" in error.message
    repository.forged.clear()
    host._refused(host.update, (Code.METADATA_ROLLBACK,))
    repository.rotate_online("second ")
    repository.publish("1.1.0")
    if restarted:
        host.restart()
    assert host.update() == ("1.1.0", "1.0.0")
    repository.signed_by_thief("timestamp", lambda _: None)
    host.update()


def test_after_recovery_the_new_versions_are_the_floor(host: Host, repository: Repository) -> None:
    repository.rotate_online("second ")
    after = repository.frozen()
    repository.publish("1.1.0")
    host.update()
    repository.shown = after
    host.refuses(Code.METADATA_ROLLBACK)


def _point(timestamp: Any, repository: Repository) -> None:
    """Let a timestamp of astronomic version name the snapshot of astronomic version."""
    data = repository.forged[f"{HUGE}.snapshot.json"]
    assert isinstance(data, bytes)
    timestamp.version = HUGE
    timestamp.snapshot_meta = describe(HUGE, data)
