"""What a host refuses by itself, before a byte is fetched: the fleet's wish meets what agent.toml allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_agent.jobs.course import Refusal
from fleetroll_agent.jobs.state import State, running_attempt
from fleetroll_agent.jobs.values import Said, Step
from fleetroll_common.values.codes import Code

if TYPE_CHECKING:
    from fleetroll_agent.jobs.events import TargetFound
    from fleetroll_agent.products.recipe import Recipe


def refusal(recipe: Recipe, state: State, found: TargetFound) -> Refusal | None:
    """Return why this product does not take what the signed metadata lists; None when it does."""
    attempt = running_attempt(state)
    if found.sha256 in state.record.bad and not attempt.retry_bad:
        return Refusal(Said.FAILED, Code.BAD_DIGEST, "this digest failed on this host before")
    if found.about is not None and found.about.migrations_required and Step.MIGRATE not in recipe.hooks:
        text = f"{attempt.version} needs its migrate step, and agent.toml has none for {recipe.product}"
        return Refusal(Said.FAILED, Code.NOT_ALLOWED, text)
    return None
