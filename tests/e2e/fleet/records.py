"""Reads a server's database beside the server, or without it: what is stored, not what is answered."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


class Records:
    """The database file of a server."""

    def __init__(self, path: Path) -> None:
        """Read ``path``; nothing is ever written."""
        self._path = path

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with closing(sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, timeout=10)) as connection:
            return connection.execute(query, values).fetchall()

    def count(self, table: str) -> int:
        """Return how many rows ``table`` has."""
        ((count,),) = self.rows(f"SELECT count(*) FROM {table}")  # noqa: S608 (a table's name, from the test)
        return int(count)

    def metadata(self) -> dict[str, bytes]:
        """Return the repository's signed files by name."""
        return {str(name): bytes(data) for name, data in self.rows("SELECT name, payload FROM metadata_file")}

    def reports(self, agent_id: str) -> dict[tuple[str, int], str]:
        """Return how the reports of an agent were judged, by journal and sequence."""
        rows = self.rows("SELECT journal_id, sequence, status FROM report WHERE agent_id = ?", agent_id)
        return {(str(journal), int(sequence)): str(status) for journal, sequence, status in rows}
