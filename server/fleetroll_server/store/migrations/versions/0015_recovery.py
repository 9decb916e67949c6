"""Restored servers: hosts that are younger than the database, attempts that were taken over from hosts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from fleetroll_server.store.fleets import every_fleet

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Make the tables; every host of this incarnation is held to its ratchet."""
    op.add_column("agent", sa.Column("younger", sa.Boolean(), nullable=False, server_default=sa.false()))
    agent = sa.table("agent", sa.column("greeted", sa.Boolean()))
    op.execute(every_fleet(sa.update(agent).values(greeted=True), "every host of this incarnation"))
    op.create_table(
        "imported_attempt",
        sa.Column("agent_id", sa.String(), nullable=False),
        sa.Column("product", sa.String(), nullable=False),
        sa.Column("generation", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("fleet_id", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("unproven", sa.Boolean(), nullable=False),
        sa.Column("unconfirmed", sa.Boolean(), nullable=False),
        sa.Column("rollout_id", sa.String(), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("imported_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("agent_id", "product", "generation", name=op.f("pk_imported_attempt")),
    )
    op.create_table(
        "barred_agent",
        sa.Column("agent_id", sa.String(), nullable=False),
        sa.Column("fleet_id", sa.String(), nullable=False),
        sa.Column("barred_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("agent_id", name=op.f("pk_barred_agent")),
    )
