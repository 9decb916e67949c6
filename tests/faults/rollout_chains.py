"""Chains of events that random walks rarely meet: each ends well, and a planted mistake that it names spoils it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_server.domain.states import AttemptState, RolloutState, Trigger, WaveState
from tests.faults.rollout_scenes import fleet, states, up_to, work
from tests.faults.rollout_server import Hello, Said
from tests.faults.rollout_walk import well

if TYPE_CHECKING:
    from collections.abc import Callable

A, T = AttemptState, Trigger
SCENES: dict[str, Callable[[], None]] = {}
"""For mistakes that need a chain of events that walks rarely meet: the chain."""


def scene(act: Callable[[], None]) -> Callable[[], None]:
    SCENES[act.__name__.removeprefix("scene_of_")] = act
    return act


@scene
def scene_of_broken_hosts_leave_room() -> None:
    world = fleet(3, max_failed=3, failure_limit=1.0, max_out=1)
    work(world, bad=("h1",), rounds=5)
    assert world.server.grants == ["h1"]


@scene
def scene_of_what_the_kill_switch_stopped_waits_in_an_ended_rollout() -> None:
    world = fleet(1)
    up_to(world, "h1", A.STAGED)
    world.ask(world.hosts["h1"])
    world.kill()
    world.cancel(let_finish=True)
    work(world, rounds=3)
    assert states(world)["h1"] is A.CANCELLED


@scene
def scene_of_excuses_never_end() -> None:
    world = fleet(1)
    for trials in range(1, 5):
        up_to(world, "h1", A.APPLYING)
        world.outage(400.0)
        world.connect(world.hosts["h1"])
        world.flush(world.hosts["h1"])
        world.judge()
        assert (states(world)["h1"] is A.ROLLED_BACK) is (trials == 4)


@scene
def scene_of_a_start_anew_never_counts() -> None:
    world = fleet(1)
    for starts in (1, 2):
        up_to(world, "h1", A.APPLYING)
        world.start_anew(world.hosts["h1"])
        world.flush(world.hosts["h1"])
        world.judge()
        assert (states(world)["h1"] is A.FAILED) is (starts == 2)
        world.pass_time(1)


@scene
def scene_of_clocks_run_while_no_hello_is_accepted() -> None:
    world = fleet(1)
    up_to(world, "h1", A.TRIAL)
    world.die(world.hosts["h1"])
    world.outage(90_000.0, restart=False)
    assert states(world)["h1"] is A.PROMOTED


@scene
def scene_of_closed_time_is_time_without_a_move() -> None:
    world = fleet(2, offline=("h2",))
    work(world)
    world.revive(world.hosts["h2"])
    up_to(world, "h2", A.STAGED)
    world.outage(25 * 3600.0, restart=False)
    world.judge()
    work(world)
    assert states(world)["h2"] is A.SUCCEEDED


@scene
def scene_of_a_bake_passes_whatever_its_gate_says() -> None:
    world = fleet(2, offline=("h2",), bake_seconds=30.0)
    work(world, rounds=5)
    world.revive(world.hosts["h2"])
    up_to(world, "h2", A.APPLYING)
    for _ in range(20):
        world.pass_time(5)
        world.judge()
    work(world)
    assert world.server.state is RolloutState.COMPLETED


@scene
def scene_of_forgiveness_stays_when_its_host_comes_back() -> None:
    world = fleet(2)
    up_to(world, "h2", A.STAGED)
    up_to(world, "h1", A.TRIAL)
    world.cut(world.hosts["h1"])
    world.hosts["h1"].promoted = True
    world.pass_time(400)
    world.resume()
    world.connect(world.hosts["h1"])
    work(world, bad=("h2",))
    assert world.server.state is RolloutState.HALTED


@scene
def scene_of_a_staged_report_frees_a_go() -> None:
    world = fleet(1)
    host = world.hosts["h1"]
    up_to(world, "h1", A.STAGED)
    host.journal.append(Said(host.generation, A.STAGED))
    world.ask(host)
    world.flush(host)
    world.judge()
    assert states(world)["h1"] is A.GRANTED


@scene
def scene_of_a_go_is_given_up_while_it_can_be_used() -> None:
    world = fleet(1)
    host = world.hosts["h1"]
    up_to(world, "h1", A.STAGED)
    world.ask(host)
    world.read(host)
    world.cut(host)
    world.notice(host)
    world.pass_time(5)
    world.judge()
    assert world.apply(host)
    world.judge()


@scene
def scene_of_the_gate_sees_no_cohorts() -> None:
    world = fleet(4, max_failed=9, failure_limit=1.0)
    work(world, bad=("h1", "h2"))
    assert (world.server.state, world.server.grants) == (RolloutState.HALTED, ["h1", "h2"])


@scene
def scene_of_what_goes_bad_behind_a_wave_is_not_seen() -> None:
    world = fleet(1, 1)
    while world.server.waves[0].state is not WaveState.PASSED:
        well(world, world.hosts["h1"])
    world.go_back_late(world.hosts["h1"])
    work(world, rounds=3)
    assert world.server.state is RolloutState.HALTED


@scene
def scene_of_waiting_never_ends() -> None:
    world = fleet(1, 1, offline=("h1",))
    world.pass_time(world.server.limits.not_after_seconds)
    assert states(world)["h1"] is A.EXPIRED


@scene
def scene_of_a_forgiven_host_is_charged_anew() -> None:
    world = fleet(2)
    up_to(world, "h2", A.STAGED)
    up_to(world, "h1", A.TRIAL)
    world.die(world.hosts["h1"])
    world.pass_time(700)
    assert (states(world)["h1"], world.server.state) == (A.LOST, RolloutState.HALTED)
    world.resume()
    world.revive(world.hosts["h1"])
    work(world, rounds=3)
    assert (states(world)["h1"], world.server.state) == (A.ROLLED_BACK, RolloutState.COMPLETED)


@scene
def scene_of_nobody_misses_a_host_that_succeeded() -> None:
    world = fleet(1, 1, bake_seconds=30.0)
    work(world, rounds=2)
    world.die(world.hosts["h1"])
    world.notice(world.hosts["h1"])
    for _ in range(20):
        world.pass_time(5)
        world.judge()
    assert (states(world)["h1"], world.server.state) == (A.LOST, RolloutState.HALTED)


@scene
def scene_of_a_host_that_succeeded_can_not_come_back() -> None:
    world = fleet(1, 1, bake_seconds=300.0)
    work(world, rounds=2)
    world.die(world.hosts["h1"])
    world.notice(world.hosts["h1"])
    for _ in range(20):
        world.pass_time(5)
    world.revive(world.hosts["h1"])
    world.connect(world.hosts["h1"])
    world.judge()
    assert states(world)["h1"] is A.SUCCEEDED


@scene
def scene_of_a_count_never_begins_anew() -> None:
    world = fleet(1, offline=("h1",))
    world.server.greet("h1", Hello(2**62, (), "1.0.0"))  # a copy
    world.server.left("h1")
    world.revive(world.hosts["h1"])
    world.connect(world.hosts["h1"])
    work(world)
    assert (states(world)["h1"], world.hosts["h1"].highest) == (A.SUCCEEDED, 1)
