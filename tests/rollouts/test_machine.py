"""The same acts under hypothesis, which makes a failure short: each rule is one act of a host, a person, or time."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from fleetroll_common.values.clock import FakeClock
from tests.rollouts import people
from tests.rollouts.ground import Store, drive
from tests.rollouts.walks import (
    ABOUT_HOSTS,
    DECISIONS,
    JUMPS,
    LINES,
    SECONDS,
    STRANGE,
    TROUBLE,
    WORK,
    Walk,
    settle,
    told,
)

if TYPE_CHECKING:
    from tests.rollouts.agents import Host

INDEX = st.integers(0, 5)
EXAMPLES, MORE = 80, 3000
counted: Counter[str] = Counter()


class FleetMachine(RuleBasedStateMachine):
    """A small fleet and the real engine."""

    walk: Walk

    @initialize(seed=st.integers(0, 2**16))
    def begin(self, seed: int) -> None:
        clock = FakeClock()
        self.walk = Walk(seed, clock, Store(clock))
        drive(self.walk.fleet.begin())
        drive(self.walk.act("start", people.start(self.walk.fleet)))

    @rule(index=INDEX, steps=st.integers(1, 12))
    def all_is_well(self, index: int, steps: int) -> None:
        for _ in range(steps):
            drive(self.walk.well(self.host(index)))

    @rule(index=INDEX, name=st.sampled_from(sorted(STRANGE)))
    def something_strange(self, index: int, name: str) -> None:
        host = self.host(index)
        drive(self.walk.act(name, STRANGE[name](self.walk.fleet, host), host))

    @rule(index=INDEX, name=st.sampled_from(sorted(LINES)))
    def one_word(self, index: int, name: str) -> None:
        host = self.host(index)
        drive(self.walk.act(name, LINES[name](self.walk.fleet, host), host))

    @rule(index=INDEX, which=st.integers(0, 1), name=st.sampled_from(sorted({**WORK, **TROUBLE})))
    def one_act(self, index: int, which: int, name: str) -> None:
        host = self.host(index)
        product = list(host.products.values())[which % len(host.products)]
        doing = {**WORK, **TROUBLE}[name]
        drive(self.walk.act(name, doing(self.walk.fleet, host, product), host))

    @rule(name=st.sampled_from(sorted(DECISIONS)))
    def a_person(self, name: str) -> None:
        drive(self.walk.act(name, DECISIONS[name](self.walk.fleet)))

    @rule(index=INDEX, name=st.sampled_from(sorted(ABOUT_HOSTS)))
    def a_person_about_a_host(self, index: int, name: str) -> None:
        host = self.host(index)
        drive(self.walk.act(name, ABOUT_HOSTS[name](self.walk.fleet, host), host))

    @rule(seconds=st.sampled_from(SECONDS))
    def time(self, seconds: float) -> None:
        drive(self.walk.act("time", self.walk.fleet.pass_time(seconds)))

    @rule(seconds=st.sampled_from(SECONDS[:6]), clean=st.booleans())
    def an_outage(self, seconds: float, *, clean: bool) -> None:
        drive(self.walk.act("restart", self.walk.fleet.outage(seconds, clean=clean)))

    @rule(seconds=st.sampled_from(JUMPS))
    def the_clock_is_set(self, seconds: float) -> None:
        drive(self.walk.act("jump", self.walk.fleet.jump(seconds)))

    def teardown(self) -> None:
        if hasattr(self, "walk"):
            drive(settle(self.walk))
            counted.update(self.walk.done)
            counted.update(self.walk.fleet.judge.counts)
            counted["walks"] += 1
            drive(self.walk.fleet.stores[0].close())

    def host(self, index: int) -> Host:
        hosts = list(self.walk.fleet.hosts.values())
        return hosts[index % len(hosts)]


@pytest.mark.timeout(24 * 3600)
def test_whatever_happens_in_whatever_order_rollouts_stay_sound_and_end(*, full: bool) -> None:
    counted.clear()
    FleetMachine.TestCase.settings = settings(
        max_examples=MORE if full else EXAMPLES,
        stateful_step_count=30,
        deadline=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        derandomize=not full,
    )
    FleetMachine.TestCase().runTest()
    print(f"\nrollouts under hypothesis: {told(counted)}")
    assert counted["walks"] >= EXAMPLES // 2
    assert counted["steps"] > 20 * counted["walks"]
    assert counted["Gos"] > 0
