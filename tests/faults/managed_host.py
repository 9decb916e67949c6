"""A managed product without disk and network: its rules, driven event by event, the way the shell does it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from fleetroll_agent.jobs import machine
from fleetroll_agent.jobs.effects import AskGo, Effect, EndChild, FillSlot, FindTarget, Probe, RunStep
from fleetroll_agent.jobs.events import (
    Assigned,
    ChildGone,
    GoGiven,
    Probed,
    SessionOpened,
    SlotReady,
    StepEnded,
    StepStarted,
    TargetFound,
)
from fleetroll_agent.jobs.state import Rules, Running
from fleetroll_agent.jobs.values import ProductRecord, Step
from fleetroll_agent.jobs.work import About, Child, Installed
from fleetroll_agent.products.pipeline import Pipeline
from fleetroll_agent.products.recipe import Recipe
from fleetroll_agent.settings.product import Kind
from tests.faults.jobs import NEW, OLD, Host

if TYPE_CHECKING:
    from fleetroll_common.values.codes import Code

HOOKS = frozenset({Step.CHECK, Step.BACKUP, Step.MIGRATE, Step.SMOKE, Step.RESTART, Step.RESTORE})
COMMANDS = frozenset({Step.BACKUP, Step.PULL, Step.MIGRATE, Step.SMOKE, Step.SWITCH, Step.ROLLBACK, Step.RESTORE})
SLOTS = Recipe("shop", Kind.SLOTS, HOOKS)
COMMAND = Recipe("shop", Kind.COMMAND, COMMANDS)
MIGRATING = About(("stable",), "abc1234", migrations_required=True)
PLAIN = About(("stable",), "abc1234")
CHILD = Child(4711, 99, "boot")


@dataclass
class ManagedHost(Host):
    """A host with one product beside the agent; 1.0.0 of it is installed."""

    recipe: Recipe = field(default_factory=lambda: SLOTS)

    @classmethod
    def begin(cls, recipe: Recipe = SLOTS, record: ProductRecord | None = None, at: float = 5000.0) -> ManagedHost:
        record = record or ProductRecord(recipe.product, current=Installed("1.0.0", OLD))
        current = record.current
        running = Running("", "") if current is None else Running(current.version, current.sha256)
        state, effects = machine.begin(record, None, running, cls._moment(at), Rules(), Pipeline(recipe))
        host = cls(state, at=at, disk=record, recipe=recipe)
        host._keep(state, effects)
        return host

    def crash(self) -> ManagedHost:
        """Kill the agent and start the next one on what is on the disk."""
        fresh = ManagedHost.begin(self.recipe, self.disk, self.at)
        fresh.journal = [*self.journal, *fresh.journal]
        return fresh

    def to_go(self, generation: int = 7, about: About = MIGRATING, soak: float = 6, **more: Any) -> None:
        """Bring an assignment to the use of its Go."""
        self.tell(SessionOpened(1), Assigned(generation, "1.1.0", soak, 60, **more))
        self.tell(TargetFound(self.last(FindTarget).job, NEW, about))
        if self.attempt is None:
            return  # it was refused
        self.tell(SlotReady(self.last(FillSlot).job))
        self.tell(GoGiven(1, generation, self.last(AskGo).ask))

    def ends(self, code: Code | None = None, **more: Any) -> tuple[Effect, ...]:
        """Let the step at hand end; without a code it did what it is for."""
        effect = self.last(RunStep)
        values: dict[Step | None, str] = {Step.CHECK: effect.attempt.version, Step.BACKUP: "backup-1"}
        more.setdefault("value", "" if code else values.get(effect.attempt.step, ""))
        return self.tell(StepEnded(effect.job, code, **more))

    def starts(self) -> tuple[Effect, ...]:
        """Let the process of the step at hand stand behind its gate."""
        return self.tell(StepStarted(self.last(RunStep).job, CHILD))

    def looks(self, *, healthy: bool = True, version: str = "", message: str = "") -> tuple[Effect, ...]:
        """Let the look at hand end, waiting for it where it is not due yet."""
        if self.state.job is None:
            self.wait(self.recipe.interval_seconds)
        return self.tell(Probed(self.last(Probe).job, healthy, message, version))

    def gone(self, *, gone: bool = True) -> tuple[Effect, ...]:
        """Answer what an earlier process left."""
        return self.tell(ChildGone(self.last(EndChild).job, gone))

    def up_to(self, step: Step) -> None:
        """Let every step before ``step`` succeed."""
        for _ in range(12):
            if self.attempt is None or self.attempt.step is step:
                return
            self.ends()

    def soak(self) -> None:
        """Be healthy until the attempt has ended."""
        for _ in range(50):
            if self.attempt is None:
                return
            self.looks()

    @property
    def steps(self) -> list[str]:
        """Return the steps that were begun, in order."""
        return [effect.attempt.step.value for effect in self.effects if isinstance(effect, RunStep)]

    def with_(self, **changes: Any) -> ManagedHost:
        """Return a host whose recipe is changed; nothing has happened on it."""
        return ManagedHost.begin(replace(self.recipe, **changes))
