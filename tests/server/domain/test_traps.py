"""Traps that rollouts fall into elsewhere, by the names of the design; small fleets; and what people see of a halt."""

from __future__ import annotations

import pytest

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_server.domain.limits import OfflinePolicy, RolloutLimits
from fleetroll_server.domain.states import AttemptState, RolloutState, WaveState
from tests.faults.rollout_rows import SCOPES
from tests.faults.rollout_scenes import fleet, states, up_to, work
from tests.faults.rollout_walk import well

A, R, W = AttemptState, RolloutState, WaveState


@pytest.mark.parametrize("hosts", [1, 2, 3])
def test_a_small_fleet_completes_a_good_rollout_without_a_person(hosts: int) -> None:
    world = fleet(hosts)
    work(world)
    assert world.server.state is R.COMPLETED
    assert set(states(world).values()) == {A.SUCCEEDED}
    assert [world.server.budgets[scope].in_use for scope in SCOPES] == [0, 0, 0]


@pytest.mark.parametrize("hosts", [1, 2, 3])
def test_a_small_fleet_halts_a_bad_rollout_at_its_first_host(hosts: int) -> None:
    world = fleet(hosts)
    work(world, bad=("h1", "h2", "h3"))
    assert world.server.state is R.HALTED
    assert len(world.server.grants) == 1
    assert world.server.results == [("h1", A.ROLLED_BACK)]


def test_t1_a_wave_that_ends_badly_below_the_threshold_opens_no_next_one() -> None:
    world = fleet(2, 2, max_failed=9, failure_limit=1.0, max_concurrent=2)
    work(world, bad=("h1", "h2"))
    assert world.server.state is R.HALTED
    assert [wave.state for wave in world.server.waves] == [W.FAILED, W.PENDING]
    assert {states(world)[name] for name in ("h3", "h4")} == {A.PENDING}


def test_t1_one_bad_host_alone_below_the_threshold_opens_no_next_wave() -> None:
    world = fleet(1, 2, max_failed=9, failure_limit=1.0)
    work(world, bad=("h1",))
    assert world.server.waves[1].state is W.PENDING
    assert states(world)["h2"] is A.PENDING


@pytest.mark.parametrize("value", [0, -1, None, ""])
@pytest.mark.parametrize("name", ["max_concurrent", "max_failed", "failure_limit", "min_sample", "max_out"])
def test_t2_a_threshold_that_says_nothing_is_refused(name: str, value: object) -> None:
    with pytest.raises(RequestError) as caught:
        RolloutLimits.from_request({name: value})
    assert caught.value.code is Code.THRESHOLD_MISSING


@pytest.mark.parametrize("name", ["max_concurrent", "max_failed", "failure_limit", "min_sample", "max_out"])
def test_t2_a_stored_plan_without_a_threshold_is_refused(name: str) -> None:
    stored = RolloutLimits().to_json()
    del stored[name]
    with pytest.raises(RequestError) as caught:
        RolloutLimits.from_stored(stored)
    assert caught.value.code is Code.THRESHOLD_MISSING


def test_t3_the_only_canary_fails_and_the_rollout_is_shut() -> None:
    world = fleet(1, 3)
    work(world, bad=("h1",))
    assert world.server.state is R.HALTED
    assert len(world.server.grants) == 1
    assert "1 bad of 1 attempted" in world.server.fails[0][1]
    world.resume()
    assert (world.server.state, world.server.waves[1].state) == (R.PAUSED, W.PENDING)


def test_t6_a_canary_that_vanishes_past_go_is_given_up_in_time_and_fails_its_wave() -> None:
    world = fleet(1, 2)
    up_to(world, "h1", A.APPLYING)
    world.die(world.hosts["h1"])
    world.notice(world.hosts["h1"])
    world.pass_time(629)
    assert world.server.state is R.RUNNING
    world.pass_time(2)
    assert (states(world)["h1"], world.server.state) == (A.LOST, R.HALTED)


def test_t6_a_canary_that_vanishes_with_an_unused_go_is_given_up_in_time() -> None:
    world = fleet(1, 2)
    up_to(world, "h1", A.STAGED)
    world.ask(world.hosts["h1"])
    world.die(world.hosts["h1"])
    world.notice(world.hosts["h1"])
    world.pass_time(89)
    assert states(world)["h1"] is A.GRANTED
    world.pass_time(2)
    assert (states(world)["h1"], world.server.state) == (A.LOST, R.HALTED)


