"""What holds for a managed product whatever comes: any words in any order, crashes at any point, clocks that run on."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from fleetroll_agent.jobs.effects import EndChild, OpenGate, Probe, RunStep
from fleetroll_agent.jobs.events import Assigned, SessionClosed, SessionOpened, Suspended
from fleetroll_agent.jobs.values import Said, Step
from fleetroll_common.values.codes import Code
from tests.faults.jobs import NEW, OLD
from tests.faults.managed_host import COMMAND, MIGRATING, PLAIN, SLOTS, ManagedHost

if TYPE_CHECKING:
    from fleetroll_agent.products.recipe import Recipe

BACK = {Step.SWITCH_BACK, Step.ROLLBACK, Step.RESTORE, Step.RESTART_BACK, Step.HEALTH_BACK}
REACHED: Counter[str] = Counter()


class AnyProduct(RuleBasedStateMachine):
    """One product and a world that does as it likes."""

    def __init__(self) -> None:
        super().__init__()
        self.host = ManagedHost.begin()
        self.generation = 0
        self.running: set[int] = set()
        """Jobs of this process whose command was let run and has not ended."""

    @initialize(recipe=st.sampled_from([SLOTS, COMMAND]))
    def choose(self, recipe: Recipe) -> None:
        self.host = ManagedHost.begin(recipe)

    @precondition(lambda self: self.host.attempt is None)
    @rule(migrating=st.booleans(), retry_bad=st.booleans())
    def update(self, migrating: bool, retry_bad: bool) -> None:
        self.host.tell(Suspended("global", active=False))
        self.generation = max(self.generation, self.host.disk.highest) + 1
        about = MIGRATING if migrating else PLAIN
        if self.host.disk.current is not None and self.host.disk.current.sha256 == NEW:
            self.host = ManagedHost.begin(self.host.recipe)
            self.generation = 1
        self.host.to_go(self.generation, about, retry_bad=retry_bad)

    @precondition(lambda self: self.host.attempt is not None and self.host.attempt.past_go and self.host.state.job)
    @rule(good=st.sampled_from([True, True, True, False]), by_itself=st.booleans())
    def it_ends(self, good: bool, by_itself: bool) -> None:
        """Let whatever runs come to its end."""
        last = next(one for one in reversed(self.host.effects) if isinstance(one, (RunStep, Probe, EndChild)))
        if isinstance(last, EndChild):
            self.host.gone(gone=good)
        elif isinstance(last, Probe):
            self.host.looks(healthy=good)
        else:
            self.host.ends(None if good else Code.STEP_FAILED, by_itself=by_itself)

    @precondition(lambda self: self.host.attempt is not None and self.host.attempt.past_go and self.host.state.job)
    @rule(steps=st.integers(1, 8))
    def go_on_well(self, steps: int) -> None:
        """Let the next steps be those of an update without trouble: else random words hardly ever get anywhere."""
        for _ in range(steps):
            if self.host.attempt is not None and self.host.attempt.past_go and self.host.state.job is not None:
                self.it_ends(good=True, by_itself=True)

    @precondition(lambda self: self.host.attempt is None)
    @rule(step=st.sampled_from([Step.MIGRATE, Step.SMOKE, Step.SWITCH, Step.RESTART, Step.HEALTH]))
    def fail_at(self, step: Step) -> None:
        """Bring an update to a step that then fails, and go some of the way back."""
        self.update(migrating=True, retry_bad=True)
        for _ in range(8):
            attempt = self.host.attempt
            if attempt is None or attempt.step is step or self.host.state.job is None:
                break
            self.it_ends(good=True, by_itself=True)
        if self.host.attempt is not None and self.host.state.job is not None:
            self.it_ends(good=False, by_itself=False)

    @precondition(lambda self: isinstance(self.host.effects[-1] if self.host.effects else None, RunStep))
    @rule()
    def it_starts(self) -> None:
        assert isinstance(self.host.starts()[-1], OpenGate)

    @rule(seconds=st.sampled_from([1, 2, 11, 61]))
    def wait(self, seconds: int) -> None:
        self.host.wait(seconds)

    @rule(recall=st.booleans(), version=st.sampled_from(["", "1.2.0"]))
    def assign(self, recall: bool, version: str) -> None:
        self.generation = max(self.generation, self.host.disk.highest) + 1
        self.host.tell(Assigned(self.generation, version, recall=recall))

    @rule(active=st.booleans())
    def switch(self, active: bool) -> None:
        self.host.tell(Suspended("global", active=active))

    @rule(is_open=st.booleans())
    def session(self, is_open: bool) -> None:
        self.host.tell(SessionOpened(2) if is_open else SessionClosed(self.host.state.session))

    @rule()
    def crash(self) -> None:
        child = self.host.attempt is not None and self.host.attempt.work and self.host.attempt.work.child
        self.host = self.host.crash()
        if child and self.host.attempt is not None:
            assert not [one for one in self.host.effects if isinstance(one, RunStep)], "a second one beside the first"

    @invariant()
    def what_is_installed_changes_with_a_success_alone(self) -> None:
        current = self.host.disk.current
        succeeded = [known for known in self.host.disk.outcomes if known.said is Said.SUCCEEDED]
        assert current is not None
        assert current.sha256 == (NEW if succeeded else OLD)

    @invariant()
    def every_attempt_has_at_most_one_result(self) -> None:
        results = Counter(known.generation for known in self.host.disk.outcomes)
        assert all(count == 1 for count in results.values())

    @invariant()
    def nothing_new_is_done_on_the_way_back(self) -> None:
        for effect in self.host.effects:
            if isinstance(effect, (RunStep, Probe)):
                assert (effect.attempt.step in BACK) == effect.attempt.work.going_back

    @invariant()
    def what_is_past_go_is_never_left_without_something_due(self) -> None:
        attempt, state = self.host.attempt, self.host.state
        if attempt is not None and attempt.past_go:
            assert state.job is not None or state.course.next_due(state) is not None

    @invariant()
    def reports_are_numbered_without_gaps(self) -> None:
        assert [told.number for told in self.host.journal] == list(range(1, len(self.host.journal) + 1))

    def teardown(self) -> None:
        """When the world behaves again every attempt comes to its end."""
        for _ in range(200):
            if self.host.attempt is None or not self.host.attempt.past_go:
                break
            if self.host.state.job is None:
                self.host.wait(10)
            else:
                self.it_ends(good=True, by_itself=True)
        else:
            raise AssertionError(self.host.attempt)
        REACHED.update(f"{told.said.value} {told.step}".strip() for told in self.host.journal)


def test_the_rules_hold_whatever_comes_and_every_step_is_reached() -> None:
    """Without the second half the first could hold for want of anything happening."""
    run_state_machine_as_test(AnyProduct, settings=settings(max_examples=150, stateful_step_count=40, deadline=None))
    managed = set(Step) - {Step.SELF_TEST, Step.ARM, Step.CHECK}
    seen = {line.partition(" ")[2] for line in REACHED}
    assert {step.value for step in managed} <= seen
    ends = {Said.SUCCEEDED, Said.FAILED, Said.ROLLED_BACK, Said.ROLLBACK_FAILED, Said.CANCELLED}
    assert {said.value for said in ends} <= set(REACHED)
