"""A statement on a table of one fleet's things names the fleet: in a condition, or among its columns."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlmodel import SQLModel

import fleetroll_server.store.tables  # noqa: F401 (registers the tables)

if TYPE_CHECKING:
    from collections.abc import Iterator

FLEET_TABLES = frozenset(name for name, table in SQLModel.metadata.tables.items() if "fleet_id" in table.c)
KEYED_BY_ID = re.compile(r"FROM (agent WHERE agent\.(id|public_key) = |join_token WHERE join_token\.secret_hash = )")
"""A handshake, a key and a token name one row each; its fleet is what is found out."""


def offence(statement: str) -> str:
    """Why a statement must not be run; empty when it may."""
    text = " ".join(statement.split())
    if KEYED_BY_ID.search(text):
        return ""
    if insert := re.match(r"INSERT INTO (\w+) \(([^)]*)\)", text):
        named = insert[1] not in FLEET_TABLES or "fleet_id" in insert[2]
        return "" if named else text
    if not text.startswith(("SELECT", "UPDATE", "DELETE")):
        return ""
    update = text.startswith("UPDATE")
    where = text.partition(" WHERE " if update else " FROM ")[2]
    tables = set(re.findall(r"(?:FROM|JOIN|UPDATE) (\w+)" if update else r"(?:FROM|JOIN|,) (\w+)", text)) & FLEET_TABLES
    unnamed = sorted(table for table in tables if f"{table}.fleet_id" not in where)
    return f"{', '.join(unnamed)}: {text}" if unnamed else ""


@contextmanager
def fleets_named() -> Iterator[None]:
    """Fail where a statement of the block names no fleet."""
    offences: list[str] = []

    def watch(_c: Any, _k: Any, statement: str, *_rest: Any) -> None:
        if found := offence(statement):
            offences.append(found)

    sa.event.listen(Engine, "before_cursor_execute", watch)
    try:
        yield
    finally:
        sa.event.remove(Engine, "before_cursor_execute", watch)
    assert not offences, "\n".join(sorted(set(offences)))
