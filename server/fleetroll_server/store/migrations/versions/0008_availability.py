"""The record of when servers accepted hellos, and the excuses that follow from it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Make the table, and take over what the leases say of the servers until now; no excuse is owed."""
    op.create_table(
        "spell",
        sa.Column("server_id", sa.String(), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ticked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("over", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("server_id", "began_at", name=op.f("pk_spell")),
    )
    op.create_index(op.f("ix_spell_ticked_at"), "spell", ["ticked_at"], unique=False)
    op.execute(
        "INSERT INTO spell (server_id, began_at, ticked_at, over) SELECT id, started_at, lease_until, false FROM server"
    )
    op.add_column("assignment", sa.Column("excused", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("assignment", sa.Column("excuse_owed", sa.String(), nullable=False, server_default=""))
