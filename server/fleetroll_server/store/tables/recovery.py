"""What a restored server takes over from its hosts, and whom it keeps out."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 (SQLModel reads the annotations)

from sqlmodel import Field

from fleetroll_server.store.tables.types import TableModel, big_integer, instant, long_text, maybe_instant


class ImportedAttemptRow(TableModel, table=True):
    """An attempt that a host has shown and the database had lost. ``rollout_id``: where it has a place; else empty.

    ``unconfirmed``: the host's ratchet was not known here, so that a copy may have shown it.
    """

    __tablename__ = "imported_attempt"
    agent_id: str = Field(primary_key=True)
    product: str = Field(primary_key=True)
    generation: int = big_integer(primary_key=True, sa_column_kwargs={"autoincrement": False})
    fleet_id: str
    state: str
    version: str = ""
    sha256: str = ""
    code: str = ""
    message: str = long_text()
    unproven: bool = False
    unconfirmed: bool = False
    rollout_id: str = ""
    ended_at: datetime | None = maybe_instant()
    imported_at: datetime = instant()


class BarredAgentRow(TableModel, table=True):
    """An agent that was revoked after the backup that does not know it: it stays out."""

    __tablename__ = "barred_agent"
    agent_id: str = Field(primary_key=True)
    fleet_id: str
    barred_at: datetime = instant()
