"""What is true of the whole database: incarnation and ids, fleets, the event log, suspensions."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 (SQLModel reads the annotations)

from sqlalchemy import Index
from sqlmodel import Field

from fleetroll_server.store.tables.types import TableModel, big_integer, instant, json_column, long_text


class MetaRow(TableModel, table=True):
    """Single values by name: ``incarnation``, ``signing_mode``, ``demo``; ``server_key``, ``signing_key/…``, sealed."""

    __tablename__ = "meta"
    key: str = Field(primary_key=True)
    value: str


class FleetRow(TableModel, table=True):
    """One fleet: the unit of access and policy."""

    __tablename__ = "fleet"
    id: str = Field(primary_key=True)
    name: str = Field(unique=True)
    created_at: datetime = instant()


class EventRow(TableModel, table=True):
    """One committed fact. ``sequence`` comes from :class:`CounterRow` in the same transaction, without gaps."""

    __tablename__ = "event"
    __table_args__ = (
        Index("event_of_rollout", "rollout_id", "sequence"),
        Index("event_of_agent", "agent_id", "sequence"),
        Index("event_of_fleet", "fleet_id", "sequence"),
    )
    sequence: int = big_integer(primary_key=True, sa_column_kwargs={"autoincrement": False})
    fleet_id: str
    occurred_at: datetime = instant()
    kind: str
    actor_kind: str
    actor_id: str
    reason: str = long_text()
    code: str = ""
    rollout_id: str = ""
    agent_id: str = ""
    attempt_id: str = ""
    attempt_state: str = ""
    message: str = long_text()
    facts: dict[str, str] = json_column({})


class CounterRow(TableModel, table=True):
    """Named counters, taken in blocks by one UPDATE … RETURNING as the last lock of a transaction."""

    __tablename__ = "counter"
    name: str = Field(primary_key=True)
    value: int = big_integer()


class SuspensionRow(TableModel, table=True):
    """The kill switch of one scope: ``global`` or ``fleet/<id>``. Read inside every offer and every Go."""

    __tablename__ = "suspension"
    scope: str = Field(primary_key=True)
    fleet_id: str
    epoch: int = big_integer()
    active: bool = False
    actor_kind: str = ""
    actor_id: str = ""
    reason: str = long_text()
    decided_at: datetime = instant()
    in_use: int = 0
