"""BringMetadata on the real server: a root without its online keys leaves it unsigned until the next exchange."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll.v1 import recovery_pb2, recovery_pb2_grpc, releases_pb2, repository_pb2
from fleetroll_common.trust import MetadataAbsent, TrustClient
from fleetroll_common.values.clock import FakeClock
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import FleetrollError, RequestError
from fleetroll_publishing.gate import check_repository
from fleetroll_publishing.roles import file_name, read_newest_root, read_repository, sign_role
from fleetroll_publishing.rotation import KeySet
from fleetroll_publishing.sealing import is_signed
from fleetroll_publishing.signers import RoleSigners
from fleetroll_server.catalogue.catalogue import Freshness
from fleetroll_server.catalogue.keys import load_signers
from fleetroll_server.catalogue.metadata import one_file
from fleetroll_server.recovery.metadata import ShownMetadata
from fleetroll_server.rpc.repository import RepositoryServicer
from fleetroll_server.store.tables import EventRow
from tests.faults.keyrings import Owner
from tests.faults.lost_time import backed_up, end, recovery_of, restored
from tests.faults.publishers import Publisher, root_keys
from tests.faults.repositories import BUILT_AT, Repository
from tests.server.recovery.test_newer_root import begun, files_of
from tests.server.recovery.test_roots import trusted

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.faults.worlds import World

ONLINE = ("snapshot", "timestamp")


async def bring(world: World, files: Mapping[str, bytes], reason: str = "") -> recovery_pb2.BringMetadataResponse:
    stub: Any = recovery_pb2_grpc.RecoveryServiceStub(world.channel)
    brought = [releases_pb2.MetadataFile(name=name, payload=data) for name, data in files.items()]
    answer: recovery_pb2.BringMetadataResponse = await world.call(
        stub.BringMetadata, recovery_pb2.BringMetadataRequest(files=brought, reason=reason)
    )
    return answer


async def lost_time(world: World, installed_once: Any) -> Repository:
    """The world's repository as it went on after a backup; its owner has every key."""
    async with world.services.store.read() as connection:
        held = await load_signers(connection, world.services.secrets)
    repository = Repository()
    repository.files, repository.now = await files_of(world), world.clock.now()
    roots = tuple(root_keys(installed_once.root_keys))
    repository.signers = RoleSigners(roots, held.targets, held.products, held.snapshot, held.timestamp)
    return repository


