"""A way back that a person asks for: the same steps as after a failure, and the version before is kept at their end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_agent.jobs.state import Result, State, running_attempt, with_attempt
from fleetroll_agent.jobs.values import ByHand, Moment, Stage
from fleetroll_agent.jobs.work import Installed, Work
from fleetroll_agent.products import back
from fleetroll_agent.settings.product import Kind

if TYPE_CHECKING:
    from fleetroll_agent.products.recipe import Recipe


def begin(recipe: Recipe, state: State, moment: Moment) -> Result:
    """Turn round at once: nothing is done forward."""
    attempt, current = running_attempt(state), state.record.current or Installed("", "")
    if attempt.by_hand is ByHand.RESTORE:
        work = Work(current.version, current.sha256, migrated=True, backup_id=attempt.backup_id)
    else:
        work = Work(
            attempt.version,
            attempt.sha256,
            pulled=recipe.kind is Kind.COMMAND,
            switched=True,
            migrated=current.migrated,
            backup_id=current.backup_id,
            left_version=current.version,
        )
    state = with_attempt(state, stage=Stage.APPLYING, work=work)
    return back.start(recipe, state, moment)


def why_not(recipe: Recipe, state: State) -> str:
    """Return why there is nothing to go back to, in words; empty when there is."""
    record = state.record
    if record.previous is None:
        return "no version before this one is known on this host"
    if not back.knows_the_way(recipe):
        return "agent.toml has no rollback for it"
    if record.current is not None and record.current.migrated and not record.current.backup_id:
        return f"{record.current.version} migrated its data and left no backup"
    return ""
