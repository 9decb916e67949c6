"""Migrations: whole or not at all, once, in order, and in agreement with the models."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlmodel import SQLModel

import fleetroll_server.store.tables  # noqa: F401
from fleetroll_common.values.errors import RequestError, StoreError
from fleetroll_server.store import Store
from fleetroll_server.store import engine as store_engine
from fleetroll_server.store.engine import writing_engine
from fleetroll_server.store.migrate import SCRIPTS, migrate, newest_revision

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncEngine

    from fleetroll_common.values.clock import FakeClock

REVISIONS = [f"{number:04}" for number in range(1, 20)]

NEXT = f'\nrevision = "9999"\ndown_revision = "{REVISIONS[-1]}"\n'
"""Closes each file: it follows the newest one that is there."""

BROKEN = '''"""Fail."""
import sqlalchemy as sa
from alembic import op
def upgrade():
    """Fail after the first change."""
    op.create_table("half", sa.Column("id", sa.Integer()))
    op.execute("INSERT INTO fleet (id, name, created_at) VALUES ('half', 'half', '2026-01-01 00:00:00')")
    op.execute("SELECT * FROM nowhere")
'''

CHILDREN = '''"""Rebuild a parent table."""
import sqlalchemy as sa
from alembic import op
def upgrade():
    """Add a column."""
    op.add_column("release", sa.Column("extra", sa.String(), nullable=False, server_default="more"))
'''


@pytest.fixture(params=["sqlite", "postgresql"])
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    """An empty database of each kind."""
    if request.param == "sqlite":
        url = f"sqlite+aiosqlite:///{tmp_path / 'empty.db'}"
    else:
        url = request.getfixturevalue("postgres").fresh("template1")
    made = writing_engine(url)
    yield made
    await made.dispose()


def with_extra(tmp_path: Path, name: str, text: str) -> Path:
    """Copy the migrations and add one that follows them."""
    scripts = tmp_path / "scripts"
    shutil.copytree(SCRIPTS, scripts, ignore=shutil.ignore_patterns("__pycache__"))
    (scripts / "versions" / name).write_text(text + NEXT)
    return scripts


async def ask(engine: AsyncEngine, statement: str) -> Any:
    async with engine.begin() as connection:
        return (await connection.execute(sa.text(statement))).scalar()


async def table_names(engine: AsyncEngine) -> list[str]:
    async with engine.begin() as connection:
        return await connection.run_sync(lambda sync: sa.inspect(sync).get_table_names())


async def test_a_fresh_database_gets_every_step_with_its_duration(engine: AsyncEngine) -> None:
    steps = await migrate(engine)
    assert [step.revision for step in steps] == REVISIONS
    assert all(step.seconds > 0 and step.summary for step in steps)
    assert newest_revision() == REVISIONS[-1]


async def test_a_second_run_does_nothing(engine: AsyncEngine) -> None:
    await migrate(engine)
    assert await migrate(engine) == []


async def test_models_and_migrations_agree(engine: AsyncEngine) -> None:
    await migrate(engine)
    async with engine.begin() as connection:
        differences = await connection.run_sync(
            lambda sync: compare_metadata(
                MigrationContext.configure(sync, opts={"compare_type": True}), SQLModel.metadata
            )
        )
    assert differences == []


async def test_a_later_step_is_added_to_what_is_there_and_keeps_every_child_row(
    engine: AsyncEngine, tmp_path: Path
) -> None:
    await migrate(engine)
    async with engine.begin() as connection:
        await connection.execute(
            sa.text(
                "INSERT INTO release (id, product, version, channels, git_sha, released_at, migrations_required, "
                "breaking_changes, notes, supported_from, protocol, listed, actor_kind, actor_id) VALUES "
                "('r', 'p', '1.0.0', '[]', 'abcdef0', '2026-01-01 00:00:00', false, '', '', '', 1, true, 'user', 'u')"
            )
        )
        await connection.execute(
            sa.text(
                "INSERT INTO artifact (release_id, os, arch, abi, path, length, sha256, custom) "
                "VALUES ('r', 'linux', 'x86_64', 'cp311', 'p', 1, 'x', '{}')"
            )
        )
    steps = await migrate(engine, with_extra(tmp_path, "9999_children.py", CHILDREN))
    assert [step.revision for step in steps] == ["9999"]
    assert await ask(engine, "SELECT count(*) FROM artifact") == 1
    assert await ask(engine, "SELECT extra FROM release") == "more"


async def test_a_step_that_fails_half_way_leaves_nothing(engine: AsyncEngine, tmp_path: Path) -> None:
    scripts = with_extra(tmp_path, "9999_broken.py", BROKEN)
    with pytest.raises(sa.exc.DBAPIError):
        await migrate(engine, scripts)
    assert "half" not in await table_names(engine)
    assert await ask(engine, "SELECT count(*) FROM fleet") == 0
    assert await ask(engine, "SELECT version_num FROM alembic_version") == REVISIONS[-1]


async def test_a_newer_schema_is_refused_and_left_alone(engine: AsyncEngine) -> None:
    await migrate(engine)
    await_newer = "UPDATE alembic_version SET version_num = '9999'"
    async with engine.begin() as connection:
        await connection.execute(sa.text(await_newer))
    with pytest.raises(StoreError) as caught:
        await migrate(engine)
    assert "9999" in caught.value.message
    assert await ask(engine, "SELECT version_num FROM alembic_version") == "9999"


async def test_two_servers_that_start_together_migrate_once(engine: AsyncEngine) -> None:
    url = engine.url.render_as_string(hide_password=False)
    second = writing_engine(url)
    try:
        done = await asyncio.gather(migrate(engine), migrate(second))
    finally:
        await second.dispose()
    assert sorted(step.revision for steps in done for step in steps) == REVISIONS


async def test_a_new_database_that_is_being_written_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite itself refuses the write-ahead log at once while somebody writes with the old journal."""
    run, refused = store_engine._pragmas, asyncio.Event()

    def pragmas(*given: Any) -> None:
        try:
            run(*given)
        except sqlite3.OperationalError:
            refused.set()
            raise

    monkeypatch.setattr(store_engine, "_pragmas", pragmas)
    with closing(sqlite3.connect(tmp_path / "new.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        engine = writing_engine(f"sqlite+aiosqlite:///{tmp_path / 'new.db'}")
        try:
            opening = asyncio.create_task(migrate(engine))
            await asyncio.wait({opening, asyncio.create_task(refused.wait())}, return_when=asyncio.FIRST_COMPLETED)
            assert refused.is_set()
            assert not opening.done()
            other.execute("COMMIT")
            assert [step.revision for step in await opening] == REVISIONS
        finally:
            await engine.dispose()


async def test_a_new_database_that_stays_locked_ends_in_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fleetroll_server.store.engine.BUSY_SECONDS", 0.1)
    with closing(sqlite3.connect(tmp_path / "new.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        engine = writing_engine(f"sqlite+aiosqlite:///{tmp_path / 'new.db'}")
        with pytest.raises(sa.exc.OperationalError, match="locked"):
            await migrate(engine)
        await engine.dispose()


async def test_the_event_counter_starts_at_zero(engine: AsyncEngine) -> None:
    await migrate(engine)
    assert await ask(engine, "SELECT value FROM counter WHERE name = 'event'") == 0


@pytest.mark.parametrize("url", ["sqlite+aiosqlite://", "mysql+aiomysql://h/d", "sqlite:///x.db"])
async def test_a_database_that_is_not_known_is_refused(url: str, clock: FakeClock) -> None:
    with pytest.raises(RequestError):
        await Store.open(url, clock)
