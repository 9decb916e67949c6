"""Lists that hosts bring back do all that they did when they were committed; lost bytes are uploaded again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fleetroll_publishing.roles import read_repository
from fleetroll_server.catalogue.metadata import current_files
from fleetroll_server.datafolder import DataFolder
from fleetroll_server.store.tables import ReleaseRow
from tests.faults.lost_time import (
    backed_up,
    comes_back,
    copied,
    copied_back,
    end,
    recovery_of,
    restored,
    trusts_newest,
)
from tests.faults.ruling import Ruler, channels, retire, yank
from tests.faults.stocking import publish
from tests.faults.stocks import NEW, NEWER

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.worlds import World


async def release(world: World, version: str) -> tuple[bool, str]:
    (row,) = await world.rows(ReleaseRow, version=version)
    return row["listed"], row["state"]


async def test_a_yank_that_a_host_brings_back_is_one(world: World, tmp_path: Path) -> None:
    await world.online("host-1")
    folder = await copied(world, tmp_path / "copy")
    await Ruler(world.call, world.channel).change(channels(NEWER, "beta"))
    await Ruler(world.call, world.channel).change(yank(NEW))
    await world.online("host-1")
    await trusts_newest(world, world.agent("host-1"))
    await copied_back(world, folder)
    assert await release(world, NEW) == (True, "listed")
    await comes_back(world.agent("host-1"))
    assert await release(world, NEW) == (False, "yanked")
    (newer,) = await world.rows(ReleaseRow, version=NEWER)
    assert list(newer["channels"]) == ["beta"]
    await end(world, (await recovery_of(world)).hosts_not_seen)
    with pytest.raises(Exception, match=r"yanked|listed"):
        await world.roll("host-1")


async def test_a_release_of_the_lost_time_that_was_taken_back_stays_so(world: World, tmp_path: Path) -> None:
    """The database never knew it, and the one host that comes has seen its list of before: the stops know."""
    await world.online("host-1")
    source = await backed_up(world, tmp_path / "backup")
    await publish(world, "1.5.0", tmp_path / "tree")
    await world.online("host-1")
    await trusts_newest(world, world.agent("host-1"))
    await Ruler(world.call, world.channel).change(yank("1.5.0"))
    await restored(world, source, tmp_path / "new", DataFolder(world.stock.data).stops)
    await comes_back(world.agent("host-1"))
    assert await release(world, "1.5.0") == (False, "yanked")
    await end(world, (await recovery_of(world)).hosts_not_seen)
    with pytest.raises(Exception, match=r"yanked|listed"):
        await world.roll("host-1", version="1.5.0")


async def test_what_was_taken_back_and_no_host_brings_is_not_published_again(world: World, tmp_path: Path) -> None:
    source = await backed_up(world, tmp_path / "backup")
    await publish(world, "1.5.0", tmp_path / "tree")
    await Ruler(world.call, world.channel).change(yank("1.5.0"))
    await restored(world, source, tmp_path / "new", DataFolder(world.stock.data).stops)
    with pytest.raises(Exception, match="yanked"):
        await publish(world, "1.5.0", tmp_path / "again")


async def test_a_release_that_is_in_use_again_is_retired_all_the_same(world: World, tmp_path: Path) -> None:
    await world.online("host-1")
    folder = await copied(world, tmp_path / "copy")
    await Ruler(world.call, world.channel).change(retire(NEW))
    await world.online("host-1")
    await trusts_newest(world, world.agent("host-1"))
    await copied_back(world, folder)
    await world.roll("host-2", version=NEW)
    await comes_back(world.agent("host-1"))
    assert await release(world, NEW) == (False, "retired")


async def test_bytes_of_a_list_that_came_back_are_uploaded_again(world: World, tmp_path: Path) -> None:
    await world.online("host-1")
    folder = await copied(world, tmp_path / "copy")
    sha256 = await publish(world, "1.5.0", tmp_path / "tree")
    await world.online("host-1")
    await trusts_newest(world, world.agent("host-1"))
    await copied_back(world, folder)
    await comes_back(world.agent("host-1"))
    place = world.services.folder.artefacts / sha256
    assert (await release(world, "1.5.0"), place.exists()) == ((True, "listed"), False)
    assert await publish(world, "1.5.0", tmp_path / "again") == sha256
    assert place.is_file()
    with pytest.raises(Exception, match="is published, with these bytes"):
        await publish(world, "1.5.0", tmp_path / "once-more")


async def test_a_role_that_nobody_brings_back_is_named(world: World, tmp_path: Path) -> None:
    await world.online("host-1")
    folder = await copied(world, tmp_path / "copy")
    await Ruler(world.call, world.channel).change(yank(NEW))
    await world.online("host-1")
    await trusts_newest(world, world.agent("host-1"))
    del world.agent("host-1").disk.files["products%2Fagent.json"]
    await copied_back(world, folder)
    await comes_back(world.agent("host-1"))
    (missing,) = (await recovery_of(world)).missing
    assert (missing.role, missing.reason) == ("products/agent", "")
    assert missing.version > 1
    await end(world, (await recovery_of(world)).hosts_not_seen)
    assert list((await recovery_of(world)).missing) == [], "its key is here"
    async with world.services.store.read() as connection:
        files = await current_files(connection)
    assert read_repository(files).product("agent").version == missing.version + 1
