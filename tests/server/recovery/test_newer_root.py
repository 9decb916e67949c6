"""A root that came after the backup is stored with what its keys signed; a server that can't sign under it says so."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import structlog

from fleetroll_publishing.roles import read_repository
from fleetroll_publishing.signers import RoleSigners
from fleetroll_server.catalogue.keys import load_signers
from fleetroll_server.catalogue.metadata import current_files
from fleetroll_server.recovery.metadata import ShownMetadata
from fleetroll_server.recovery.missing import still_missing
from fleetroll_server.recovery.state import RECOVERY_KEY, Cause, Recovery, recovery_of, write_meta
from tests.faults.keyrings import Owner
from tests.faults.publishers import root_keys
from tests.faults.repositories import Repository
from tests.server.recovery.test_roots import trusted

if TYPE_CHECKING:
    from fleetroll_server.store import Tx
    from tests.faults.worlds import World


async def begun(tx: Tx) -> None:
    await write_meta(tx, RECOVERY_KEY, Recovery(next(iter(Cause)), tx.now).to_json())


async def files_of(world: World) -> dict[str, bytes]:
    async with world.services.store.read() as connection:
        return dict(await current_files(connection))


async def lost(world: World, installed_once: Any, *roles: str) -> dict[str, bytes]:
    """What a host shows that has seen an exchange of keys which the database forgot."""
    async with world.services.store.read() as connection:
        held = await load_signers(connection, world.services.secrets)
    repository = Repository()
    repository.files = await files_of(world)
    repository.now = world.clock.now()
    roots = tuple(root_keys(installed_once.root_keys))
    repository.signers = RoleSigners(roots, held.targets, held.products, held.snapshot, held.timestamp)
    Owner(repository, count()).rotate(*roles)
    return trusted(repository.files)


async def test_a_newer_root_is_stored_with_what_its_keys_signed(world: World, installed_once: Any) -> None:
    before = read_repository(await files_of(world))
    shown = await lost(world, installed_once, "targets")
    await ShownMetadata(world.services).take(shown, "inc")
    files = await files_of(world)
    after = read_repository(files)
    assert (after.root.version, after.targets.version) == (before.root.version + 1, before.targets.version + 1)
    assert files[f"{after.root.version}.root.json"] == shown[f"{after.root.version}.root.json"]
    assert after.timestamp.version > before.timestamp.version


async def test_a_server_without_its_keys_says_which_and_stores_nothing(world: World, installed_once: Any) -> None:
    before = await files_of(world)
    shown = await lost(world, installed_once, "timestamp")
    with structlog.testing.capture_logs() as said:
        await ShownMetadata(world.services).take(shown, "inc")
    assert await files_of(world) == before
    (missing,) = [line for line in said if line["event"] == "recovery.keys_missing"]
    assert missing["roles"] == ["timestamp"]
    assert any(line["event"] == "recovery.metadata_not_signed" for line in said)


async def test_what_is_lacking_is_shown_to_people_until_it_is_there(world: World, installed_once: Any) -> None:
    await world.services.store.writer.command(begun)
    shown = await lost(world, installed_once, "timestamp")
    await ShownMetadata(world.services).take(shown, "inc")
    async with world.services.store.read() as connection:
        recovery = await recovery_of(connection)
    assert recovery is not None
    repository = read_repository(await files_of(world))
    assert still_missing(recovery, repository) == {"root": repository.root.version + 1}
    assert "timestamp" in recovery.refused["root"]
    repository.root.version += 1
    assert still_missing(recovery, repository) == {}
