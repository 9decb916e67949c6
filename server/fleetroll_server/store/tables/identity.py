"""Who may speak: agents with their ratchets, retired keys, join tokens, enrolments, API tokens."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 (SQLModel reads the annotations)

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field

from fleetroll_server.store.tables.types import TableModel, big_integer, instant, json_column, long_text, maybe_instant


class AgentRow(TableModel, table=True):
    """One host. Identity columns change only by the rules of the ratchet; the others are what the host last said.

    ``online_until`` is set where there is no session and the host may be on its way back; nothing once it is offline.
    ``check_in_seconds`` is how often one comes that does not hold its stream; 0 for one that does. ``younger``: it came
    to a restored database that did not know it, and waits, quarantined, for an admin's approval.
    """

    __tablename__ = "agent"
    __table_args__ = (Index("agent_of_fleet", "fleet_id", "id"),)
    id: str = Field(primary_key=True)
    fleet_id: str
    name: str = Field(index=True)
    os: str
    arch: str
    abi: str
    labels: dict[str, str] = json_column({})
    time_zone: str = ""
    disk_free_bytes: int = big_integer()
    container_marker: str = ""
    boot_id: str = ""
    agent_version: str = ""
    launcher_version: str = ""
    public_key: bytes
    next_key: bytes | None = None
    acked: bytes
    advances: int = big_integer()
    epoch: int = big_integer()
    stale_streak: int = 0
    repeat_streak: int = 0
    greeted: bool = True
    quarantined: bool = False
    younger: bool = False
    revoked: bool = False
    enrolled_at: datetime = instant()
    last_seen_at: datetime | None = maybe_instant()
    left_well: bool = False
    online_until: datetime | None = maybe_instant(index=True)
    check_in_seconds: float = 0.0
    server_id: str = Field(default="", index=True)
    journal_id: str = ""
    last_sequence: int = big_integer()


class RetiredKeyRow(TableModel, table=True):
    """A key that was this agent's. ``why`` is rotated (a hello with it is a fork) or readmitted (it is refused)."""

    __tablename__ = "retired_key"
    agent_id: str = Field(primary_key=True)
    public_key: bytes = Field(primary_key=True)
    fleet_id: str
    why: str
    retired_at: datetime = instant()


class JoinTokenRow(TableModel, table=True):
    """A token with which hosts enrol (``kind`` join) or one agent is readmitted (``kind`` readmit). Stored hashed."""

    __tablename__ = "join_token"
    id: str = Field(primary_key=True)
    fleet_id: str = Field(index=True)
    kind: str
    secret_hash: bytes = Field(unique=True)
    agent_id: str = ""
    labels: dict[str, str] = json_column({})
    max_uses: int
    uses: int = 0
    expires_at: datetime = instant()
    revoked: bool = False
    actor_kind: str
    actor_id: str
    reason: str = long_text()
    created_at: datetime = instant()


class EnrolmentRow(TableModel, table=True):
    """Which key used which token: the same pair gets the same answer and spends no second use."""

    __tablename__ = "enrolment"
    token_id: str = Field(primary_key=True)
    public_key: bytes = Field(primary_key=True)
    fleet_id: str
    agent_id: str = Field(index=True)
    enrolled_at: datetime = instant()


class ApiTokenRow(TableModel, table=True):
    """A credential of a person or program. Stored hashed; empty scopes or fleets mean all of the role's."""

    __tablename__ = "api_token"
    __table_args__ = (UniqueConstraint("secret_hash"),)
    id: str = Field(primary_key=True)
    name: str
    secret_hash: bytes
    role: str
    scopes: list[str] = json_column([])
    fleet_ids: list[str] = json_column([])
    expires_at: datetime = instant()
    revoked: bool = False
    actor_kind: str
    actor_id: str
    reason: str = long_text()
    created_at: datetime = instant()


class ServerRow(TableModel, table=True):
    """One server process and its lease: its sessions count as live until the lease has run out."""

    __tablename__ = "server"
    id: str = Field(primary_key=True)
    started_at: datetime = instant()
    lease_until: datetime = instant()


class SpellRow(TableModel, table=True):
    """A stretch of time in which a server accepted every hello: the record of availability is all of them."""

    __tablename__ = "spell"
    server_id: str = Field(primary_key=True)
    began_at: datetime = instant(primary_key=True)
    ticked_at: datetime = instant(index=True)
    over: bool = False
