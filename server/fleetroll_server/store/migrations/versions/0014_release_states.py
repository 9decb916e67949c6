"""Why a release is listed no more: its state, and the reason in its publisher's words."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Add the columns; what stands there was never taken back."""
    op.add_column("release", sa.Column("state", sa.String(), nullable=False, server_default="listed"))
    op.add_column("release", sa.Column("state_reason", sa.Text(), nullable=False, server_default=""))
