"""Signed metadata that hosts show: what is genuine and newer is followed, and nothing else moves a number."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import TrustError
from fleetroll_publishing.keys import PrivateKey
from fleetroll_publishing.repository import TargetFile, create, publish_targets, refresh_timestamp
from fleetroll_publishing.roles import read_repository, sign_role
from fleetroll_server.catalogue.keys import managed_roles, role_signers
from fleetroll_server.recovery.shown_files import followed, verified

if TYPE_CHECKING:
    from collections.abc import Mapping

NOW = datetime(2026, 11, 1, tzinfo=UTC)
ROOT = tuple(PrivateKey.generate() for _ in range(3))
KEYS = {role: PrivateKey.generate() for role in managed_roles(("agent", "shop"))}
SIGNERS = role_signers(KEYS, ROOT)
FOREIGN = role_signers({role: PrivateKey.generate() for role in KEYS}, tuple(PrivateKey.generate() for _ in range(3)))
FIRST = create(("agent", "shop"), SIGNERS, NOW)


def published(files: Mapping[str, bytes], number: int) -> dict[str, bytes]:
    custom = {"product": "agent", "version": f"1.{number}.0"}
    target = {f"agent/1.{number}.0/linux-x86_64-cp311.tar.zst": TargetFile(9, "ab" * 32, custom)}
    return {**files, **publish_targets(files, "agent", target, SIGNERS, NOW)}


def shown(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """What a host that has refreshed trusts, by name without version."""
    repository = read_repository(files)
    return {
        "timestamp.json": files["timestamp.json"],
        "snapshot.json": files[f"{repository.snapshot.version}.snapshot.json"],
        "targets.json": files[f"{repository.targets.version}.targets.json"],
        "products%2Fagent.json": files[f"{repository.products['agent'].version}.products%2Fagent.json"],
    }


def test_a_newer_role_is_taken_over_and_signed_above_what_was_seen() -> None:
    lost = published(published(FIRST, 1), 2)
    lost |= refresh_timestamp(lost, SIGNERS, NOW)
    found = verified(read_repository(FIRST), shown(lost), NOW)
    after = read_repository({**FIRST, **followed(FIRST, SIGNERS, NOW + timedelta(hours=1), found)})
    seen = read_repository(lost)
    assert after.timestamp.version == seen.timestamp.version + 1
    assert after.snapshot.version == seen.snapshot.version + 1
    assert after.products["agent"].version == seen.products["agent"].version
    assert set(after.products["agent"].targets) == set(seen.products["agent"].targets)


def test_what_the_server_has_itself_moves_nothing() -> None:
    assert not verified(read_repository(FIRST), shown(FIRST), NOW).raises(read_repository(FIRST))


def test_numbers_without_the_right_signatures_move_nothing() -> None:
    foreign = create(("agent", "shop"), FOREIGN, NOW)
    for _ in range(5):
        foreign |= refresh_timestamp(foreign, FOREIGN, NOW)
    found = verified(read_repository(FIRST), shown(foreign), NOW)
    assert not found.raises(read_repository(FIRST))
    assert (found.timestamp, found.snapshot, dict(found.roles)) == (0, 0, {})


@pytest.mark.parametrize("name", ["timestamp.json", "snapshot.json", "targets.json", "products%2Fagent.json"])
def test_one_role_in_the_place_of_another_moves_nothing(name: str) -> None:
    lost = shown(published(FIRST, 1))
    for other in set(lost) - {name}:
        found = verified(read_repository(FIRST), {name: lost[other]}, NOW)
        assert not found.raises(read_repository(FIRST)), other


@pytest.mark.parametrize("height", [2**53 + 1, 2**63, 10**4000])
@pytest.mark.parametrize("role", ["timestamp", "snapshot"])
def test_a_version_that_hosts_refuse_moves_nothing(role: str, height: int) -> None:
    """Under the right key, too: no message of the protocol holds it, nor what would be signed above it."""
    signed = getattr(read_repository(FIRST), role)
    signed.version = height
    found = verified(read_repository(FIRST), {f"{role}.json": sign_role(signed, SIGNERS.every(role))}, NOW)
    assert not found.raises(read_repository(FIRST))


def test_nothing_is_signed_above_the_highest_version_that_hosts_take() -> None:
    timestamp = read_repository(FIRST).timestamp
    timestamp.version = 2**53
    shown_files = {"timestamp.json": sign_role(timestamp, SIGNERS.every("timestamp"))}
    found = verified(read_repository(FIRST), shown_files, NOW)
    with pytest.raises(TrustError) as caught:
        followed(FIRST, SIGNERS, NOW, found)
    assert caught.value.code is Code.METADATA_INVALID


def test_a_product_of_a_height_that_hosts_refuse_is_not_said_to_be_missing() -> None:
    snapshot = read_repository(FIRST).snapshot
    snapshot.version += 1
    snapshot.meta["products/agent.json"].version = 2**63
    shown_files = {"snapshot.json": sign_role(snapshot, SIGNERS.every("snapshot"))}
    assert not verified(read_repository(FIRST), shown_files, NOW).missing


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b"[" * 9000])
def test_nonsense_moves_nothing(data: bytes) -> None:
    assert not verified(read_repository(FIRST), dict.fromkeys(shown(FIRST), data), NOW).raises(read_repository(FIRST))


def test_a_role_that_only_the_snapshot_names_newer_is_said_to_be_missing() -> None:
    lost = shown(published(FIRST, 1))
    lost.pop("products%2Fagent.json")
    assert verified(read_repository(FIRST), lost, NOW).missing == {"products/agent": 2}


def without(files: Mapping[str, bytes], number: int, until: timedelta = timedelta(days=300)) -> dict[str, bytes]:
    """A role that is signed as it should be, and is not what the last one promised."""
    role = read_repository(files).product("agent")
    role.version += 1
    role.expires = NOW + until
    for path in [path for path in role.targets if path.startswith(f"agent/1.{number}.0/")]:
        del role.targets[path]
    return {"products%2Fagent.json": sign_role(role, SIGNERS.every("products/agent"))}


def test_a_role_from_which_something_is_gone_without_a_verb_is_not_taken() -> None:
    here = published(FIRST, 1)
    found = verified(read_repository(here), without(here, 1), NOW)
    assert dict(found.roles) == {}
    assert "gone" in found.refused["products/agent"]


def test_a_role_that_is_valid_for_ever_is_not_taken() -> None:
    here = published(FIRST, 1)
    found = verified(read_repository(here), without(here, 2, timedelta(days=4000)), NOW)
    assert dict(found.roles) == {}
    assert "valid until" in found.refused["products/agent"]
    assert set(verified(read_repository(here), without(here, 2), NOW).roles) == {"products/agent"}
