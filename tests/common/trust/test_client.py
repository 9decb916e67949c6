"""The client in everyday use; what it refuses stands among the attacks."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError, TrustError
from fleetroll_publishing import repository as building
from tests.faults.repositories import BUILT_AT, START, Host, Repository, entry, path_of, role_signers

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def repository() -> Repository:
    return Repository(("agent", "shop"))


@pytest.fixture
def host(tmp_path: Path, repository: Repository) -> Host:
    return Host(tmp_path, repository)


def test_nothing_is_touched_before_the_first_question(host: Host, repository: Repository) -> None:
    assert not host.folder.exists()
    assert repository.asked == []
    assert host.client.timestamp_version == 0
    assert host.client.host_files() == {}


def test_what_has_surely_passed_is_the_last_refresh_and_the_making_of_this_program(host: Host) -> None:
    """So a clock that shows less is known to be wrong; one that was set back moves nothing."""
    assert host.client.known_time == BUILT_AT
    host.update()
    host.clock.jump(-3 * 365 * 86400)
    host.restart()
    assert host.client.known_time == START


def test_a_first_question_refreshes_by_itself(host: Host) -> None:
    assert host.versions() == ("1.0.0",)


def test_later_questions_are_answered_without_the_source(host: Host, repository: Repository) -> None:
    host.update()
    repository.asked.clear()
    target = host.client.target(path_of("1.0.0"))
    assert repository.asked == []
    listed = entry("1.0.0")
    assert (target.length, target.sha256, target.custom) == (listed.length, listed.sha256, listed.custom)


def test_a_refresh_shows_what_was_published(host: Host, repository: Repository) -> None:
    host.update()
    repository.publish("1.1.0")
    assert host.versions() == ("1.0.0",)
    assert host.update() == ("1.1.0", "1.0.0")


def test_an_unchanged_refresh_asks_for_two_files(host: Host, repository: Repository) -> None:
    """The next root, which is not there, and the timestamp: the cached files serve for the rest, over a restart too."""
    host.update()
    repository.asked.clear()
    host.restart()
    assert host.update() == ("1.0.0",)
    assert repository.asked == ["2.root.json", "timestamp.json"]


def test_only_the_roles_of_products_that_are_asked_for_are_fetched(host: Host, repository: Repository) -> None:
    host.update("agent")
    assert not any("shop" in name for name in repository.asked)
    host.update("shop")
    assert "2.products%2Fshop.json" in repository.asked


def test_a_product_added_later_is_seen(host: Host, repository: Repository) -> None:
    host.update()
    repository.signers = role_signers(("agent", "shop", "till"))
    repository.files |= building.add_product(repository.files, "till", repository.signers, repository.now)
    assert host.update("till") == ()
    repository.publish("0.1.0", "till")
    assert host.update("till") == ("0.1.0",)
    assert host.update("agent") == ("1.0.0",)


def test_the_timestamp_version_follows_the_repository(host: Host, repository: Repository) -> None:
    host.update()
    before = host.client.timestamp_version
    repository.refresh_timestamp()
    host.update()
    assert host.client.timestamp_version == before + 1


def test_a_host_shows_its_trusted_files_as_they_were_signed(host: Host, repository: Repository) -> None:
    host.update("agent")
    host.update("shop")
    newest = repository.files
    assert host.client.host_files() == {
        "timestamp.json": newest["timestamp.json"],
        "snapshot.json": newest["3.snapshot.json"],
        "targets.json": newest["1.targets.json"],
        "products%2Fagent.json": newest["2.products%2Fagent.json"],
        "products%2Fshop.json": newest["2.products%2Fshop.json"],
        "1.root.json": newest["1.root.json"],
    }


def test_a_host_shows_its_newest_roots(host: Host, repository: Repository) -> None:
    for number in range(20):
        repository.rotate_online(f"online-{number}")
    host.update("agent")
    shown = host.client.host_files()
    roots = {name: data for name, data in shown.items() if name.endswith(".root.json")}
    assert roots == {f"{version}.root.json": repository.files[f"{version}.root.json"] for version in range(6, 22)}


def test_the_folder_holds_private_files_and_no_links(host: Host) -> None:
    host.update()
    paths = [host.folder, *host.folder.rglob("*")]
    assert not any(path.is_symlink() for path in paths)
    assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in paths if path.is_file()} == {0}
    assert stat.S_IMODE(host.folder.stat().st_mode) == 0o700
    assert sorted(host.state()) == [
        "floor.json",
        "products%2Fagent.json",
        "root_history/1.root.json",
        "snapshot.json",
        "targets.json",
        "timestamp.json",
    ]


@pytest.mark.parametrize("product", ["", "Agent", "a/b", "..", "a" * 64])
def test_what_is_no_product_name_is_the_callers_fault(host: Host, product: str) -> None:
    with pytest.raises(RequestError) as caught:
        host.client.targets(product)
    assert caught.value.code is Code.INVALID_ARGUMENT


def test_a_refused_product_blocks_no_other(host: Host, repository: Repository) -> None:
    host.update("agent")
    repository.forged["2.products%2Fshop.json"] = b"broken"
    with pytest.raises(TrustError):
        host.update("shop")
    assert host.update("agent") == ("1.0.0",)
