"""Hosts that a person let off by resuming their rollout after a halt."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the column; nobody is known to have been let off."""
    op.add_column("rollout_host", sa.Column("forgiven", sa.Boolean(), nullable=False, server_default=sa.false()))
