"""The domain as a whole: a rollout in memory among hosts that do what they like, judged after every step.

What must hold is in :mod:`tests.faults.rollout_oracle` and at the end of :func:`tests.faults.rollout_walk.settle`:
budgets are never exceeded by Go, there is no Go after a stop, a wave passes only through its gate, the server believes
nobody before Go who is past it, every host ends in one result, budgets hold nothing in the end, and it does end.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from fleetroll_server.domain.states import ATTEMPT_TRANSITIONS, AttemptState, RolloutState, Trigger
from tests.faults.rollout_rows import HostRow, Rows
from tests.faults.rollout_walk import GOOD, PEOPLE, SECONDS, STRANGE, any_world, late_world, settle, walk, well

if TYPE_CHECKING:
    from tests.faults.rollout_world import Host, World

WALKS, STEPS = 500, 150
INDEX = st.integers(0, 5)
counted: Counter[str] = Counter()


class RolloutMachine(RuleBasedStateMachine):
    """A small fleet; each rule is one act of a host, a person, or time."""

    world: World

    @initialize(seed=st.integers(0, 2**16))
    def begin(self, seed: int) -> None:
        self.world = any_world(random.Random(seed))

    @rule(index=INDEX, steps=st.integers(1, 12))
    def all_is_well(self, index: int, steps: int) -> None:
        for _ in range(steps):
            counted["steps"] += well(self.world, self.host(index))
            self.world.judge()

    @rule(index=INDEX, name=st.sampled_from(sorted(GOOD)))
    def one_good_act(self, index: int, name: str) -> None:
        counted["steps"] += GOOD[name](self.world, self.host(index))

    @rule(index=INDEX, name=st.sampled_from(sorted(STRANGE)))
    def something_strange(self, index: int, name: str) -> None:
        counted["steps"] += STRANGE[name](self.world, self.host(index))

    @rule(name=st.sampled_from(sorted(PEOPLE)))
    def a_person(self, name: str) -> None:
        counted["steps"] += PEOPLE[name](self.world)

    @rule(seconds=st.sampled_from(SECONDS))
    def time(self, seconds: float) -> None:
        counted["steps"] += self.world.pass_time(seconds)

    @rule(seconds=st.sampled_from(SECONDS[:6]), restart=st.booleans())
    def an_outage(self, seconds: float, *, restart: bool) -> None:
        counted["steps"] += self.world.outage(seconds, restart=restart)

    @invariant()
    def is_sound(self) -> None:
        self.world.judge()

    def teardown(self) -> None:
        if hasattr(self, "world"):
            settle(self.world)
            counted["rollouts"] += 1
            counted["decisions"] += self.world.server.decisions

    def host(self, index: int) -> Host:
        names = sorted(self.world.hosts)
        return self.world.hosts[names[index % len(names)]]


class LateMachine(RolloutMachine):
    """The same among hosts that were off while the rollout completed."""

    @initialize(seed=st.integers(0, 2**16))
    def begin(self, seed: int) -> None:
        self.world = late_world(random.Random(seed))
        self.before = len(self.world.server.grants)

    @rule(index=INDEX, result=st.sampled_from([AttemptState.ROLLED_BACK, AttemptState.ROLLBACK_FAILED]))
    def one_goes_bad(self, index: int, result: AttemptState) -> None:
        host = self.host(index)
        while host.alive and host.stage is not AttemptState.TRIAL and well(self.world, host):
            self.world.judge()
        counted["steps"] += host.stage is AttemptState.TRIAL and self.world.go_bad(host, result)
        self.world.flush(host)

    def teardown(self) -> None:
        super().teardown()
        if hasattr(self, "world"):
            counted["late grants"] += len(self.world.server.grants) - self.before
            counted["late stops"] += len(self.world.server.late_stops)


def run(machine: type[RolloutMachine], examples: int) -> None:
    """Run a machine always in the same way, and print what it did."""
    counted.clear()
    machine.TestCase.settings = settings(
        max_examples=examples,
        stateful_step_count=40,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
    )
    machine.TestCase().runTest()
    print(f"\n{machine.__name__}: {dict(counted)}")


def test_whatever_late_hosts_people_and_time_do_the_rollout_stays_sound_and_completed() -> None:
    run(LateMachine, 150)
    assert counted["rollouts"] >= 100
    assert counted["late grants"] > 100
    assert counted["late stops"] > 10


def test_walks_among_late_hosts_stay_sound() -> None:
    seen: Counter[str] = Counter()
    for seed in range(WALKS // 2):
        server = walk(seed, STEPS // 2, late_world).server
        seen.update(states=server.state is RolloutState.COMPLETED, results=len(server.results))
        seen.update(excused=len(server.excused))
        seen.update(stops=len(server.late_stops), succeeded=sum(host.was_late for host in server.hosts.values()))
    print(f"\nlate walks: {dict(seen)}")
    assert seen["states"] == WALKS // 2
    assert seen["succeeded"] > WALKS // 2
    assert seen["stops"] > 20
    assert seen["excused"] > 0


def test_whatever_hosts_people_and_time_do_the_rollout_stays_sound_and_ends() -> None:
    run(RolloutMachine, 200)
    assert counted["steps"] > 2000
    assert counted["rollouts"] >= 150


def test_long_walks_visit_every_step_that_hosts_people_and_time_can_cause() -> None:
    seen: Counter[tuple[AttemptState, Trigger]] = Counter()
    numbers: Counter[str] = Counter()
    move = Rows.move

    def watched(self: Rows, host: HostRow, trigger: Trigger, **values: object) -> None:
        seen[host.state, trigger] += 1
        move(self, host, trigger, **values)  # type: ignore[arg-type]  # passed on

    Rows.move = watched  # type: ignore[method-assign]
    try:
        for seed in range(WALKS):
            server = walk(seed, STEPS).server
            numbers.update(grants=len(server.grants), passes=len(server.passes), fails=len(server.fails))
            numbers.update(decisions=server.decisions, results=len(server.results))
            numbers.update(outages=len(server.outages), excused=len(server.excused), blamed=len(server.counted))
    finally:
        Rows.move = move  # type: ignore[method-assign]
    table = {(state, trigger) for state in AttemptState for trigger in ATTEMPT_TRANSITIONS[state]}
    print(f"\nwalks: {WALKS}, steps of hosts: {seen.total()}, {dict(numbers)}, {len(seen)} of {len(table)} transitions")
    assert set(seen) <= table
    assert {state for state, _ in seen} == set(AttemptState) - ENDS
    assert numbers["grants"] > WALKS
    assert numbers["fails"] > 100
    assert min(numbers["excused"], numbers["blamed"]) > 10


ENDS = {state for state in AttemptState if set(ATTEMPT_TRANSITIONS[state]) <= {Trigger.RETRY}}
"""Another try is a person's decision, which these walks do not make."""
