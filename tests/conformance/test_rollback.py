"""Old, mixed and much too new: what a repository may show again, and how it recovers from a stolen key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conformance.simulator import EVERYTHING, LISTS, Repository

if TYPE_CHECKING:
    from tests.conformance.conftest import Client

HIGH = 99_999


def go_on(repository: Repository, client: Client, times: int = 2) -> None:
    """Publish everything but the root some more times, and let the client see it."""
    for _ in range(times):
        repository.publish(*LISTS)
    assert client.refresh()


def show(repository: Repository, role: str, version: int) -> None:
    """Publish a role at exactly this version."""
    repository.signed[role].version = version
    repository.publish(role, raised=False)


@pytest.mark.parametrize("describes", [False, True], ids=["versions alone", "with hashes"])
class TestRollback:
    """Of one role, named by the lists above it."""

    def test_of_the_timestamp(self, repository: Repository, client: Client, describes: bool) -> None:
        repository.describes = describes
        go_on(repository, client)
        show(repository, "timestamp", 2)
        assert client.refused("METADATA_ROLLBACK")
        assert client.trusted()["timestamp"] == 3

    def test_of_the_snapshot(self, repository: Repository, client: Client, describes: bool) -> None:
        repository.describes = describes
        go_on(repository, client)
        show(repository, "snapshot", 2)
        repository.publish("timestamp")
        assert client.refused("METADATA_ROLLBACK")
        assert client.trusted() == {"root": 1, "timestamp": 3, "snapshot": 3, "targets": 3}

    def test_of_the_targets(self, repository: Repository, client: Client, describes: bool) -> None:
        repository.describes = describes
        go_on(repository, client)
        show(repository, "targets", 2)
        repository.publish("snapshot", "timestamp")
        assert client.refused("METADATA_ROLLBACK")
        assert client.trusted() == {"root": 1, "timestamp": 4, "snapshot": 3, "targets": 3}

    def test_of_a_delegated_role(self, repository: Repository, client: Client, describes: bool) -> None:
        repository.describes = describes
        repository.delegate("targets", "A")
        for _ in range(3):
            repository.publish("A", *LISTS)
        assert client.misses("nothing")
        show(repository, "A", 2)
        repository.publish("snapshot", "timestamp")
        assert client.refused("METADATA_ROLLBACK")
        assert client.trusted()["A"] == 4

    def test_of_a_role_that_is_gone_from_the_snapshot(
        self, repository: Repository, client: Client, describes: bool
    ) -> None:
        repository.describes = describes
        repository.delegate("targets", "A")
        repository.publish("A", *LISTS)
        assert client.misses("nothing")
        del repository.snapshot.meta["A.json"]
        repository.publish("snapshot", "timestamp")
        assert client.refused("METADATA_ROLLBACK")


def test_an_older_root_under_the_next_name_is_refused(repository: Repository, client: Client) -> None:
    repository.publish("root")
    assert client.refresh()
    repository.files["3.root.json"] = repository.files["1.root.json"]
    assert client.refused("METADATA_ROLLBACK")
    assert client.trusted()["root"] == 2


def test_a_whole_older_repository_is_refused(repository: Repository, client: Client) -> None:
    before = dict(repository.files)
    go_on(repository, client)
    repository.files = before
    assert client.refused("METADATA_ROLLBACK")
    assert client.trusted() == {"root": 1, "timestamp": 3, "snapshot": 3, "targets": 3}


@pytest.mark.parametrize("lost", [*LISTS, "all"])
@pytest.mark.parametrize("how", ["truncated", "removed"])
def test_a_whole_older_repository_is_refused_by_a_client_whose_files_are_damaged(
    repository: Repository, client: Client, lost: str, how: str
) -> None:
    before = dict(repository.files)
    go_on(repository, client)
    for role in LISTS if lost == "all" else (lost,):
        file = client.metadata / "own" / "trust" / f"{role}.json"
        file.write_bytes(b"") if how == "truncated" else file.unlink()
    repository.files = before
    assert client.refused("METADATA_ROLLBACK")


def test_an_old_snapshot_that_is_served_under_the_new_name_is_refused(repository: Repository, client: Client) -> None:
    go_on(repository, client)
    repository.publish(*LISTS)
    repository.files["4.snapshot.json"] = repository.files["3.snapshot.json"]
    assert client.refused("METADATA_MIXED")
    assert client.trusted() == {"root": 1, "timestamp": 4, "snapshot": 3, "targets": 3}


def test_old_targets_that_are_served_under_the_new_name_are_refused(repository: Repository, client: Client) -> None:
    go_on(repository, client)
    repository.publish(*LISTS)
    repository.files["4.targets.json"] = repository.files["3.targets.json"]
    assert client.refused("METADATA_MIXED")
    assert client.trusted() == {"root": 1, "timestamp": 4, "snapshot": 4, "targets": 3}


def test_a_snapshot_that_the_timestamp_does_not_name_is_not_asked_for(repository: Repository, client: Client) -> None:
    go_on(repository, client)
    repository.signed["snapshot"].version += 1
    repository.files["4.snapshot.json"] = repository.sign("snapshot")
    assert client.refresh()
    assert repository.asked[-1] == "timestamp"
    assert client.trusted()["snapshot"] == 3


def test_a_snapshot_newer_than_the_timestamp_names_is_refused_where_names_have_no_versions(
    repository: Repository, client: Client
) -> None:
    repository.root.consistent_snapshot = False
    repository.publish("root", *LISTS)
    assert client.refresh()
    repository.publish("timestamp")
    repository.signed["snapshot"].version = 5
    repository.files["snapshot.json"] = repository.sign("snapshot")
    repository.timestamp.snapshot_meta.version = 3
    repository.publish("timestamp")
    assert not client.refresh()
    assert client.trusted()["snapshot"] == 2


def test_a_timestamp_of_astronomic_height_is_left_behind_by_new_keys(repository: Repository, client: Client) -> None:
    show(repository, "timestamp", HIGH)
    assert client.refresh()
    repository.exchange_keys("timestamp")
    show(repository, "timestamp", 1)
    repository.publish("root")
    assert client.refresh()
    assert client.trusted()["timestamp"] == 1


def test_a_snapshot_of_astronomic_height_is_left_behind_by_new_keys(repository: Repository, client: Client) -> None:
    show(repository, "snapshot", HIGH)
    repository.publish("timestamp")
    assert client.refresh()
    repository.exchange_keys("snapshot")
    repository.exchange_keys("timestamp")
    show(repository, "snapshot", 2)
    repository.publish("timestamp", "root")
    assert client.refresh()
    assert client.trusted()["snapshot"] == 2


@pytest.mark.parametrize("role", ["targets", "A"])
def test_targets_of_astronomic_height_are_left_behind_by_a_new_key_of_the_snapshot(
    repository: Repository, client: Client, role: str
) -> None:
    repository.delegate("targets", "A")
    repository.publish("A", *LISTS)
    show(repository, role, HIGH)
    repository.publish("snapshot", "timestamp")
    assert client.misses("nothing")
    assert client.trusted()[role] == HIGH
    repository.exchange_keys("snapshot")
    show(repository, role, 3)
    repository.publish("snapshot", "timestamp", "root")
    assert client.misses("nothing")
    assert client.trusted()[role] == 3


@pytest.mark.parametrize("role", LISTS)
def test_the_same_keys_recover_nothing(repository: Repository, client: Client, role: str) -> None:
    show(repository, role, HIGH)
    repository.publish(*[name for name in ("snapshot", "timestamp") if name != role])
    assert client.refresh()
    show(repository, role, 2)
    repository.publish(*[name for name in ("snapshot", "timestamp") if name != role], "root")
    assert client.refused("METADATA_ROLLBACK")


def test_after_a_recovery_the_new_height_counts(repository: Repository, client: Client) -> None:
    show(repository, "timestamp", HIGH)
    assert client.refresh()
    repository.exchange_keys("timestamp")
    show(repository, "timestamp", 5)
    repository.publish("root")
    assert client.refresh()
    show(repository, "timestamp", 4)
    assert client.refused("METADATA_ROLLBACK")


def test_everything_anew_under_higher_versions_is_taken(repository: Repository, client: Client) -> None:
    go_on(repository, client)
    for role in EVERYTHING:
        repository.exchange_keys(role) if role != "root" else repository.add_key("root")
    repository.publish("root", *LISTS)
    assert client.refresh()
    assert client.trusted() == {"root": 2, "timestamp": 4, "snapshot": 4, "targets": 4}
