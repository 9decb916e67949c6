"""How often a host may try again by itself before Go, told with its assignment."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the column; what was assigned before said nothing about it."""
    op.add_column("assignment", sa.Column("max_attempts", sa.Integer(), nullable=False, server_default=sa.text("0")))
