"""Where agent.toml says what a backup takes, no update begins without room for it."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fleetroll_agent.jobs.artefacts import Found, Ways
from fleetroll_agent.jobs.effects import FillSlot, RunStep
from fleetroll_agent.jobs.events import SlotReady, StagingFailed
from fleetroll_agent.jobs.space import RESERVE_BYTES
from fleetroll_agent.jobs.values import Attempt, Stage, Step
from fleetroll_agent.products.backup_room import backup_place, require_backup_room
from fleetroll_agent.products.doing import Doer
from fleetroll_agent.products.manifests import ManifestStaging
from fleetroll_agent.products.places import Places
from fleetroll_agent.products.recipes import recipe_of
from fleetroll_agent.products.staging import Staging
from fleetroll_agent.settings.product import Hooks, Kind, Product
from fleetroll_common.values.clock import SystemClock
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError
from tests.faults.apart import apart

MIB = 1024 * 1024
ELSEWHERE = Path("/proc")
"""A folder on another disk than any state folder."""
SHOP = Product("shop", Kind.SLOTS, hooks=Hooks(backup=("/bin/true",)), backup_mib=5)


@dataclass
class Disk:
    """What the system says about every disk, and which were asked."""

    free_bytes: int = 0
    asked: tuple[str, ...] = ()

    def statvfs(self, path: object) -> SimpleNamespace:
        """Answer."""
        self.asked += (str(path),)
        return SimpleNamespace(f_frsize=1, f_bavail=self.free_bytes, f_files=0, f_favail=0)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """Stand between the agent and what the system says."""
    told = Disk()
    monkeypatch.setattr(os, "statvfs", told.statvfs)
    return told


@pytest.mark.parametrize(
    ("product", "place"),
    [
        ({}, "state"),
        ({"link": "srv/current"}, "srv"),
        ({"kind": Kind.FILE, "path": "srv/tool"}, "srv"),
        ({"link": "srv/current", "backup_folder": "backups"}, "backups"),
        ({"link": "srv/current", "backup_folder": "backups/not/yet"}, "backups"),
    ],
)
def test_room_is_asked_for_where_the_backup_is_written(tmp_path: Path, product: dict[str, Any], place: str) -> None:
    """As agent.toml says, else beside the product; a folder that the command will make lies on its parent's disk."""
    for name in ("state", "srv", "backups"):
        (tmp_path / name).mkdir()
    said: dict[str, Any] = {key: str(tmp_path / value) if key != "kind" else value for key, value in product.items()}
    assert backup_place(tmp_path / "state", replace(SHOP, **said)) == tmp_path / place


def test_the_estimate_has_to_be_free(tmp_path: Path, disk: Disk) -> None:
    """On another disk than the state folder's nothing else."""
    shop = replace(SHOP, backup_folder=str(ELSEWHERE))
    disk.free_bytes = 5 * MIB - 1
    with pytest.raises(AgentError) as caught:
        require_backup_room(tmp_path, shop)
    assert caught.value.code is Code.DISK_FULL
    text = f"no room for the backup of shop below {ELSEWHERE}: 5 MiB are needed, 4 MiB are free"
    assert (caught.value.message, caught.value.remedy) == (text, "free space there; the update tries again by itself")
    disk.free_bytes = 5 * MIB
    require_backup_room(tmp_path, shop)
    assert set(disk.asked) == {str(ELSEWHERE)}


def test_on_the_disk_of_the_state_folder_its_reserve_stays_free(tmp_path: Path, disk: Disk) -> None:
    """Records have to be written whatever becomes of the update."""
    disk.free_bytes = 5 * MIB + RESERVE_BYTES - 1
    with pytest.raises(AgentError, match="21 MiB are needed, 20 MiB are free"):
        require_backup_room(tmp_path, SHOP)
    disk.free_bytes = 5 * MIB + RESERVE_BYTES
    require_backup_room(tmp_path, SHOP)


@pytest.mark.parametrize("shop", [replace(SHOP, backup_mib=0), replace(SHOP, hooks=Hooks())])
def test_without_an_estimate_or_a_backup_nothing_is_asked(tmp_path: Path, disk: Disk, shop: Product) -> None:
    """Unknown is not none, and is not guessed."""
    require_backup_room(tmp_path, shop)
    assert disk.asked == ()


class Artefacts:
    """Stages by noting it, and takes ``takes`` bytes of the disk."""

    def __init__(self, disk: Disk, takes: int) -> None:
        """Begin with nothing done."""
        self.done: list[str] = []
        self._disk, self._takes = disk, takes

    async def stage(self, _found: Found, _source: object) -> None:
        """Take room."""
        self.done.append("staged")
        self._disk.free_bytes -= self._takes

    async def fetch(self, _target: object, _source: object) -> Path:
        """Give no manifest."""
        self.done.append("fetched")
        raise AgentError("cut", code=Code.DOWNLOAD_FAILED)