def by_people(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """What lies beside keys."""
    read = read_repository(files)
    names = {file_name("targets", read.targets.version)}
    names |= {file_name(f"products/{name}", role.version) for name, role in read.products.items()}
    return {name: data for name, data in files.items() if name.endswith(".root.json") or name in names}


class Served:
    """The real repository service's answers, as hosts get them."""

    def __init__(self, world: World, loop: asyncio.AbstractEventLoop) -> None:
        self._world, self._loop = world, loop

    def fetch(self, name: str, max_bytes: int) -> bytes:
        async def one() -> bytes:
            async with self._world.services.store.read() as connection:
                return await one_file(connection, name)

        try:
            return asyncio.run_coroutine_threadsafe(one(), self._loop).result()[: max_bytes + 1]
        except FleetrollError as error:
            if error.code is Code.NOT_FOUND:
                raise MetadataAbsent(name) from error
            raise


async def refreshes(world: World, folder: Path, root: bytes) -> None:
    """Let a host of that folder refresh from the server as it is."""
    source, clock = Served(world, asyncio.get_running_loop()), FakeClock(world.clock.now())
    await asyncio.to_thread(lambda: TrustClient(folder, root, source, clock, BUILT_AT).refresh())


async def exchange(world: World, installed_once: Any) -> None:
    """The owner's next exchange of both online keys, as the drill has it."""
    publisher = Publisher(world, RoleSigners(tuple(root_keys(installed_once.root_keys))))
    prepared = await publisher.prepare(*ONLINE)
    root = await publisher.root_alone({role: KeySet((key,)) for role, key in prepared.items()})
    await publisher.commit(root)


async def test_a_server_that_never_went_back_takes_nothing(world: World, installed_once: Any) -> None:
    repository = await lost_time(world, installed_once)
    repository.publish("6.6.6")
    before = await files_of(world)
    with pytest.raises(Exception, match="never went back"):
        await bring(world, by_people(repository.files))
    assert await files_of(world) == before


async def test_a_publish_that_no_host_can_show_is_brought(world: World, installed_once: Any) -> None:
    await world.services.store.writer.command(begun)
    repository = await lost_time(world, installed_once)
    Owner(repository, count()).renew("products/agent")
    newer = by_people(repository.files)
    answer = await bring(world, newer, "signed on Monday")
    version = read_repository(repository.files).product("agent").version
    assert list(answer.taken) == [file_name("products/agent", version)]
    assert list(answer.recovery.keys_missing) == []
    check_repository(files := await files_of(world))
    assert files[answer.taken[0]] == newer[answer.taken[0]]
    (event,) = await world.rows(EventRow, kind="recovery.metadata")
    assert (event["reason"], event["actor_kind"]) == ("signed on Monday", "token")
    assert list((await bring(world, newer)).taken) == [], "again changes nothing"


async def test_a_root_whose_keys_are_elsewhere_leaves_the_lists_unsigned_until_their_exchange(
    world: World, installed_once: Any, tmp_path: Path
) -> None:
    """Hosts that have seen the newest, and hosts that have seen nothing of it, accept what comes then."""
    await world.services.store.writer.command(begun)
    first = (await files_of(world))["1.root.json"]
    await refreshes(world, tmp_path / "slept", first)
    repository = await lost_time(world, installed_once)
    Owner(repository, count()).rotate("timestamp", "products/agent")
    for _ in range(3):
        repository.refresh_timestamp()
    awake = TrustClient(tmp_path / "awake", first, repository, FakeClock(world.clock.now()), BUILT_AT)
    await asyncio.to_thread(awake.refresh)
    newer = by_people(repository.files)
    answer = await bring(world, newer)
    assert list(answer.recovery.keys_missing) == ["timestamp"]
    files = await files_of(world)
    assert not is_signed(files["timestamp.json"])
    check_repository(files, unsigned_lists=True)
    assert {name: files.get(name) for name in newer} == newer
    await Freshness(world.services).sign_if_due()
    assert await files_of(world) == files
    with pytest.raises(Exception, match="not here"):
        await end(world, (await recovery_of(world)).hosts_not_seen)

    await world.crash()  # what stands is in the database alone
    assert await files_of(world) == files
    assert list((await recovery_of(world)).keys_missing) == ["timestamp"]
    await exchange(world, installed_once)
    after = await files_of(world)
    check_repository(after)
    assert {name: after.get(name) for name in newer} == newer
    assert read_newest_root(after).version == read_newest_root(repository.files).version + 1
    assert list((await recovery_of(world)).keys_missing) == []
    await refreshes(world, tmp_path / "slept", first)
    await refreshes(world, tmp_path / "awake", first)
    await end(world, (await recovery_of(world)).hosts_not_seen)


async def test_a_host_is_told_to_come_again_while_the_lists_are_unsigned(world: World, installed_once: Any) -> None:
    await world.services.store.writer.command(begun)
    repository = await lost_time(world, installed_once)
    Owner(repository, count()).rotate(*ONLINE)
    told = world.services.catalogue.timestamp_version
    await bring(world, by_people(repository.files))
    assert world.services.catalogue.timestamp_version == told, "no host is told of lists that it can't have"
    service: Any = RepositoryServicer(world.services)
    with pytest.raises(RequestError) as caught:
        await service.GetMetadata(repository_pb2.GetMetadataRequest(name="timestamp.json"), None)
    assert caught.value.code is Code.RECOVERY
    answer = await service.GetMetadata(repository_pb2.GetMetadataRequest(name="2.root.json"), None)
    assert answer.payload == repository.files["2.root.json"]


async def test_a_host_that_comes_meanwhile_brings_what_it_has_seen(world: World, installed_once: Any) -> None:
    """It shows its files once: they are kept under the unsigned lists, and signed with them."""
    await world.services.store.writer.command(begun)
    repository = await lost_time(world, installed_once)
    owner = Owner(repository, count())
    owner.rotate("timestamp")
    await bring(world, by_people(repository.files))
    owner.renew("products/agent")
    shown = trusted(repository.files)
    await ShownMetadata(world.services).take(shown, "inc")
    files = await files_of(world)
    version = read_repository(repository.files).product("agent").version
    assert read_repository(files).product("agent").version == version
    assert not is_signed(files["timestamp.json"])
    await exchange(world, installed_once)
    after = read_repository(await files_of(world))
    assert after.product("agent").version == version
    assert after.timestamp.version > read_repository(repository.files).timestamp.version


async def test_nothing_is_published_over_unsigned_lists(world: World, installed_once: Any) -> None:
    await world.services.store.writer.command(begun)
    repository = await lost_time(world, installed_once)
    Owner(repository, count()).rotate("timestamp")
    await bring(world, by_people(repository.files))
    before = await files_of(world)
    publisher = Publisher(world, repository.signers)
    with pytest.raises(Exception, match="not on this server"):
        await publisher.commit(await publisher.rotate({}, renewed=("products/agent",)))
    assert await files_of(world) == before


async def test_after_the_recovery_only_what_can_be_signed_above_is_taken(world: World, installed_once: Any) -> None:
    """A publisher comes late; but a fleet at work is not left without lists."""
    await world.services.store.writer.command(begun)
    await end(world, (await recovery_of(world)).hosts_not_seen)
    repository = await lost_time(world, installed_once)
    owner = Owner(repository, count())
    owner.renew("products/agent")
    assert len((await bring(world, by_people(repository.files))).taken) == 1
    owner.rotate("timestamp")
    before = await files_of(world)
    with pytest.raises(Exception, match="in no recovery"):
        await bring(world, by_people(repository.files))
    assert await files_of(world) == before
    check_repository(before)


async def test_a_thief_with_every_key_of_the_lost_server_gets_nothing_taken(world: World, installed_once: Any) -> None:
    """The online keys, an exchanged product key and the right to call: no file of the three is taken."""
    await world.services.store.writer.command(begun)
    repository = await lost_time(world, installed_once)
    stolen = repository.signers
    Owner(repository, count()).rotate("timestamp", "products/agent")
    await bring(world, by_people(repository.files))
    before = await files_of(world)
    role = read_repository(before).product("agent")
    role.version += 1
    evil = {file_name("products/agent", role.version): sign_role(role, stolen.every("products/agent"))}
    with pytest.raises(Exception, match="not signed by enough"):
        await bring(world, evil)
    timestamp = read_repository(before).timestamp
    timestamp.version += 100
    with pytest.raises(Exception, match="no name of a file"):
        await bring(world, {"timestamp.json": sign_role(timestamp, stolen.every("timestamp"))})
    assert await files_of(world) == before


async def test_a_restored_server_takes_what_its_publisher_kept(
    world: World, installed_once: Any, tmp_path: Path
) -> None:
    """From a real backup: the exchange came after it, by the server's own keys, and is gone with them."""
    source = await backed_up(world, tmp_path / "backup")
    await exchange(world, installed_once)
    newer = by_people(await files_of(world))
    await restored(world, source, tmp_path / "new", None)
    assert "2.root.json" not in await files_of(world)
    answer = await bring(world, newer)
    assert (list(answer.taken), list(answer.recovery.keys_missing)) == (["2.root.json"], list(ONLINE))
    await exchange(world, installed_once)
    check_repository(files := await files_of(world))
    assert files["2.root.json"] == newer["2.root.json"]
    await end(world, (await recovery_of(world)).hosts_not_seen)
