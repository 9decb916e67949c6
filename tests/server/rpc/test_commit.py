"""Root, targets and products signed elsewhere, over the wire, on both kinds of database."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from fleetroll.v1 import releases_pb2, releases_pb2_grpc, server_info_pb2, server_info_pb2_grpc
from fleetroll_common.trust import MetadataAbsent
from fleetroll_common.trust.client import TrustClient
from fleetroll_common.values.clock import SystemClock
from fleetroll_common.values.version import Version
from fleetroll_publishing.roles import file_name, read_repository
from fleetroll_publishing.rotation import KeySet, key_sets
from fleetroll_publishing.signers import RoleSigners
from fleetroll_publishing.verbs import Retire, changed_role, sign_product
from fleetroll_server.catalogue.catalogue import Freshness
from fleetroll_server.catalogue.keys import held_keys, prepared_keys
from fleetroll_server.store.tables import EventRow, MetadataFileRow, MetaRow, table_of
from tests.faults.publishers import Publisher, root_keys
from tests.server.engine.conftest import stock_once, world_on_each

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.faults.worlds import World

__all__ = ["stock_once", "world_on_each"]

EVENT = table_of(EventRow)
ONLINE = {"snapshot", "timestamp"}


@pytest.fixture
def publisher(world_on_each: World, installed_once: Any) -> Publisher:
    """Somebody with the root keys that init left."""
    return Publisher(world_on_each, RoleSigners(root_keys(installed_once.root_keys)))


class Pinned:
    """A host that pinned the first root when the server began."""

    def __init__(self, folder: Path, publisher: Publisher) -> None:
        self._publisher = publisher
        self._folder = folder
        self.files: dict[str, bytes] = {}
        self._client: TrustClient | None = None

    async def versions(self) -> list[str]:
        """Refresh, and return what is listed of the agent."""
        self.files |= await self._publisher.files()
        if self._client is None:
            built_at = self._publisher.world.services.clock.now() - timedelta(days=1)
            self._client = TrustClient(self._folder, self.files["1.root.json"], self, SystemClock(), built_at)
        await asyncio.to_thread(self._client.refresh)
        listed = await asyncio.to_thread(self._client.targets, "agent")
        return [target.path.split("/")[1] for target in listed]

    def fetch(self, name: str, max_bytes: int) -> bytes:
        if name not in self.files:
            raise MetadataAbsent(name)
        return self.files[name][:max_bytes]


@pytest.fixture
def pinned(publisher: Publisher, tmp_path: Path) -> Pinned:
    return Pinned(tmp_path / "pinned", publisher)


async def held(world: World) -> set[str]:
    async with world.services.store.read() as connection:
        return set(await held_keys(connection, world.services.secrets))


async def waiting(world: World) -> set[str]:
    async with world.services.store.read() as connection:
        return set(await prepared_keys(connection, world.services.secrets))


async def everything(world: World) -> list[Any]:
    """What a refused commit must not change."""
    async with world.services.store.read() as connection:
        queries = [of_no_fleet(), *(sa.select(table_of(row)) for row in (MetaRow, MetadataFileRow))]
        return [sorted(map(str, await connection.execute(query))) for query in queries]


def of_no_fleet() -> sa.Select[Any]:
    return sa.select(EVENT).where(EVENT.c.fleet_id == "")


@asynccontextmanager
async def unchanged(world: World) -> AsyncIterator[None]:
    before = await everything(world)
    yield
    assert await everything(world) == before


async def mode(world: World) -> str:
    stub = server_info_pb2_grpc.ServerInfoServiceStub(world.channel)
    answer = await world.call(stub.GetServerInfo, server_info_pb2.GetServerInfoRequest())
    status = await Publisher(world, RoleSigners()).status()
    assert status.signing_mode == answer.signing_mode
    return str(answer.signing_mode)


async def test_managed_to_offline_is_a_rotation(world_on_each: World, publisher: Publisher, pinned: Pinned) -> None:
    """The server's keys of targets and products are gone with the commit, and hosts follow untouched."""
    world = world_on_each
    before = await pinned.versions()
    assert (await held(world), await mode(world)) == ({*ONLINE, "targets", "products/agent"}, "managed")
    answer = await publisher.commit(await publisher.go_offline(), reason="to our own machines")
    assert answer.timestamp_version == world.services.catalogue.timestamp_version
    assert (await held(world), await mode(world)) == (ONLINE, "offline")
    assert await pinned.versions() == before
    async with world.services.store.read() as connection:
        query = of_no_fleet().where(EVENT.c.kind == "metadata.committed")
        (event,) = (await connection.execute(query)).mappings()
    assert event["message"].startswith("root 2, targets 2, products/agent ")
    assert (event["reason"], event["facts"]["signing_mode"]) == ("to our own machines", "offline")


