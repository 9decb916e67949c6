"""Why a completed rollout offers no late host any more, and an index that finds the one whose turn it is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from fleetroll_server.store.fleets import every_fleet

revision = "0009"
down_revision = "0008"

WORDS = ("late_stop_code", "late_stop_actor_kind", "late_stop_actor_id")
WHY = "what completed before is completed in every fleet"
ROLLOUT = sa.table("rollout", sa.column("id"), sa.column("fleet_id"), sa.column("state"))
WAVE = sa.table(
    "wave", sa.column("rollout_id"), sa.column("fleet_id"), sa.column("number"), sa.column("counters", sa.JSON())
)
BUDGET = sa.table("budget", sa.column("scope"), sa.column("fleet_id"), sa.column("max_in_use"))


def upgrade() -> None:
    """Add the columns; late hosts of rollouts that had completed before are offered from now on, until not_after."""
    for name in WORDS:
        op.add_column("rollout", sa.Column(name, sa.String(), nullable=False, server_default=""))
    op.add_column("rollout", sa.Column("late_stop_reason", sa.Text(), nullable=False, server_default=""))
    op.add_column("rollout", sa.Column("late_stopped_at", sa.DateTime(timezone=True), nullable=True))
    columns = ["rollout_id", "state", "waiting", "wave", "position"]
    op.create_index("rollout_host_turn", "rollout_host", columns, unique=False)
    _begin_late_hosts()


def _begin_late_hosts() -> None:
    """Leave every completed rollout as a completion leaves it from now on.

    What was bad in its waves was let through: unforgiven, it would stop late hosts for good at once, and keep new hosts
    from beginning with a release that their fleet has proved. One late host may be past Go at a time.
    """
    connection = op.get_bind()
    completed = sa.select(ROLLOUT.c.id, ROLLOUT.c.fleet_id).where(ROLLOUT.c.state == "completed")
    for rollout in connection.execute(every_fleet(completed, WHY)).all():
        mine = (WAVE.c.rollout_id == rollout.id, WAVE.c.fleet_id == rollout.fleet_id)
        waves = sa.select(WAVE.c.number, WAVE.c.counters).where(*mine)
        for wave in connection.execute(waves).all():
            cohorts = {name: bad for name, (_, bad) in wave.counters.get("cohorts", {}).items() if bad}
            counters = {
                **wave.counters,
                "forgiven_bad": wave.counters.get("bad", 0),
                "forgiven_cohorts": cohorts,
            }
            change = sa.update(WAVE).where(*mine, WAVE.c.number == wave.number).values(counters=counters)
            connection.execute(change)
        scope = (BUDGET.c.scope == f"rollout/{rollout.id}", BUDGET.c.fleet_id == rollout.fleet_id)
        connection.execute(sa.update(BUDGET).where(*scope).values(max_in_use=1))
