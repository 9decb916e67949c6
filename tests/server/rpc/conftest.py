"""While the services are driven: every statement on a table of one fleet's things names the fleet."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlmodel import SQLModel

import fleetroll_server.store.tables  # noqa: F401 (registers the tables)

if TYPE_CHECKING:
    from collections.abc import Iterator

FLEET_TABLES = sorted(name for name, table in SQLModel.metadata.tables.items() if "fleet_id" in table.c)

# Statements that may go without: what they look for, and why the fleet can't be in them.
EXCEPTIONS = {
    r"FROM agent\s+WHERE agent\.id = ": "a handshake or session token names an agent; its fleet is what is found out",
    r"FROM join_token\s+WHERE join_token\.secret_hash = ": "a secret names the token; its fleet is what is found out",
    r"FROM agent\s+WHERE agent\.public_key = \S+ OR agent\.next_key = ": "one key is one host, whatever its fleet",
}


def offence(statement: str) -> str:
    """Why a statement must not be run; empty when it may."""
    text = " ".join(statement.split())
    if any(re.search(pattern, text) for pattern in EXCEPTIONS):
        return ""
    insert = re.match(r"INSERT INTO (\w+) \(([^)]*)\)", text)
    if insert:
        columns = [column.strip() for column in insert[2].split(",")]
        return f"{insert[1]}: {text}" if insert[1] in FLEET_TABLES and "fleet_id" not in columns else ""
    head, _, condition = text.partition(" WHERE ")
    if not head.startswith(("SELECT", "UPDATE", "DELETE")):
        return ""
    tables = set(re.findall(r"(?:FROM|JOIN|UPDATE|,)\s+(\w+)", text)) & set(FLEET_TABLES)
    joins = " ".join(re.findall(r" JOIN \w+ ON (.*?)(?: WHERE | JOIN |$)", text))
    unnamed = [table for table in tables if f"{table}.fleet_id" not in condition + joins]
    return f"{', '.join(unnamed)}: {text}" if unnamed else ""


@pytest.fixture(autouse=True)
def fleets_are_named() -> Iterator[None]:
    """Watch every statement of the test."""
    offences: list[str] = []

    def watch(_c: Any, _k: Any, statement: str, *_rest: Any) -> None:
        found = offence(statement)
        if found:
            offences.append(found)

    sa.event.listen(Engine, "before_cursor_execute", watch)
    yield
    sa.event.remove(Engine, "before_cursor_execute", watch)
    assert offences == []


@pytest.fixture
def judge_statement() -> Any:
    return offence