async def test_the_server_still_signs_what_is_its_own(
    world_on_each: World, publisher: Publisher, pinned: Pinned
) -> None:
    await publisher.commit(await publisher.go_offline())
    before = world_on_each.services.catalogue.timestamp_version
    world_on_each.clock.advance(3601)
    await Freshness(world_on_each.services).sign_if_due()
    assert world_on_each.services.catalogue.timestamp_version == before + 1
    assert await pinned.versions()


async def test_an_offline_server_signs_no_release_and_no_product(
    world_on_each: World, publisher: Publisher, refusal: Any
) -> None:
    """Nor could it: it has no such key."""
    await publisher.commit(await publisher.go_offline())
    stub: Any = releases_pb2_grpc.ReleasesServiceStub(world_on_each.channel)
    async with unchanged(world_on_each):
        why = await refusal(world_on_each.call(stub.AddProduct, releases_pb2.AddProductRequest(product="shop")))
        assert why.code == "NOT_ALLOWED"


async def test_a_publisher_changes_releases_with_a_key_of_their_own(
    world_on_each: World, publisher: Publisher, pinned: Pinned
) -> None:
    """Rows follow the role: the release is retired, and says why."""
    await publisher.commit(await publisher.go_offline())
    role = await retired(publisher, "1.1.0")
    answer = await publisher.commit(role)
    assert [release.version for release in answer.releases] == ["1.1.0"]
    assert await pinned.versions() == ["1.2.0", "policy"]


async def retired(publisher: Publisher, version: str) -> dict[str, bytes]:
    """Return the product's role without a version, signed by the publisher."""
    now = publisher.world.services.clock.now()
    role = read_repository(await publisher.files()).product("agent")
    after = changed_role("agent", role, [Retire(Version.parse(version), "old")])
    signed = sign_product(after, publisher.signers.every("products/agent"), now)
    return {file_name("products/agent", after.version): signed}


async def test_a_trial_run_checks_all_and_keeps_nothing(
    world_on_each: World, publisher: Publisher, refusal: Any
) -> None:
    files = await publisher.go_offline()
    async with unchanged(world_on_each):
        answer = await publisher.commit(files, dry_run=True)
        assert answer.timestamp_version == world_on_each.services.catalogue.timestamp_version
        name = next(iter(files))
        why = await refusal(publisher.commit({**files, name: files[name][:-20]}, dry_run=True))
        assert why.code == "METADATA_INVALID"
    assert await mode(world_on_each) == "managed"
    await publisher.commit(files)
    assert await mode(world_on_each) == "offline"


async def test_of_two_who_sign_from_the_same_files_one_is_told(
    world_on_each: World, publisher: Publisher, refusal: Any
) -> None:
    first, second = await publisher.go_offline(), await publisher.go_offline()
    await publisher.commit(second)
    async with unchanged(world_on_each):
        why = await refusal(publisher.commit(first))
    assert (why.code, why.facts["role"]) == ("CONFLICT", "root")
    assert "sign again" in why.remedy


async def test_two_commits_at_one_time_leave_one(world_on_each: World, publisher: Publisher, refusal: Any) -> None:
    files = [await publisher.go_offline() for _ in range(3)]
    done = await asyncio.gather(*(publisher.commit(each) for each in files), return_exceptions=True)
    assert sum(isinstance(each, releases_pb2.CommitMetadataResponse) for each in done) == 1
    assert (await publisher.files())["2.root.json"] in [each["2.root.json"] for each in files]