class Line:
    """A session that goes on."""

    def repository(self, _session: int) -> None:
        """Have nothing."""

    async def over(self, _session: int, _seconds: float) -> None:
        """Go on."""


async def filled(way: type, tmp_path: Path, disk: Disk, free: int, takes: int = 0) -> tuple[Any, list[str]]:
    """Fill the slot with so many bytes free; return how that ended and what was done."""
    kind = Kind.COMMAND if way is ManifestStaging else Kind.SLOTS
    trust: Any = None
    staging = way(tmp_path, "shop", trust, Places(tmp_path, replace(SHOP, kind=kind)), Ways())
    artefacts = staging._artefacts = Artefacts(disk, takes)
    staging._found = {1: SimpleNamespace(target=None)}
    disk.free_bytes = free
    return await staging.fill(FillSlot(1, 1, 7, "1.1.0", "a" * 64), Line()), artefacts.done


ENOUGH = 5 * MIB + RESERVE_BYTES


@pytest.mark.parametrize("way", [Staging, ManifestStaging])
async def test_without_room_for_the_backup_nothing_is_fetched(way: type, tmp_path: Path, disk: Disk) -> None:
    """Of a product of commands, not even its manifest."""
    failed, done = await filled(way, tmp_path, disk, ENOUGH - 1)
    assert isinstance(failed, StagingFailed)
    assert (failed.code, failed.transient, done) == (Code.DISK_FULL, True, [])
    assert "backup of shop" in failed.message
    assert "free space there" in failed.message
    assert (await filled(way, tmp_path, disk, ENOUGH))[1]


async def test_what_was_staged_on_the_same_disk_leaves_room_for_the_backup(tmp_path: Path, disk: Disk) -> None:
    """The update waits before its permit; it does not fail after it."""
    assert isinstance((await filled(Staging, tmp_path, disk, ENOUGH + 9, takes=9))[0], SlotReady)
    failed, done = await filled(Staging, tmp_path, disk, ENOUGH + 9, takes=10)
    assert (failed.code, done) == (Code.DISK_FULL, ["staged"])


async def test_a_backup_that_lost_its_room_meanwhile_is_not_begun(tmp_path: Path, disk: Disk) -> None:
    """Days may pass between download and permit."""
    shop = replace(SHOP, hooks=Hooks(backup=("/bin/touch", str(tmp_path / "begun"))))
    doer = Doer(tmp_path, shop, recipe_of(shop), Places(tmp_path, shop), "agent-1", SystemClock())
    disk.free_bytes = ENOUGH - 1

    async def started(_child: object) -> None:
        raise AssertionError("no command is run")

    attempt = Attempt(7, "1.1.0", stage=Stage.APPLYING, step=Step.BACKUP, sha256="a" * 64)
    ended = await doer.step(RunStep(1, attempt), started, lambda _attempt, _line: None)
    assert (ended.code, ended.by_itself) == (Code.DISK_FULL, False)
    assert "backup of shop" in ended.message
    assert not (tmp_path / "begun").exists()


def test_a_real_disk_of_its_own_is_asked(tmp_path: Path) -> None:
    """A small one for backups beside a roomy one for all else."""
    backups = tmp_path / "backups"
    backups.mkdir()
    code = f"""
import json, pathlib
from fleetroll_agent.products.backup_room import require_backup_room
from fleetroll_agent.settings.product import Hooks, Kind, Product
from fleetroll_common.values.errors import AgentError
said = []
for mib in (8, 9):
    try:
        hooks = Hooks(backup=("/bin/true",))
        shop = Product("shop", Kind.SLOTS, hooks=hooks, backup_mib=mib, backup_folder={str(backups)!r})
        require_backup_room(pathlib.Path({str(tmp_path)!r}), shop)
        said.append("")
    except AgentError as error:
        said.append(error.message)
print(json.dumps(said))
"""
    told = apart(f"mount -t tmpfs -o size=8m none {backups}", code)
    assert told == ["", f"no room for the backup of shop below {backups}: 9 MiB are needed, 8 MiB are free"]


def test_a_link_to_a_folder_that_is_not_made_yet_is_gone_after(tmp_path: Path) -> None:
    """It may lead to another disk."""
    (tmp_path / "big").mkdir()
    (tmp_path / "backups").symlink_to(tmp_path / "big" / "backups")
    product = replace(SHOP, backup_folder=str(tmp_path / "backups"))
    assert backup_place(tmp_path / "state", product) == tmp_path / "big"
