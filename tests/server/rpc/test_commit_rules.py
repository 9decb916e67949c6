"""What a commit may say about releases, floors and anchors, whoever signed it: held against rows and hosts."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_common.trust.listing import role_name
from fleetroll_common.values.anchors import Anchors
from fleetroll_common.values.platform import Platform
from fleetroll_common.values.release import ReleaseCustom
from fleetroll_common.values.version import Version
from fleetroll_publishing.anchoring import sign_anchors
from fleetroll_publishing.demands import TargetFile
from fleetroll_publishing.roles import file_name, read_repository, sign_role
from fleetroll_publishing.signers import RoleSigners
from fleetroll_publishing.verbs import Publish, Revoke, SetFloor, Yank, changed_role, sign_product
from fleetroll_server.certificates import make_ca
from tests.faults.publishers import Publisher, root_keys
from tests.faults.ruling import Ruler, floor, yank
from tests.faults.stocks import NEW, NEWER
from tests.server.engine.conftest import stock_once, world_on_each

if TYPE_CHECKING:
    from tests.faults.worlds import World

__all__ = ["stock_once", "world_on_each"]

CUSTOM = ReleaseCustom(
    product="agent",
    version=Version.parse("3.0.0"),
    channels=("stable",),
    platform=Platform("linux", "x86_64", "cp311"),
    git_sha="abcdef0",
    tar_sha256="0" * 64,
    tar_bytes=100,
    manifest_sha256="1" * 64,
    file_count=1,
    entry_point="main.py",
    protocol=1,
    migrations_required=False,
    breaking_changes=None,
    released_at=datetime(2026, 3, 1, tzinfo=UTC),
)


@pytest.fixture
async def publisher(world_on_each: World, installed_once: Any) -> Publisher:
    """Somebody who holds all keys but the online ones."""
    publisher = Publisher(world_on_each, RoleSigners(root_keys(installed_once.root_keys)))
    await publisher.commit(await publisher.go_offline())
    return publisher


async def changed(publisher: Publisher, *changes: Any) -> dict[str, bytes]:
    """Return the agent's next role."""
    role = read_repository(await publisher.files()).product("agent")
    after = changed_role("agent", role, changes)
    data = sign_product(after, publisher.signers.every(role_name("agent")), publisher.world.services.clock.now())
    return {file_name(role_name("agent"), after.version): data}


def listing(custom: ReleaseCustom, path: str = "") -> Publish:
    sha256 = hashlib.sha256(str(custom.version).encode()).hexdigest()
    return Publish({path or custom.target_path: TargetFile(10, sha256, custom.to_json())})


async def test_a_dirty_build_is_listed_by_nobody_outside_of_a_demo(publisher: Publisher, refusal: Any) -> None:
    """Whoever signs it: a managed server refuses its own, and this one what comes from elsewhere."""
    files = await changed(publisher, listing(replace(CUSTOM, git_sha="abcdef0+dirty")))
    await publisher.commit(files, dry_run=True)
    object.__setattr__(publisher.world.services, "demo", False)
    why = await refusal(publisher.commit(files, dry_run=True))
    assert (why.code, why.facts["field"]) == ("INVALID_ARGUMENT", "git_sha")
    await publisher.commit(await changed(publisher, listing(CUSTOM)), dry_run=True)


async def test_a_file_stands_where_its_description_says_and_nowhere_else(publisher: Publisher, refusal: Any) -> None:
    """Two files for one platform would have two paths."""
    path = "agent/3.0.0/linux-x86_64-cp312.tar.zst"
    role = read_repository(await publisher.files()).product("agent")
    after = changed_role("agent", role, [listing(CUSTOM), listing(CUSTOM, path)])
    data = sign_product(after, publisher.signers.every(role_name("agent")), publisher.world.services.clock.now())
    name = file_name(role_name("agent"), after.version)
    why = await refusal(publisher.commit({name: data}, dry_run=True))
    assert (why.code, path in why.message, CUSTOM.target_path in why.message) == ("INVALID_ARGUMENT", True, True)