async def test_prepared_online_keys_sign_once_a_root_names_them(
    world_on_each: World, publisher: Publisher, pinned: Pinned
) -> None:
    """Before the commit they sign nothing."""
    world = world_on_each
    await pinned.versions()
    keys = await publisher.prepare("snapshot", "timestamp")
    assert await waiting(world) == ONLINE
    old = key_sets(await publisher.files())
    files = await publisher.rotate({role: KeySet((key,)) for role, key in keys.items()})
    assert list(files) == ["2.root.json"]
    await publisher.commit(files)
    now = key_sets(await publisher.files())
    assert {role: now[role].keys[0].keyid for role in ONLINE} == {role: key.keyid for role, key in keys.items()}
    assert not {key.keyid for role in ONLINE for key in old[role].keys} & {
        key.public.keyid for key in (await all_held(world)).values()
    }
    assert (await held(world), await waiting(world)) == ({*ONLINE, "targets", "products/agent"}, set())
    assert await pinned.versions() == ["1.2.0", "1.1.0"]
    world.clock.advance(3601)
    await Freshness(world.services).sign_if_due()


async def test_a_thief_with_a_copy_does_not_know_the_keys_that_the_next_root_names(
    world_on_each: World, publisher: Publisher, refusal: Any
) -> None:
    """Whoever asked for keys before the copy was made asks again: those that waited then are refused from now on."""
    roles = ("targets", "products/agent", "snapshot", "timestamp")
    copied = await publisher.prepare(*roles)
    keys = {**copied, **await publisher.prepare("snapshot")}
    assert {role for role in roles if keys[role].keyid != copied[role].keyid} == {"snapshot"}
    assert await waiting(world_on_each) == set(roles)
    keys = await publisher.prepare(*roles)
    assert not {key.keyid for key in copied.values()} & {key.keyid for key in keys.values()}
    named = {role: KeySet((keys[role],)) for role in ("targets", "snapshot", "timestamp")}
    for role in named:
        root = await publisher.root_alone({**named, role: KeySet((copied[role],))})
        async with unchanged(world_on_each):
            why = await refusal(publisher.commit(root))
        assert (why.code, why.facts["role"]) == ("NOT_ALLOWED", role)
        assert "prepare keys again" in why.remedy
    await publisher.commit(await publisher.root_alone(named))


async def all_held(world: World) -> dict[str, Any]:
    async with world.services.store.read() as connection:
        return dict(await held_keys(connection, world.services.secrets))


async def test_a_managed_repository_gets_all_new_keys_by_a_root_alone(
    world_on_each: World, publisher: Publisher, pinned: Pinned
) -> None:
    """The answer to a managed server that was read: root keys at home, everything else new."""
    world = world_on_each
    before, listed = await all_held(world), await pinned.versions()
    roles = ("targets", "products/agent", "snapshot", "timestamp")
    keys = await publisher.prepare(*roles)
    named = {role: KeySet((keys[role],)) for role in ("targets", "snapshot", "timestamp")}
    root = await publisher.root_alone(named)
    await publisher.commit(root)
    after = await all_held(world)
    assert {role: key.public.keyid for role, key in after.items()} == {role: key.keyid for role, key in keys.items()}
    assert not set(after.values()) & set(before.values())
    assert await mode(world) == "managed"
    assert await pinned.versions() == listed
    world.clock.advance(3601)
    await Freshness(world.services).sign_if_due()


async def test_a_root_that_names_a_stranger_online_is_not_committed(
    world_on_each: World, publisher: Publisher, refusal: Any
) -> None:
    files = await publisher.rotate({"timestamp": KeySet((publisher.fresh("timestamp").public_key,))})
    async with unchanged(world_on_each):
        why = await refusal(publisher.commit(files))
    assert (why.code, why.facts["role"]) == ("NOT_ALLOWED", "timestamp")


