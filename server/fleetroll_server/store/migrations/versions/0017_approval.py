"""Rollouts that begin later: by a second person's approval, or at a set time; and in which order their hosts stand."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"

WORDS = ("wave_order", "approved_actor_kind", "approved_actor_id")
INSTANTS = ("approve_by", "approved_at", "start_at")


def upgrade() -> None:
    """Add the columns; what is there has begun, and nobody had to approve it."""
    for name in ("wave_approval", "require_approval"):
        op.add_column("rollout", sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("rollout", sa.Column("begun", sa.Boolean(), nullable=False, server_default=sa.true()))
    for name in WORDS:
        op.add_column("rollout", sa.Column(name, sa.String(), nullable=False, server_default=""))
    op.add_column("rollout", sa.Column("approved_reason", sa.Text(), nullable=False, server_default=""))
    for name in INSTANTS:
        op.add_column("rollout", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
