"""A root that came after the backup is stored with what its keys signed; a server that can't sign under it says so."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from fleetroll_publishing.gate import check_repository
from fleetroll_publishing.roles import file_name, read_newest_root, read_repository, sign_role
from fleetroll_publishing.sealing import is_signed
from fleetroll_publishing.signers import RoleSigners
from fleetroll_server.catalogue.catalogue import Freshness
from fleetroll_server.catalogue.keys import load_signers
from fleetroll_server.catalogue.metadata import current_files
from fleetroll_server.recovery.metadata import ShownMetadata
from fleetroll_server.recovery.state import RECOVERY_KEY, Cause, Recovery, write_meta
from tests.faults import rulings
from tests.faults.keyrings import Owner
from tests.faults.publishers import root_keys
from tests.faults.repositories import Repository, signer
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


async def test_a_server_without_its_keys_keeps_the_root_says_so_and_signs_nothing(
    world: World, installed_once: Any
) -> None:
    await world.services.store.writer.command(begun)
    before = await files_of(world)
    shown = await lost(world, installed_once, "timestamp")
    with structlog.testing.capture_logs() as said:
        await ShownMetadata(world.services).take(shown, "inc")
    files = await files_of(world)
    newest = read_newest_root(files)
    assert newest.version == read_newest_root(before).version + 1
    assert not is_signed(files["timestamp.json"])
    check_repository(files, unsigned_lists=True)
    (missing,) = [line for line in said if line["event"] == "recovery.keys_missing"]
    assert missing["roles"] == ["timestamp"]
    await Freshness(world.services).sign_if_due()
    assert await files_of(world) == files, "nothing signs again what can't be signed"


async def test_no_fleet_at_work_is_left_without_signed_lists(world: World, installed_once: Any) -> None:
    before = await files_of(world)
    shown = await lost(world, installed_once, "timestamp")
    with structlog.testing.capture_logs() as said:
        await ShownMetadata(world.services).take(shown, "inc")
    assert await files_of(world) == before
    assert any(line["event"] == "recovery.metadata_not_signed" for line in said)


@pytest.mark.parametrize("height", [0, 100])
async def test_a_stolen_key_that_was_exchanged_does_not_hold_up_what_followed(world: World, height: int) -> None:
    """A thief's host comes first, and shows what he signed; the exchange was in the time that the database has lost."""
    here = await files_of(world)
    before = read_repository(here).product("agent").version
    async with world.services.store.read() as connection:
        held = await load_signers(connection, world.services.secrets)
    lost, _owner = rulings.rekeyed(here, held, "agent", signer("agent second"))
    newer = read_repository(lost).product("agent").version
    evil = read_repository(here).product("agent")
    evil.version = before + height if height else newer
    await ShownMetadata(world.services).take(
        {"products%2Fagent.json": sign_role(evil, held.every("products/agent"))}, "inc"
    )
    assert read_repository(await files_of(world)).product("agent").version == evil.version
    await ShownMetadata(world.services).take(trusted(lost), "inc")
    after = read_repository(files := await files_of(world))
    assert (after.targets.version, after.product("agent").version) == (read_repository(lost).targets.version, newer)
    name = file_name("products/agent", newer)
    assert files[name] == lost[name]
    check_repository(files)
