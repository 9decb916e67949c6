"""A data folder from a backup: whole or not at all, of this schema or an older one, and never of a newer one."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_common.values.errors import FleetrollError, RequestError, StoreError
from fleetroll_common.values.ids import SystemIds
from fleetroll_publishing.keys import Cost, Passphrase
from fleetroll_server.authority import current_leaf, prepare, read_authority, switch
from fleetroll_server.certificates import Pair, belong_together
from fleetroll_server.datafolder import DataFolder
from fleetroll_server.recovery.state import recovery_of
from fleetroll_server.secrets import Secrets
from fleetroll_server.store.migrate import newest_revision
from fleetroll_server.upkeep import backup as backing
from fleetroll_server.upkeep import restore as restoring
from fleetroll_server.upkeep.backup import BackupRequest, back_up
from fleetroll_server.upkeep.backup_format import BackupWriter
from fleetroll_server.upkeep.restore import RestoreRequest, restore
from tests.faults.lost_time import join_string
from tests.faults.stocks import Stock
from tests.faults.worlds import World

if TYPE_CHECKING:
    from collections.abc import Callable

    from fleetroll_common.values.clock import FakeClock

SECRET = Passphrase("a good passphrase", Cost(1, 8192))


@pytest.fixture
async def backup(installed: Any, tmp_path: Path, clock: FakeClock) -> Path:
    """A backup of a server that init made, encrypted."""
    return await taken(installed.data, tmp_path / "backup", clock)


async def taken(data: Path, out: Path, clock: FakeClock, *, artefacts: bool = True) -> Path:
    folder = DataFolder(data)
    await back_up(folder, folder.database_url, BackupRequest(out, SECRET, artefacts), clock)
    return out


async def brought_back(source: Path, data: Path, clock: FakeClock, stops: Path | None = None) -> restoring.Restored:
    return await restore(RestoreRequest(data, source, SECRET, () if stops is None else (stops,)), clock, SystemIds())


def rows(data: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(DataFolder(data).database)) as database:
        return database.execute(query).fetchall()


def files(data: Path) -> dict[str, tuple[bytes, int]]:
    found = (path for path in data.rglob("*") if path.is_file() and not path.name.startswith("fleetroll.db"))
    return {path.relative_to(data).as_posix(): (path.read_bytes(), path.stat().st_mode) for path in found}


async def test_rows_and_files_come_back_as_they_were(
    installed: Any, backup: Path, tmp_path: Path, clock: FakeClock
) -> None:
    made = await brought_back(backup, tmp_path / "new", clock)
    before, after = files(installed.data), files(tmp_path / "new")
    before.pop("server.lock", None)
    assert after == before
    for query in ("SELECT * FROM fleet", "SELECT * FROM api_token", "SELECT * FROM metadata_file ORDER BY name"):
        assert rows(tmp_path / "new", query) == rows(installed.data, query)
    assert made.recovery.active
    assert made.folder.path == tmp_path / "new"


async def test_it_has_another_incarnation_that_counts_on(
    installed: Any, backup: Path, tmp_path: Path, clock: FakeClock
) -> None:
    query = "SELECT value FROM meta WHERE key = 'incarnation'"
    await brought_back(backup, tmp_path / "new", clock)
    ((old,),), ((new,),) = rows(installed.data, query), rows(tmp_path / "new", query)
    assert (old.endswith(".1"), new.endswith(".2")) == (True, True)
    assert old.partition(".")[0] != new.partition(".")[0]


async def test_the_new_server_starts_in_recovery(
    installed: Any, backup: Path, tmp_path: Path, clock: FakeClock, launch: Callable[..., Any]
) -> None:
    await brought_back(backup, tmp_path / "new", clock)
    installed.data = tmp_path / "new"
    async with launch(installed) as server:
        async with server.services.store.read() as connection:
            recovery = await recovery_of(connection)
        assert recovery.active


async def test_a_running_server_is_not_disturbed_by_a_backup(
    installed: Any, tmp_path: Path, clock: FakeClock, launch: Callable[..., Any]
) -> None:
    async with launch(installed) as server:
        made = await asyncio.gather(
            taken(installed.data, tmp_path / "one", clock), taken(installed.data, tmp_path / "two", clock)
        )
        assert server.services.store.writer.healthy
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in made)


async def test_a_folder_in_use_is_left_alone(installed: Any, backup: Path, clock: FakeClock) -> None:
    before = files(installed.data)
    with pytest.raises(RequestError, match="in use"):
        await brought_back(backup, installed.data, clock)
    assert files(installed.data) == before


async def test_a_backup_does_not_overwrite(installed: Any, backup: Path, clock: FakeClock) -> None:
    before = backup.read_bytes()
    with pytest.raises(RequestError, match="exists"):
        await taken(installed.data, backup, clock)
    assert backup.read_bytes() == before


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
async def test_a_file_that_is_cut_off_leaves_nothing(
    backup: Path, tmp_path: Path, clock: FakeClock, share: float
) -> None:
    data = backup.read_bytes()
    backup.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(RequestError, match="no whole backup"):
        await brought_back(backup, tmp_path / "new", clock)
    assert not [path for path in tmp_path.iterdir() if "new" in path.name]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("taken_at", None),
        ("taken_at", 5),
        ("taken_at", "yesterday"),
        ("taken_at", "2026-11-01T12:00:00"),
        ("events", None),
        ("events", "12"),
        ("events", 1.5),
        ("events", True),
        ("events", -1),
    ],
)
async def test_a_header_that_does_not_say_where_the_backup_stands_is_damage(
    installed: Any, tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, name: str, said: Any
) -> None:
    """A readable one, which anybody can write."""
    real = BackupWriter
    monkeypatch.setattr(backing, "BackupWriter", lambda file, facts, lock: real(file, {**facts, name: said}, lock))
    folder = DataFolder(installed.data)
    await back_up(folder, folder.database_url, BackupRequest(tmp_path / "forged", None), clock)
    with pytest.raises(RequestError, match="its header does not say"):
        await restore(RestoreRequest(tmp_path / "new", tmp_path / "forged"), clock, SystemIds())
    assert sorted(path.name for path in tmp_path.iterdir() if "new" in path.name) == []


async def test_a_newer_schema_is_refused(installed: Any, tmp_path: Path, clock: FakeClock) -> None:
    with closing(sqlite3.connect(DataFolder(installed.data).database)) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
        database.commit()
    await taken(installed.data, tmp_path / "backup", clock)
    with pytest.raises(StoreError, match="9999"):
        await brought_back(tmp_path / "backup", tmp_path / "new", clock)
    assert not (tmp_path / "new").exists()


async def test_an_older_schema_is_migrated(installed: Any, tmp_path: Path, clock: FakeClock) -> None:
    with closing(sqlite3.connect(DataFolder(installed.data).database)) as database:
        for statement in (
            "ALTER TABLE agent DROP COLUMN younger",
            "DROP TABLE imported_attempt",
            "DROP TABLE barred_agent",
            "UPDATE alembic_version SET version_num = '0013'",
        ):
            database.execute(statement)
        database.commit()
    await taken(installed.data, tmp_path / "backup", clock)
    await brought_back(tmp_path / "backup", tmp_path / "new", clock)
    assert rows(tmp_path / "new", "SELECT version_num FROM alembic_version") == [(newest_revision(),)]
    assert rows(tmp_path / "new", "SELECT count(*) FROM imported_attempt") == [(0,)]


async def test_a_failure_at_the_end_leaves_nothing_either(
    backup: Path, tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_path: Path) -> None:
        raise OSError(28, "no space")

    monkeypatch.setattr(restoring, "sync_tree", full)
    with pytest.raises(OSError, match="no space"):
        await brought_back(backup, tmp_path / "new", clock)
    assert not [path for path in tmp_path.iterdir() if "new" in path.name]


async def test_without_stops_every_join_token_is_suspended(
    installed: Any, tmp_path: Path, clock: FakeClock, launch: Callable[..., Any]
) -> None:
    world = World(Stock(installed.data, installed.token))
    await world.start()
    await join_string(world, 5)
    await world.stop()
    await taken(installed.data, tmp_path / "backup", world.clock)
    made = await brought_back(tmp_path / "backup", tmp_path / "new", world.clock)
    assert made.recovery.suspended_tokens == 1
    assert not made.recovery.stops_read
    assert made.recovery.blind_from == made.recovery.taken_at
    assert rows(tmp_path / "new", "SELECT revoked FROM join_token") == [(1,)]
    shutil.rmtree(tmp_path / "new")
    (tmp_path / "stops").touch()
    made = await brought_back(tmp_path / "backup", tmp_path / "new", world.clock, tmp_path / "stops")
    assert (made.recovery.suspended_tokens, made.recovery.stops_read) == (0, True)
    assert rows(tmp_path / "new", "SELECT revoked FROM join_token") == [(0,)]


async def test_artefacts_may_be_left_out(installed: Any, tmp_path: Path, clock: FakeClock) -> None:
    kept = DataFolder(installed.data).artefacts / ("ab" * 32)
    kept.write_bytes(b"x" * 3_000_000)
    await taken(installed.data, tmp_path / "with", clock)
    await taken(installed.data, tmp_path / "without", clock, artefacts=False)
    await brought_back(tmp_path / "with", tmp_path / "one", clock)
    made = await brought_back(tmp_path / "without", tmp_path / "two", clock)
    assert (DataFolder(tmp_path / "one").artefacts / kept.name).read_bytes() == kept.read_bytes()
    assert not list(DataFolder(tmp_path / "two").artefacts.iterdir())
    assert not made.artefacts


async def test_what_no_server_has_is_not_written(
    installed: Any, tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backing, "_files", lambda _folder, artefacts: [("../evil", installed.data / "secret.key")])
    await taken(installed.data, tmp_path / "backup", clock)
    with pytest.raises(FleetrollError, match="no server has"):
        await brought_back(tmp_path / "backup", tmp_path / "new", clock)
    assert not (tmp_path / "evil").exists()


async def test_a_switch_of_the_ca_while_a_backup_is_made_leaves_no_key_that_does_not_fit(
    installed: Any, tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whenever it comes: each run switches after one more of the folder's files was read."""
    folder = DataFolder(installed.data)
    secrets = Secrets.load(folder.secret_key)
    real, reads, due = Path.read_bytes, 0, -1

    def counted(path: Path) -> bytes:
        nonlocal reads, due
        found = real(path)
        if path.parent == folder.tls:
            reads += 1
            if reads == due:
                due = -1
                switch(folder, clock.now())
                current_leaf(folder, secrets, ["localhost"], clock.now())
        return found

    monkeypatch.setattr(Path, "read_bytes", counted)
    monkeypatch.setattr(backing, "LOOK_SECONDS", 0.0)
    for number in range(1, 7):
        prepare(folder, secrets, clock.now())
        reads, due = 0, number
        await taken(installed.data, tmp_path / f"backup-{number}", clock)
        assert due == -1, "the switch came"
        await brought_back(tmp_path / f"backup-{number}", tmp_path / f"new-{number}", clock)
        again = DataFolder(tmp_path / f"new-{number}")
        authority = read_authority(again)
        key = secrets.open((again.tls / "ca.key.sealed").read_text("ascii"))
        assert belong_together(Pair(authority.certificate, key)), number


async def test_a_ca_that_never_comes_to_rest_is_said_and_leaves_no_backup(
    installed: Any, tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = DataFolder(installed.data)
    real, looks = backing._in_room, iter(range(1000))

    def busy(room: Path) -> Any:
        (folder.tls / "bridges.pem").write_bytes(b"%d" % next(looks))
        return real(room)

    monkeypatch.setattr(backing, "_in_room", busy)
    monkeypatch.setattr(backing, "LOOK_SECONDS", 0.0)
    with pytest.raises(RequestError, match="went on changing"):
        await taken(installed.data, tmp_path / "backup", clock, artefacts=False)
    assert not list(tmp_path.glob("*backup*"))
