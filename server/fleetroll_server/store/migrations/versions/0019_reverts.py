"""Rollouts that take another one back, or mean one host; what hosts go to where that is each one's own; retries."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Add the columns; what stands there is an update that nobody has retried."""
    for name, default in (("kind", "update"), ("parent_id", "")):
        op.add_column("rollout", sa.Column(name, sa.String(), nullable=False, server_default=default))
    for name in ("goes_back", "retried_bad"):
        op.add_column("rollout", sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("rollout", sa.Column("retried_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index("rollout_of_parent", "rollout", ["parent_id"], unique=False)
    for name in ("target_version", "target_sha256"):
        op.add_column("rollout_host", sa.Column(name, sa.String(), nullable=False, server_default=""))
    op.add_column("rollout_host", sa.Column("retry_bad", sa.Boolean(), nullable=False, server_default=sa.false()))
