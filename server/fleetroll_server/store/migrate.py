"""Schema migrations: each in a transaction of its own, logged with its number and duration.

Two servers that start together do it one after the other (SQLite: BEGIN IMMEDIATE; PostgreSQL: an advisory lock that
ends with the transaction).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
import structlog
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.engine import Connection
    from sqlalchemy.ext.asyncio import AsyncEngine

SCRIPTS = Path(__file__).parent / "migrations"
_ADVISORY_LOCK = 5_417_050_101
"""Any constant: the name of the lock under which PostgreSQL's schema changes."""
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Step:
    """One migration that was carried out."""

    revision: str
    summary: str
    seconds: float


async def migrate(engine: AsyncEngine, scripts: Path = SCRIPTS, until: str = "") -> list[Step]:
    """Bring the database to the newest schema, or no further than ``until``; return what was done, in order.

    Raises:
        StoreError: the database has a schema that this program does not know (operator's fault: an older program).
        Exception: what a migration raised; its transaction is rolled back, the ones before it stand.
    """
    config, known = Config(), _read(scripts)
    if until:
        _check_known(until, list(known))
        known = {revision: known[revision] for revision in list(known)[: list(known).index(until) + 1]}
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    steps: list[Step] = []
    while True:
        async with engine.begin() as connection:
            step = await connection.run_sync(_next_step, config, known)
        if step is None:
            return steps
        _log.info("store.migrated", revision=step.revision, summary=step.summary, seconds=round(step.seconds, 3))
        steps.append(step)


def newest_revision(scripts: Path = SCRIPTS) -> str:
    """Return the schema revision that this program writes."""
    return next(reversed(_read(scripts)), "")


@cache
def _read(scripts: Path) -> dict[str, str]:
    """Return the revisions of a folder, oldest first, each with its summary.

    Read once in a process: the files belong to the program, and reading them compiles each.

    Raises:
        CommandError: they do not stand in one line.
    """
    folder = ScriptDirectory(str(scripts))
    folder.get_current_head()
    revisions = list(folder.walk_revisions())
    return {script.revision: script.doc for script in reversed(revisions)}


def _check_known(revision: str, order: list[str]) -> None:
    """Refuse a schema that this program does not know.

    Raises:
        StoreError: as :func:`migrate`.
    """
    if revision not in order:
        raise StoreError(
            f"schema: the database is at revision {revision!r}, this program knows up to {order[-1]!r}",
            code=Code.STORE_FAILED,
            remedy="run the newer program that wrote this database, or restore a backup",
        )


def _next_step(connection: Connection, config: Config, known: Mapping[str, str]) -> Step | None:
    """Carry out the one migration that follows; nothing when there is none."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
    order = list(known)
    current = MigrationContext.configure(connection).get_current_revision()
    if current is not None:
        _check_known(current, order)
    if current == order[-1]:
        return None
    target = order[0 if current is None else order.index(current) + 1]
    config.attributes["connection"] = connection
    began = time.monotonic()
    command.upgrade(config, target)
    return Step(target, known[target], time.monotonic() - began)
