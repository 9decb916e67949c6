"""From agent.toml to the recipe that the pure rules follow, and to the command of a step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_agent.jobs.values import Step
from fleetroll_agent.products.recipe import Recipe
from fleetroll_agent.settings.product import Hook, Kind

if TYPE_CHECKING:
    from fleetroll_agent.settings.product import Argv, Product

_HOOKS = {
    Step.CHECK: Hook.VERSION,
    Step.BACKUP: Hook.BACKUP,
    Step.PULL: Hook.PULL,
    Step.MIGRATE: Hook.MIGRATE,
    Step.SMOKE: Hook.SMOKE,
    Step.SWITCH: Hook.SWITCH,
    Step.ROLLBACK: Hook.ROLLBACK,
    Step.RESTORE: Hook.RESTORE,
}


def command_of(product: Product, step: Step) -> Argv | None:
    """Return the command of ``step``; None where the product has none, or where this program does it itself."""
    if step in (Step.RESTART, Step.RESTART_BACK):
        return product.restart_command
    hook = _HOOKS.get(step)
    return None if hook is None else product.hooks.get(hook)


def recipe_of(product: Product) -> Recipe:
    """Return how ``product`` is updated."""
    health = product.health
    times = (
        {} if health is None else {"start_seconds": health.start_seconds, "interval_seconds": health.interval_seconds}
    )
    return Recipe(
        product=product.name,
        kind=product.kind,
        hooks=frozenset(step for step in Step if command_of(product, step) is not None),
        limits={step: float(product.limit_seconds(hook)) for step, hook in _limited().items()},
        idempotent=frozenset(step for step, hook in _HOOKS.items() if hook in product.idempotent),
        revert_on_lost_contact=product.revert_on_lost_contact,
        **times,
    )


def restarts(product: Product) -> str:
    """Return the unit whose log says why the product did not start; empty = none is known."""
    return product.unit or ""


def _limited() -> dict[Step, Hook]:
    return {**_HOOKS, Step.RESTART: Hook.RESTART}


def is_switched_here(product: Product) -> bool:
    """Tell whether this program switches the product itself."""
    return product.kind is not Kind.COMMAND