async def test_a_key_that_was_taken_out_is_remembered(world_on_each: World, publisher: Publisher, refusal: Any) -> None:
    """By every root and targets role there ever was, not by the newest alone."""
    await publisher.commit(await publisher.go_offline())
    first = publisher.made["products/agent"]
    for _ in range(2):
        fresh = publisher.fresh("products/agent")
        publisher.signers = RoleSigners(publisher.signers.root, publisher.signers.targets, {"agent": fresh})
        await publisher.commit(await publisher.rotate({"products/agent": KeySet((fresh.public_key,))}))
    publisher.signers = RoleSigners(publisher.signers.root, publisher.signers.targets, {"agent": first})
    back = await publisher.rotate({"products/agent": KeySet((first.public_key,))})
    async with unchanged(world_on_each):
        why = await refusal(publisher.commit(back))
    assert why.code == "INVALID_ARGUMENT"
    assert "has served" in why.message


@pytest.mark.parametrize("names", [(), ("timestamp.json",), ("2.snapshot.json",), ("2.root.json", "2.root.json")])
async def test_files_that_nobody_may_bring_are_refused(
    world_on_each: World, publisher: Publisher, refusal: Any, names: tuple[str, ...]
) -> None:
    stub: Any = releases_pb2_grpc.ReleasesServiceStub(world_on_each.channel)
    brought = [releases_pb2.MetadataFile(name=name, payload=b"{}") for name in names]
    async with unchanged(world_on_each):
        request = releases_pb2.CommitMetadataRequest(files=brought)
        why = await refusal(world_on_each.call(stub.CommitMetadata, request))
    assert (why.code, why.facts["field"]) == ("INVALID_ARGUMENT", "files")


@pytest.mark.parametrize(
    ("roles", "code"),
    [
        ((), "INVALID_ARGUMENT"),
        (("timestamp", "timestamp"), "INVALID_ARGUMENT"),
        (("root",), "NOT_ALLOWED"),
        (("products/till",), "NOT_ALLOWED"),
        (("",), "NOT_ALLOWED"),
    ],
)
async def test_keys_are_prepared_for_roles_that_this_server_signs(
    world_on_each: World, publisher: Publisher, refusal: Any, roles: tuple[str, ...], code: str
) -> None:
    async with unchanged(world_on_each):
        assert (await refusal(publisher.prepare(*roles))).code == code


async def test_status_says_since_when_and_until_when_each_key_is_good(
    world_on_each: World, publisher: Publisher
) -> None:
    first = await publisher.status()
    assert [role.role for role in first.roles] == ["root", "targets", "products/agent", "snapshot", "timestamp"]
    assert [(role.threshold, len(role.keys)) for role in first.roles] == [(2, 3), *[(1, 1)] * 4]
    for role in first.roles:
        for key in role.keys:
            held_here = role.role != "root"
            days = 180 if held_here else 730
            assert (key.held_here, key.old) == (held_here, False)
            assert key.rotate_after.ToDatetime() - key.since.ToDatetime() == timedelta(days=days)
    since = first.roles[1].keys[0].since.ToDatetime()
    world_on_each.clock.advance(timedelta(hours=5).total_seconds())
    await publisher.commit(await publisher.go_offline())
    later = {role.role: role for role in (await publisher.status()).roles}
    assert later["targets"].keys[0].since.ToDatetime() - since > timedelta(hours=4)
    assert later["timestamp"].keys[0].since.ToDatetime() == since
    assert [later[role].keys[0].held_here for role in ("targets", "products/agent", "timestamp")] == [
        False,
        False,
        True,
    ]
    assert read_repository(await publisher.files()).targets.version == later["targets"].version


async def test_an_old_key_is_said_to_be_old(world_on_each: World, publisher: Publisher) -> None:
    world_on_each.clock.advance(timedelta(days=181).total_seconds())
    status = {role.role: role.keys[0].old for role in (await publisher.status()).roles}
    assert status == {
        "root": False,
        "targets": True,
        "products/agent": True,
        "snapshot": True,
        "timestamp": True,
    }