def test_t6_a_canary_that_never_comes_is_not_waited_for_for_ever() -> None:
    world = fleet(1, 2, offline=("h1",))
    work(world, rounds=3)
    assert (world.server.state, world.server.waves[1].state) == (R.RUNNING, W.PENDING)
    world.pass_time(world.server.limits.not_after_seconds)
    assert (states(world)["h1"], world.server.state) == (A.EXPIRED, R.PAUSED)
    assert world.server.waves[1].state is W.PENDING


def test_t6_a_group_smaller_than_the_sample_is_judged_by_all_that_it_has() -> None:
    world = fleet(2, 1, min_sample=5)
    work(world)
    assert world.server.state is R.COMPLETED


def test_a_sleeping_laptop_halts_nothing_and_is_late() -> None:
    world = fleet(3, offline=("h2",))
    work(world)
    assert world.server.state is R.COMPLETED
    assert states(world)["h2"] is A.PENDING
    world.pass_time(world.server.limits.not_after_seconds)
    assert states(world)["h2"] is A.EXPIRED


def test_t12_hosts_that_staged_before_an_abort_do_not_upgrade_later() -> None:
    world = fleet(3, max_concurrent=1)
    for name in ("h1", "h2", "h3"):
        up_to(world, name, A.STAGED)
    world.cut(world.hosts["h3"])
    world.cancel(let_finish=False)
    work(world)
    assert set(states(world).values()) == {A.CANCELLED}
    assert world.server.grants == []
    assert {host.stage for host in world.hosts.values()} == {None}
    assert {host.version for host in world.hosts.values()} == {"1.0.0"}


def test_t12_a_go_that_was_out_at_the_abort_is_heard_to_its_end() -> None:
    world = fleet(1)
    up_to(world, "h1", A.STAGED)
    world.ask(world.hosts["h1"])
    world.cancel(let_finish=False)
    assert states(world)["h1"] is A.GRANTED
    work(world)
    assert states(world)["h1"] is A.CANCELLED
    assert world.server.budgets[SCOPES[2]].in_use == 0


def test_t19_skipped_hosts_are_not_failed_and_spend_nothing() -> None:
    world = fleet(3, offline=("h1", "h2"), offline_policy=OfflinePolicy.SKIP)
    work(world)
    assert world.server.state is R.COMPLETED
    assert states(world) == {"h1": A.SKIPPED, "h2": A.SKIPPED, "h3": A.SUCCEEDED}
    assert (world.server.waves[0].counters.bad, world.server.waves[0].counters.attempted) == (0, 1)


def test_what_the_kill_switch_stopped_is_done_after_it_was_lifted_and_the_rollout_resumed() -> None:
    world = fleet(2, max_concurrent=2)
    up_to(world, "h1", A.STAGED)
    world.kill()
    work(world, rounds=3)
    assert set(states(world).values()) == {A.PENDING}
    world.lift()
    work(world, rounds=3)
    assert world.server.state is R.PAUSED
    world.resume()
    work(world)
    assert (world.server.state, set(states(world).values())) == (R.COMPLETED, {A.SUCCEEDED})


def test_a_lost_host_that_comes_back_corrects_the_counts_and_resumes_nothing() -> None:
    world = fleet(2)
    up_to(world, "h2", A.STAGED)
    up_to(world, "h1", A.TRIAL)
    world.cut(world.hosts["h1"])
    world.notice(world.hosts["h1"])
    world.hosts["h1"].promoted = True
    world.pass_time(400)
    assert (states(world)["h1"], world.server.state) == (A.LOST, R.HALTED)
    work(world, rounds=3)
    assert states(world)["h1"] is A.SUCCEEDED
    assert (world.server.state, world.server.waves[0].counters.bad) == (R.HALTED, 0)
    world.resume()
    work(world)
    assert world.server.state is R.COMPLETED


def test_a_person_resumes_past_one_broken_host_with_the_limit_of_one() -> None:
    world = fleet(3)
    work(world, bad=("h1",))
    assert (world.server.state, world.server.budgets[SCOPES[2]].broken) == (R.HALTED, 1)
    world.resume()
    work(world)
    assert (world.server.state, states(world)["h1"]) == (R.COMPLETED, A.ROLLED_BACK)


def test_a_host_that_goes_back_behind_a_passed_wave_halts_instead_of_starving_the_next_one() -> None:
    world = fleet(1, 2)
    up_to(world, "h1", A.TRIAL)
    while world.server.waves[0].state is not W.PASSED:
        well(world, world.hosts["h1"])
    world.go_back_late(world.hosts["h1"])
    world.flush(world.hosts["h1"])
    world.judge()
    assert (world.server.state, world.server.waves[0].state) == (R.HALTED, W.PASSED)
