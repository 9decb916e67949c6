"""Whom a repeated start names as left out, and indexes that keep the reads of an expiry and a first version short."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Make the table and the indexes; of starts before, a repetition names nobody."""
    op.create_table(
        "exclusions",
        sa.Column("rollout_id", sa.String(), nullable=False),
        sa.Column("fleet_id", sa.String(), nullable=False),
        sa.Column("hosts", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["rollout_id"], ["rollout.id"], name=op.f("fk_exclusions_rollout_id")),
        sa.PrimaryKeyConstraint("rollout_id", name=op.f("pk_exclusions")),
    )
    columns = ["fleet_id", "product", "version", "created_at", "id"]
    op.create_index("rollout_of_version", "rollout", columns, unique=False)
    columns = ["rollout_id", "wave", "state", "generation"]
    op.create_index("rollout_host_of_wave", "rollout_host", columns, unique=False)
