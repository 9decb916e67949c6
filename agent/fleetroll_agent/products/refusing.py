"""What a managed product refuses beside what every product does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_agent.jobs.course import Refusal
from fleetroll_agent.jobs.refusing import refuse_bad, refuse_by_policy
from fleetroll_agent.jobs.state import State, running_attempt
from fleetroll_agent.jobs.values import Said, Step
from fleetroll_common.values.codes import Code

if TYPE_CHECKING:
    from fleetroll_agent.jobs.events import TargetFound
    from fleetroll_agent.products.recipe import Recipe


def refusal(recipe: Recipe, state: State, found: TargetFound) -> Refusal | None:
    """Return why this product does not take what the signed metadata lists; None when it does."""
    known = failed_before(state, found.sha256)
    return refuse_by_policy(state, found.about) or refuse_bad(state, known) or _no_migration(recipe, state, found)


def failed_before(state: State, sha256: str) -> str:
    """Say that a digest failed on this host; empty when it did not."""
    return "this digest failed on this host before" if sha256 in state.record.bad else ""


def _no_migration(recipe: Recipe, state: State, found: TargetFound) -> Refusal | None:
    if found.about is None or not found.about.migrations_required or Step.MIGRATE in recipe.hooks:
        return None
    version = running_attempt(state).version
    text = f"{version} needs its migrate step, and agent.toml has none for {recipe.product}"
    return Refusal(Said.FAILED, Code.NOT_ALLOWED, text)
