"""Rollouts: plans, waves, hosts with their attempts, desired states, claims, budgets, charges, reports."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 (SQLModel reads the annotations)
from typing import Any

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field

from fleetroll_server.store.tables.types import TableModel, big_integer, instant, json_column, long_text, maybe_instant


class RolloutRow(TableModel, table=True):
    """One rollout. ``revision`` is what a decision to spread must carry.

    ``late_stop_…`` say why a completed one offers no late host any more, who decided it and when; no code: it does.

    ``begun`` is false until it was set running once: it waits for approval (until ``approve_by``) or for ``start_at``.
    ``wave_approval`` says that the person who advances it to a wave must not be who started it.
    ``kind`` is what it is for; ``parent_id`` the rollout that it takes back. With ``goes_back`` each host goes to a
    version of its own that it had before. Hosts that went bad until ``retried_at`` are to be queued again.
    """

    __tablename__ = "rollout"
    __table_args__ = (
        UniqueConstraint("fleet_id", "idempotency_key"),
        Index("rollout_by_state", "state"),
        Index("rollout_of_version", "fleet_id", "product", "version", "created_at", "id"),
        Index("rollout_of_parent", "parent_id"),
    )
    id: str = Field(primary_key=True)
    fleet_id: str = Field(index=True)
    product: str
    version: str
    release_id: str
    state: str
    revision: int = big_integer(1)
    limits: dict[str, Any] = json_column({})
    selection: dict[str, Any] = json_column({})
    manual_advance: bool = False
    has_checks: bool = False
    retry_bad: bool = False
    actor_kind: str
    actor_id: str
    reason: str = long_text()
    idempotency_key: str | None = None
    request_sha256: str = ""
    state_actor_kind: str
    state_actor_id: str
    state_reason: str = long_text()
    state_code: str = ""
    state_changed_at: datetime = instant()
    created_at: datetime = instant()
    not_after: datetime = instant()
    stopped_at: datetime | None = maybe_instant()
    ended_at: datetime | None = maybe_instant()
    let_finish: bool = False
    late_stop_code: str = ""
    late_stop_reason: str = long_text()
    late_stop_actor_kind: str = ""
    late_stop_actor_id: str = ""
    late_stopped_at: datetime | None = maybe_instant()
    wave_approval: bool = False
    wave_order: str = ""
    require_approval: bool = False
    approve_by: datetime | None = maybe_instant()
    approved_at: datetime | None = maybe_instant()
    approved_actor_kind: str = ""
    approved_actor_id: str = ""
    approved_reason: str = long_text()
    start_at: datetime | None = maybe_instant()
    begun: bool = True
    kind: str = "update"
    parent_id: str = ""
    goes_back: bool = False
    retried_at: datetime | None = maybe_instant()
    retried_bad: bool = False


class ExclusionsRow(TableModel, table=True):
    """Whom a start with an idempotency key left out, as it was answered: the same key answers with the same.

    Apart from the rollout's row, which every step of it reads.
    """

    __tablename__ = "exclusions"
    rollout_id: str = Field(primary_key=True, foreign_key="rollout.id")
    fleet_id: str
    hosts: list[dict[str, str]] = json_column([])


class WaveRow(TableModel, table=True):
    """One wave with its counters, kept up in the transaction of each transition."""

    __tablename__ = "wave"
    rollout_id: str = Field(primary_key=True, foreign_key="rollout.id")
    number: int = Field(primary_key=True)
    fleet_id: str
    state: str
    planned: int
    counters: dict[str, Any] = json_column({})
    gate: str = long_text()
    baked_seconds: float = 0.0
    bake_ticked_at: datetime | None = maybe_instant()
    opened_at: datetime | None = maybe_instant()
    moved_at: datetime | None = maybe_instant()
    ended_at: datetime | None = maybe_instant()


class CheckRow(TableModel, table=True):
    """One check of a rollout's gate: what is asked, the newest reading, how many of its kind there were in a row.

    ``next_at`` is when a server reads it next; who moves it on has taken that reading. No ``kind``: not read yet.
    """

    __tablename__ = "gate_check"
    __table_args__ = (Index("gate_check_due", "next_at"),)
    rollout_id: str = Field(primary_key=True, foreign_key="rollout.id")
    name: str = Field(primary_key=True)
    fleet_id: str
    spec: dict[str, Any] = json_column({})
    kind: str = ""
    detail: str = long_text()
    read_at: datetime | None = maybe_instant()
    streak: int = 0
    next_at: datetime | None = maybe_instant()


class RolloutHostRow(TableModel, table=True):
    """One host in a rollout: its place and its newest attempt. The only truth about where it stands.

    ``tries`` counts its attempts that did not count, because their ways back were the server's fault.
    ``target_…`` is what this host goes to where that is not its rollout's version.
    """

    __tablename__ = "rollout_host"
    __table_args__ = (
        Index("rollout_host_order", "rollout_id", "wave", "state", "position"),
        Index("rollout_host_by_state", "rollout_id", "state", "generation"),
        Index("rollout_host_of_wave", "rollout_id", "wave", "state", "generation"),
        Index("rollout_host_turn", "rollout_id", "state", "waiting", "wave", "position"),
        Index("rollout_host_deadline", "deadline"),
        Index("rollout_host_attempt", "agent_id", "product", "generation"),
        Index("rollout_host_by_time", "agent_id", "product", "offered_at"),
    )
    rollout_id: str = Field(primary_key=True, foreign_key="rollout.id")
    agent_id: str = Field(primary_key=True)
    fleet_id: str
    product: str
    name: str
    wave: int
    position: int
    state: str
    generation: int | None = big_integer(None, nullable=True)  # type: ignore[arg-type]  # none before the first offer
    tries: int = 0
    step: str = ""
    code: str = ""
    message: str = long_text()
    output_tail: str = long_text()
    waiting: str = ""
    retry_at: datetime | None = maybe_instant()
    from_version: str = ""
    sha256: str = ""
    session_epoch: int = big_integer()
    last_ask: int = big_integer()
    attempted: bool = False
    unproven: bool = False
    late: bool = False
    forgiven: bool = False
    offered_at: datetime | None = maybe_instant()
    granted_at: datetime | None = maybe_instant()
    ended_at: datetime | None = maybe_instant()
    changed_at: datetime = instant()
    deadline: datetime | None = maybe_instant()
    target_version: str = ""
    target_sha256: str = ""
    retry_bad: bool = False


class AttemptHistoryRow(TableModel, table=True):
    """An attempt that a newer generation of the same rollout replaced (a retry)."""

    __tablename__ = "attempt_history"
    __table_args__ = (Index("attempt_history_by_time", "agent_id", "product", "offered_at"),)
    agent_id: str = Field(primary_key=True)
    product: str = Field(primary_key=True)
    generation: int = big_integer(primary_key=True, sa_column_kwargs={"autoincrement": False})
    fleet_id: str
    rollout_id: str = Field(index=True)
    state: str
    code: str = ""
    message: str = long_text()
    from_version: str = ""
    to_version: str
    offered_at: datetime | None = maybe_instant()
    granted_at: datetime | None = maybe_instant()
    ended_at: datetime | None = maybe_instant()


class HostProductRow(TableModel, table=True):
    """One product on one host, as the host last said it."""

    __tablename__ = "host_product"
    agent_id: str = Field(primary_key=True)
    product: str = Field(primary_key=True)
    fleet_id: str
    version: str = ""
    sha256: str = ""
    previous_version: str = ""
    on_trial: bool = False
    healthy: bool = False
    note: str = ""
    highest_generation: int = big_integer()
    last_success_at: datetime | None = maybe_instant()


class LocalAttemptRow(TableModel, table=True):
    """An attempt that was started on a host, as its last report left it; the newest of each product are kept."""

    __tablename__ = "local_attempt"
    __table_args__ = (
        Index("local_attempt_by_time", "agent_id", "product", "started_at"),
        Index("local_attempt_deadline", "deadline"),
    )
    agent_id: str = Field(primary_key=True)
    product: str = Field(primary_key=True)
    number: int = big_integer(primary_key=True, sa_column_kwargs={"autoincrement": False})
    fleet_id: str
    state: str
    step: str = ""
    code: str = ""
    message: str = long_text()
    output_tail: str = long_text()
    unproven: bool = False
    from_version: str = ""
    to_version: str = ""
    started_at: datetime = instant()
    changed_at: datetime = instant()
    ended_at: datetime | None = maybe_instant()
    deadline: datetime | None = maybe_instant()


class AssignmentRow(TableModel, table=True):
    """The desired state of one product on one host; an empty version means none. 0 ``max_attempts``: none was said.

    ``excuse_owed`` is a version whose unproven way back was the servers' fault: the next assignment of it is
    ``excused``, and so are its repeats until the host took one.
    """

    __tablename__ = "assignment"
    agent_id: str = Field(primary_key=True)
    product: str = Field(primary_key=True)
    fleet_id: str
    version: str = ""
    generation: int = big_integer()
    rollout_id: str = ""
    not_after: datetime | None = maybe_instant()
    soak_seconds: float = 0.0
    lease_seconds: float = 0.0
    max_attempts: int = 0
    recall: bool = False
    retry_bad: bool = False
    excused: bool = False
    excuse_owed: str = ""
    actor_kind: str
    actor_id: str
    reason: str = long_text()
    code: str = ""
    decided_at: datetime = instant()


class ClaimRow(TableModel, table=True):
    """Which rollout holds a product on a host: at most one, from OFFERED to the end."""

    __tablename__ = "claim"
    agent_id: str = Field(primary_key=True)
    product: str = Field(primary_key=True)
    fleet_id: str
    rollout_id: str = Field(index=True)


class BudgetRow(TableModel, table=True):
    """How many hosts of a scope may be out at once: ``global``, ``fleet/<id>``, ``rollout/<id>``."""

    __tablename__ = "budget"
    scope: str = Field(primary_key=True)
    fleet_id: str
    max_in_use: int
    max_out: int
    in_use: int = 0
    broken: int = 0


class ChargeRow(TableModel, table=True):
    """What one attempt holds in one scope: ``in_use`` from Go on, or ``broken``."""

    __tablename__ = "charge"
    agent_id: str = Field(primary_key=True)
    product: str = Field(primary_key=True)
    generation: int = big_integer(primary_key=True, sa_column_kwargs={"autoincrement": False})
    scope: str = Field(primary_key=True)
    fleet_id: str
    kind: str


class ReportRow(TableModel, table=True):
    """A report as received: accepted, history (an earlier step), or rejected with a code. Acked in every case."""

    __tablename__ = "report"
    agent_id: str = Field(primary_key=True)
    journal_id: str = Field(primary_key=True)
    sequence: int = big_integer(primary_key=True, sa_column_kwargs={"autoincrement": False})
    fleet_id: str
    product: str
    generation: int = big_integer()
    status: str
    code: str = ""
    payload: bytes
    received_at: datetime = instant()
