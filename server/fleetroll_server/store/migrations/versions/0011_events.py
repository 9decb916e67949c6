"""Indexes for watchers: events of a rollout or an agent, newest first; hosts page by page; a host's last attempts."""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Put the sequence into the indexes: the newest events of a subject are read from their end."""
    op.create_index("event_of_rollout", "event", ["rollout_id", "sequence"], unique=False)
    op.create_index("event_of_agent", "event", ["agent_id", "sequence"], unique=False)
    op.create_index("event_of_fleet", "event", ["fleet_id", "sequence"], unique=False)
    op.drop_index(op.f("ix_event_rollout_id"), table_name="event")
    op.drop_index(op.f("ix_event_fleet_id"), table_name="event")
    op.create_index("agent_of_fleet", "agent", ["fleet_id", "id"], unique=False)
    op.drop_index(op.f("ix_agent_fleet_id"), table_name="agent")
    for table in ("rollout_host", "attempt_history"):
        op.create_index(f"{table}_by_time", table, ["agent_id", "product", "offered_at"], unique=False)
