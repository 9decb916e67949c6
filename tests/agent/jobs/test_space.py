"""Room for an update is asked before a byte of it is fetched, for the agent itself as for its products."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_agent.fetch import SourceFailed
from fleetroll_agent.jobs.agent_update import AgentUpdate
from fleetroll_agent.jobs.artefacts import Ways
from fleetroll_agent.jobs.effects import FillSlot, FindTarget
from fleetroll_agent.jobs.events import SlotReady, StagingFailed, TargetFound
from fleetroll_agent.jobs.space import RESERVE_BYTES, RESERVE_INODES
from fleetroll_agent.jobs.values import ProductRecord
from fleetroll_agent.products.places import Places
from fleetroll_agent.products.staging import Staging
from fleetroll_agent.settings.product import Kind, Product
from fleetroll_agent.slots import SlotStore
from fleetroll_common.trust import ListedTarget, Offered
from fleetroll_common.values.codes import Code
from tests.faults.apart import apart
from tests.faults.archives import CONTENT, honest, snapshot

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


MIB = 1024 * 1024
BLOCK = 4096
ROOM = 1 << 40


@dataclass
class Repository:
    """Signed metadata with one release, and the source of its bytes; both count what is asked of them."""

    data: bytes
    target: ListedTarget
    offsets: list[int] = field(default_factory=list)
    cut_at: int | None = None

    def refresh(self) -> None:
        """Have nothing new."""

    def ruled(self, _product: str) -> Offered:
        """Know the one release."""
        return Offered((self.target,))

    def repository(self, _session: int) -> Repository:
        """Be the source of each session."""
        return self

    async def over(self, _session: int, _seconds: float) -> None:
        """Go on."""

    async def open(self, _path: str, offset: int) -> AsyncIterator[bytes]:
        """Send what is missing, up to where the line breaks."""
        self.offsets.append(offset)
        yield self.data[offset : self.cut_at]
        if self.cut_at is not None:
            raise SourceFailed("connection lost")


class Trust:
    """The repository as the rules of trust see it."""

    def __init__(self, repository: Repository) -> None:
        """Believe it."""
        self.refresh, self.ruled = repository.refresh, repository.ruled


@dataclass
class Disk:
    """What the system says about the disk of the state folder; plenty of all until a test says less."""

    free_bytes: int = ROOM
    free_inodes: int = ROOM
    inodes: int = ROOM
    asked: int = 0

    def statvfs(self, _path: object) -> SimpleNamespace:
        """Answer; what only root may still use is more, and no answer."""
        self.asked += 1
        return SimpleNamespace(
            f_frsize=1,
            f_bavail=self.free_bytes,
            f_bfree=ROOM,
            f_files=self.inodes,
            f_favail=self.free_inodes,
            f_ffree=ROOM,
        )


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """Stand between the agent and what the system says."""
    told = Disk()
    monkeypatch.setattr(os, "statvfs", told.statvfs)
    return told


@dataclass
class Update:
    """One release on its way to one host."""

    state: Path
    product: str
    repository: Repository
    way: Any

    @property
    def needed(self) -> int:
        """The archive, what it unpacks to, a block for the end of each file, and what is kept for the agent."""
        length, custom = self.repository.target.length, self.repository.target.custom
        return int(length + custom["tar_bytes"] + custom["file_count"] * BLOCK + RESERVE_BYTES)

    async def fill(self) -> SlotReady | StagingFailed:
        """Look the release up, then fill its slot."""
        more = () if self.product == "agent" else (ProductRecord(self.product),)
        found = await self.way.find(FindTarget(1, 1, 7, "1.1.0"), self.repository, *more)
        assert isinstance(found, TargetFound)
        done: SlotReady | StagingFailed = await self.way.fill(FillSlot(1, 1, 7, "1.1.0", found.sha256), self.repository)
        return done

    async def refused(self) -> StagingFailed:
        """Be refused: nothing was fetched, and nothing at all was written."""
        before, fetched = snapshot(self.state), len(self.repository.offsets)
        done = await self.fill()
        assert isinstance(done, StagingFailed)
        assert (done.code, done.transient) == (Code.DISK_FULL, True)
        assert len(self.repository.offsets) == fetched
        assert snapshot(self.state) == before
        return done


@pytest.fixture(params=["agent", "slots", "file"])
def update(request: pytest.FixtureRequest, tmp_path: Path) -> Update:
    """Give an update of the agent, of a product of slots, and of one file."""
    state, kind = tmp_path / "state", request.param
    state.mkdir()
    product = "agent" if kind == "agent" else "shop"
    archive = honest(CONTENT | {"pkg/big.bin": os.urandom(200_000)})
    archive.signed["product"] = product
    custom, path = archive.custom(), archive.write(tmp_path / "archive")
    data = path.read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    repository = Repository(data, ListedTarget(custom.target_path, len(data), sha256, custom.to_json()))
    trust: Any = Trust(repository)
    if kind == "agent":
        return Update(state, product, repository, AgentUpdate(state, trust, SlotStore(state), Ways()))
    said = Product(product, Kind(kind), path=str(tmp_path / "tool") if kind == "file" else None)
    return Update(state, product, repository, Staging(state, product, trust, Places(state, said), Ways()))


async def test_an_update_begins_when_archive_and_files_fit_and_enough_stays_free(update: Update, disk: Disk) -> None:
    """Enough: what records, journal and logs need whatever becomes of it."""
    disk.free_bytes = update.needed - 1
    await update.refused()
    disk.free_bytes = update.needed
    assert isinstance(await update.fill(), SlotReady)


async def test_what_is_missing_is_said_with_what_is_there_and_what_to_do(update: Update, disk: Disk) -> None:
    """What is needed is rounded up, what is free down: the two never seem to be the same."""
    disk.free_bytes = 3 * MIB - 1
    told = (await update.refused()).message
    assert told == (
        f"no room below {update.state}: {-(-update.needed // MIB)} MiB are needed, 2 MiB are free (DISK_FULL); "
        "free space there; the update tries again by itself"
    )


async def test_an_inode_for_each_file_has_to_be_free_and_some_more(update: Update, disk: Disk) -> None:
    """It has bytes enough."""
    needed = update.repository.target.custom["file_count"] + RESERVE_INODES
    disk.free_inodes = needed - 1
    told = (await update.refused()).message
    assert f"{needed} inodes are needed, {needed - 1} are free (DISK_FULL); free space there" in told
    disk.free_inodes = needed
    assert isinstance(await update.fill(), SlotReady)


async def test_a_file_system_that_makes_inodes_as_they_are_needed_has_enough(update: Update, disk: Disk) -> None:
    """It says that it has none at all."""
    disk.inodes = disk.free_inodes = 0
    assert isinstance(await update.fill(), SlotReady)


async def test_what_was_fetched_before_is_not_asked_for_again(update: Update, disk: Disk) -> None:
    """It lies on the disk already: an update that was cut short would wait for ever on one that it just fits."""
    update.repository.cut_at = 50_000
    cut = await update.fill()
    assert isinstance(cut, StagingFailed)
    assert cut.code is Code.DOWNLOAD_FAILED
    update.repository.cut_at = None
    disk.free_bytes = update.needed - 50_000 - 1
    await update.refused()
    disk.free_bytes = update.needed - 50_000
    assert isinstance(await update.fill(), SlotReady)
    assert update.repository.offsets == [0, 50_000]


async def test_a_version_that_lies_there_needs_no_room(update: Update, disk: Disk) -> None:
    """Nothing is fetched, and nothing unpacked."""
    assert isinstance(await update.fill(), SlotReady)
    disk.free_bytes = disk.free_inodes = 0
    assert isinstance(await update.fill(), SlotReady)
    assert update.repository.offsets == [0]


@pytest.mark.parametrize(
    ("size", "bytes_wanted", "inodes_wanted", "words"),
    [
        ("8m,nr_inodes=100", 9 * MIB, 1, "9 MiB are needed, 8 MiB are free"),
        ("8m,nr_inodes=100", 7 * MIB, 101, "101 inodes are needed, 99 are free"),
        ("8m,nr_inodes=100", 7 * MIB, 90, ""),
    ],
)
def test_a_real_disk_is_asked(tmp_path: Path, size: str, bytes_wanted: int, inodes_wanted: int, words: str) -> None:
    """The one below the folder, whatever lies beside it."""
    code = f"""
import json, pathlib
from fleetroll_agent.jobs.space import require_room
from fleetroll_common.values.errors import AgentError
try:
    require_room(pathlib.Path({str(tmp_path)!r}), {bytes_wanted}, {inodes_wanted})
    print(json.dumps(["", ""]))
except AgentError as error:
    print(json.dumps([error.code, error.message]))
"""
    told = apart(f"mount -t tmpfs -o size={size} none {tmp_path}", code)
    assert told == (["DISK_FULL", f"no room below {tmp_path}: {words}"] if words else ["", ""])
