"""Checks of a rollout's gate: what is asked outside, and what was read."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Make the table; rollouts of before have no checks."""
    op.add_column("rollout", sa.Column("has_checks", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_table(
        "gate_check",
        sa.Column("rollout_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("fleet_id", sa.String(), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("streak", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["rollout_id"], ["rollout.id"], name=op.f("fk_gate_check_rollout_id")),
        sa.PrimaryKeyConstraint("rollout_id", "name", name=op.f("pk_gate_check")),
    )
    op.create_index("gate_check_due", "gate_check", ["next_at"])
