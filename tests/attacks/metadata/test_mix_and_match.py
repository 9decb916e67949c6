"""Mix and match: files that are genuine, each of another time."""

from __future__ import annotations

from typing import Any

import pytest

from fleetroll_common.values.codes import Code
from tests.faults.repositories import Host, Repository

LISTS = ("timestamp.json", "snapshot.json", "targets.json", "floor.json")


def newer(repository: Repository) -> None:
    """Publish, with a new version of every role below the root."""
    repository.signed_by_thief("targets", lambda _: None)
    repository.adopt()
    repository.publish("1.1.0")


def test_an_older_snapshot_under_a_newer_timestamp_is_mixed(host: Host, repository: Repository) -> None:
    newer(repository)
    repository.forged["4.snapshot.json"] = repository.files["2.snapshot.json"]
    error = host.refuses(Code.METADATA_MIXED, kept=LISTS)
    assert error.details["role"] == "snapshot"


def test_an_older_targets_role_under_a_newer_snapshot_is_mixed(host: Host, repository: Repository) -> None:
    newer(repository)
    repository.forged["2.targets.json"] = repository.files["1.targets.json"]
    error = host.refuses(Code.METADATA_MIXED, kept=LISTS)
    assert error.details["role"] == "targets"


def test_an_older_product_role_under_a_newer_snapshot_is_mixed(host: Host, repository: Repository) -> None:
    newer(repository)
    repository.forged["3.products%2Fagent.json"] = repository.files["2.products%2Fagent.json"]
    error = host.refuses(Code.METADATA_MIXED, kept=LISTS, lists=False)
    assert error.details["role"] == "products/agent"


@pytest.mark.parametrize("name", ["3.snapshot.json", "3.products%2Fagent.json"])
def test_a_second_file_of_the_same_version_is_mixed(host: Host, repository: Repository, name: str) -> None:
    """Two publishers with the same key: the lists name one of the two by its hash."""
    twin = Repository()
    twin.publish("1.9.0")
    repository.publish("1.1.0")
    assert twin.files[name] != repository.files[name]
    repository.forged[name] = twin.files[name]
    host.refuses(Code.METADATA_MIXED, kept=LISTS, lists=name.startswith("3.s"))


def test_lists_without_hashes_still_pin_the_version(host: Host, repository: Repository) -> None:
    """Hashes are optional in the format; a repository made by other tools may leave them out."""
    newer(repository)

    def forget_hash(timestamp: Any) -> None:
        timestamp.snapshot_meta.hashes = timestamp.snapshot_meta.length = None

    repository.forged["timestamp.json"] = repository.signed_by_thief("timestamp", forget_hash)
    repository.forged["4.snapshot.json"] = repository.files["2.snapshot.json"]
    host.refuses(Code.METADATA_MIXED, kept=LISTS)


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("timestamp.json", "2.snapshot.json"),
        ("timestamp.json", "1.root.json"),
        ("3.snapshot.json", "timestamp.json"),
        ("2.root.json", "1.targets.json"),
    ],
)
def test_the_file_of_another_role_is_no_such_file(host: Host, repository: Repository, name: str, instead: str) -> None:
    repository.publish("1.1.0")
    repository.forged[name] = repository.files[instead]
    host.refuses(Code.METADATA_INVALID, kept=LISTS)


def test_a_role_that_is_delegated_and_in_no_snapshot_is_mixed(host: Host, repository: Repository) -> None:
    """The lists are of different times: one knows the product, the other does not yet."""

    def delegate(targets: Any) -> None:
        roles = targets.delegations.roles
        agent = roles["products/agent"]
        roles["products/shop"] = type(agent)("products/shop", agent.keyids, 1, terminating=True, paths=["shop/*/*"])

    repository.signed_by_thief("targets", delegate)
    host.client.refresh()
    assert host.versions() == ("1.0.0",)
    error = host._refused(lambda: host.versions("shop"), (Code.METADATA_MIXED,))
    assert error.details["role"] == "products/shop"


def test_an_unknown_product_is_not_listed(host: Host) -> None:
    error = host._refused(lambda: host.versions("shop"), (Code.NOT_LISTED,))
    assert error.details["role"] == "products/shop"
