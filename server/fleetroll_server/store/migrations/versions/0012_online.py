"""Until when a host without a session counts as online, and how often one comes that does not hold its stream."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add the columns; hosts without a session are offline, as they were called before."""
    op.add_column("agent", sa.Column("online_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("agent", sa.Column("check_in_seconds", sa.Float(), nullable=False, server_default="0"))
    op.create_index(op.f("ix_agent_online_until"), "agent", ["online_until"], unique=False)