async def test_no_digest_is_revoked_that_is_none_of_the_release(
    publisher: Publisher, world_on_each: World, refusal: Any
) -> None:
    """A server that shows the digest of what the fleet runs would have it stopped by the publisher's own hand."""
    ruler = Ruler(world_on_each.call, world_on_each.channel)
    own = (await ruler.release(NEW)).artifacts[0].sha256.hex()
    version = Version.parse(NEW)
    await publisher.commit(await changed(publisher, Yank(version, "bad")))
    for digests in (("a" * 64,), (own, "a" * 64)):
        why = await refusal(publisher.commit(await changed(publisher, Revoke(version, "bad", digests))))
        assert (why.code, why.facts["field"]) == ("INVALID_ARGUMENT", "revoked")
        assert "a" * 64 in why.message
    await publisher.commit(await changed(publisher, Revoke(version, "bad", (own,))))


async def test_a_floor_that_was_signed_elsewhere_needs_the_number_of_stranded_hosts_as_well(
    publisher: Publisher, world_on_each: World, refusal: Any
) -> None:
    await world_on_each.online("host-1", "host-2")
    files = await changed(publisher, SetFloor(Version.parse("2.0.0")))
    for stranded in ({}, {"agent": 1}, {"agent": 3}):
        why = await refusal(publisher.commit(files, stranded=stranded))
        assert (why.code, why.facts["field"], why.facts["stranded"]) == ("CONFLICT", "stranded", "2")
    why = await refusal(publisher.commit(files, stranded={"agent": -1}))
    assert (why.code, why.facts["field"]) == ("INVALID_ARGUMENT", "stranded")
    await publisher.commit(files, stranded={"agent": 2})
    await publisher.commit(await changed(publisher, SetFloor(Version.parse("1.5.0")))), "it may fall"


async def test_what_the_same_step_takes_off_the_list_is_no_way_up(
    publisher: Publisher, world_on_each: World, refusal: Any
) -> None:
    await world_on_each.online("host-1")
    newer = Version.parse(NEWER)
    files = await changed(publisher, SetFloor(newer), Yank(newer, "bad"))
    why = await refusal(publisher.commit(files))
    assert (why.code, why.facts["stranded"]) == ("CONFLICT", "1")
    await publisher.commit(files, stranded={"agent": 1})


async def test_a_managed_server_counts_what_its_own_step_takes_off(world_on_each: World, refusal: Any) -> None:
    await world_on_each.online("host-1")
    ruler = Ruler(world_on_each.call, world_on_each.channel)
    why = await refusal(ruler.change(floor(NEWER), yank(NEWER)))
    assert (why.code, why.facts["stranded"]) == ("CONFLICT", "1")
    await ruler.change(floor(NEWER, 1), yank(NEWER))


async def test_anchors_that_shut_the_fleet_out_need_force_and_a_reason(
    publisher: Publisher, world_on_each: World, refusal: Any
) -> None:
    services = world_on_each.services
    stranger = make_ca("Another", services.clock.now()).certificate.decode("ascii")
    own = services.ca_pem.decode("ascii")

    async def signed(serial: int, certificate: str, address: str) -> dict[str, bytes]:
        anchors = Anchors(serial, (address,), (certificate,))
        return sign_anchors(await publisher.files(), anchors, publisher.signers, services.clock.now())

    away = await signed(1, stranger, "thief.example:1")
    for dry_run in (True, False):
        why = await refusal(publisher.commit(away, dry_run=dry_run))
        assert (why.code, why.facts["field"]) == ("CONFLICT", "certificates")
    assert (await refusal(publisher.commit(away, force=True))).facts["field"] == "reason"
    before = services.leaf.chain
    here = await signed(1, own, "new.example:1")
    await publisher.commit(here, dry_run=True)
    assert services.leaf.chain == before, "a trial run leaves the certificate as it is"
    await publisher.commit(here)
    assert services.leaf.chain != before, "it stands for the new address before a host hears of that"
    await publisher.commit(await signed(2, stranger, "other.example:1"), force=True, reason="the fleet moves")
    role = read_repository(await publisher.files()).targets
    role.version += 1
    data = sign_role(role, [publisher.signers.of("targets")])
    await publisher.commit({file_name("targets", role.version): data}), "what does not change is not asked for again"
