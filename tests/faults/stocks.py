"""What worlds begin with: an initialised data folder, published releases, enrolled hosts and their disks."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlmodel import SQLModel

from fleetroll.v1 import enrolment_pb2, enrolment_pb2_grpc
from fleetroll_common.wire.joinstring import JoinString
from fleetroll_common.wire.signing import enroll_bytes, public_key, sign
from fleetroll_server.datafolder import DataFolder
from fleetroll_server.store.engine import writing_engine
from fleetroll_server.store.fleets import every_fleet
from tests.faults.virtual_disk import PLATFORM, Disk

if TYPE_CHECKING:
    from pathlib import Path

    import grpc
    from sqlalchemy.ext.asyncio import AsyncConnection

FLEET = "default"
HOSTS = 8
OLD, NEW, NEWER = "1.0.0", "1.1.0", "1.2.0"


@dataclass
class Stock:
    """An initialised data folder with releases and enrolled hosts, and what their disks hold."""

    data: Path
    token: str
    digests: dict[str, str] = field(default_factory=dict)
    disks: list[Disk] = field(default_factory=list)

    def copy(self, target: Path) -> Stock:
        """Return a stock of one test's own."""
        shutil.copytree(self.data, target)
        return replace(self, data=target, disks=[disk.copy() for disk in self.disks])


@dataclass(frozen=True, slots=True)
class ElsewhereFolder(DataFolder):
    """A data folder whose database is another one than its file."""

    url: str = ""

    @property
    def database_url(self) -> str:
        """Return the other database."""
        return self.url or f"sqlite+aiosqlite:///{self.database}"


async def enroll(
    channel: grpc.aio.Channel, join_string: str, name: str, seed: bytes, ratchet: bytes, agent_id: str = ""
) -> enrolment_pb2.EnrollResponse:
    """Enrol one host, or readmit the one that is ``agent_id``."""
    join, key = JoinString.decode(join_string), public_key(seed)
    request = enrolment_pb2.EnrollRequest(
        token=join.token,
        public_key=key,
        signature=sign(seed, enroll_bytes(join.token, key)),
        host_name=name,
        platform=PLATFORM,
        root_sha256=join.root_sha256,
        ratchet=ratchet,
        agent_id=agent_id,
    )
    stub: Any = enrolment_pb2_grpc.EnrolmentServiceStub(channel)
    answer: enrolment_pb2.EnrollResponse = await stub.Enroll(request, timeout=20)
    return answer


async def move_in(stock: Stock, url: str) -> None:
    """Copy every row of a stock's file into another migrated database."""
    source, target = writing_engine(f"sqlite+aiosqlite:///{stock.data / 'fleetroll.db'}"), writing_engine(url)
    try:
        async with source.connect() as reading, target.begin() as writing:
            for table in SQLModel.metadata.sorted_tables:
                await _copy_table(table, reading, writing)
    finally:
        await source.dispose()
        await target.dispose()


async def _copy_table(table: sa.Table, reading: AsyncConnection, writing: AsyncConnection) -> None:
    """Replace the rows of one table."""
    why = "a copy of the whole"
    rows = [dict(row) for row in (await reading.execute(every_fleet(sa.select(table), why))).mappings()]
    await writing.execute(every_fleet(sa.delete(table), why))
    if rows:
        await writing.execute(sa.insert(table), rows)
