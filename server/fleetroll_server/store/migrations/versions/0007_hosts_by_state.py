"""An index for a rollout's hosts by state and whether they had an offer: what is left to do costs no history."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Make the index."""
    op.create_index("rollout_host_by_state", "rollout_host", ["rollout_id", "state", "generation"], unique=False)
