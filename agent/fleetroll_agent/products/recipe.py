"""How one product is updated, as the pure rules need to know it: what agent.toml says, without programs and paths."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fleetroll_agent.jobs.values import Step
from fleetroll_agent.settings.product import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fleetroll_agent.jobs.work import About, Work

DEFAULT_STEP_SECONDS = 600.0
"""What a step may take (names.md, "APPLYING, each command step")."""
GRACE_SECONDS = 30.0
"""On top of a step's own limit: for ending it, and for writing down that it ended."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """One product.

    Attributes:
        product: its name.
        kind: how it is switched.
        hooks: the steps that have a command, or that the kind itself does.
        limits: seconds that a step may take, where that is not :data:`DEFAULT_STEP_SECONDS`; > 0.
        idempotent: steps whose command may be run again after a crash.
        start_seconds: until the product must be healthy for the first time after its switch, > 0.
        interval_seconds: between two looks at its health, > 0.
        revert_on_lost_contact: go back when the server can't be reached after the switch.
    """

    product: str
    kind: Kind = Kind.SLOTS
    hooks: frozenset[Step] = frozenset()
    limits: Mapping[Step, float] = field(default_factory=dict)
    idempotent: frozenset[Step] = frozenset()
    start_seconds: float = 60.0
    interval_seconds: float = 2.0
    revert_on_lost_contact: bool = False

    def limit_seconds(self, step: Step) -> float:
        """Return how long ``step`` may take."""
        if step in (Step.HEALTH, Step.HEALTH_BACK):
            return self.start_seconds
        return self.limits.get(_LIKE.get(step, step), DEFAULT_STEP_SECONDS)

    def may_run_again(self, step: Step) -> bool:
        """Tell whether a step that a crash cut off may be begun again."""
        own = _REPEATABLE - ({Step.SWITCH} if self.kind is Kind.COMMAND else set())
        return step in own or step in self.idempotent

    def steps(self, about: About) -> tuple[Step, ...]:
        """Return the steps from Go to the health check, in their order."""
        order = _COMMANDS if self.kind is Kind.COMMAND else _FILES
        return tuple(step for step in order if self._has(step, about))

    def steps_back(self, about: About, work: Work) -> tuple[Step, ...]:
        """Return the steps of the way back after ``work``, in their order; every one may be run again."""
        by_us, has = self.kind is not Kind.COMMAND, self.hooks
        wanted = {
            Step.SWITCH_BACK: by_us and work.switched,
            Step.ROLLBACK: Step.ROLLBACK in has and (work.pulled or work.switched),
            Step.RESTORE: Step.RESTORE in has and work.migrated,
            Step.RESTART_BACK: Step.RESTART in has,
            Step.HEALTH_BACK: not about.fresh,
        }
        return tuple(step for step, is_wanted in wanted.items() if is_wanted)

    def _has(self, step: Step, about: About) -> bool:
        if step in (Step.SWITCH, Step.HEALTH):
            return True
        return step in self.hooks and (step is not Step.MIGRATE or about.migrations_required)


_FILES = (
    Step.CHECK,
    Step.BACKUP,
    Step.PULL,
    Step.MIGRATE,
    Step.SMOKE,
    Step.SWITCH,
    Step.RESTART,
    Step.HEALTH,
)
_COMMANDS = (
    Step.BACKUP,
    Step.PULL,
    Step.MIGRATE,
    Step.SMOKE,
    Step.SWITCH,
    Step.RESTART,
    Step.HEALTH,
)
"""What a product of commands runs says its version only once it runs: that is asked with its health."""
_REPEATABLE = frozenset({Step.CHECK, Step.SWITCH, Step.RESTART})
"""What does the same however often it is done."""
_LIKE = {Step.RESTART_BACK: Step.RESTART}
