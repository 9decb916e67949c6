"""Planted mistakes: each one, put into the domain, is found by the walks that judge the domain as a whole."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_server.domain import assignments, budget, charges, deadlines, go, summary
from fleetroll_server.domain import decide as deciding
from fleetroll_server.domain import states as machines
from fleetroll_server.domain.charges import Holding
from fleetroll_server.domain.states import ATTEMPT_TRANSITIONS, AttemptState, RolloutState, Trigger, WaveState
from tests.faults.rollout_scenes import fleet, states, up_to, work
from tests.faults.rollout_server import Said
from tests.faults.rollout_walk import walk, well

if TYPE_CHECKING:
    from collections.abc import Callable

    Plant = Callable[[pytest.MonkeyPatch], None]

A, T = AttemptState, Trigger
WALKS, STEPS = 120, 150
FOR_EVER = datetime.max.replace(tzinfo=UTC)
FOUND = (AssertionError, RequestError, ValueError, KeyError)
PLANTED: dict[str, Plant] = {}


SCENES: dict[str, Callable[[], None]] = {}
"""For mistakes that need a chain of events that walks rarely meet: the chain."""


def planted(plant: Plant) -> Plant:
    PLANTED[plant.__name__] = plant
    return plant


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


@pytest.mark.parametrize("name", list(SCENES))
def test_without_the_mistake_each_scene_ends_well(name: str) -> None:
    SCENES[name]()


def _hold(patch: pytest.MonkeyPatch, state: AttemptState, held: Holding) -> None:
    right = charges.holding
    patch.setattr(charges, "holding", lambda s, **kw: held if s is state else right(s, **kw))


def _without(patch: pytest.MonkeyPatch, state: AttemptState, trigger: Trigger) -> None:
    table: Any = ATTEMPT_TRANSITIONS
    patch.setitem(table, state, {t: after for t, after in table[state].items() if t is not trigger})


@planted
def a_go_charges_nothing(patch: pytest.MonkeyPatch) -> None:
    _hold(patch, A.GRANTED, Holding.NOTHING)


@planted
def a_lost_host_frees_its_place(patch: pytest.MonkeyPatch) -> None:
    _hold(patch, A.LOST, Holding.NOTHING)


@planted
def a_lost_host_is_in_use_still(patch: pytest.MonkeyPatch) -> None:
    _hold(patch, A.LOST, Holding.IN_USE)


@planted
def a_way_back_frees_its_rollouts_budget(patch: pytest.MonkeyPatch) -> None:
    _hold(patch, A.ROLLED_BACK, Holding.NOTHING)


@planted
def every_scope_has_room(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(budget, "can_charge", lambda *_: True)


@planted
def broken_hosts_leave_room(patch: pytest.MonkeyPatch) -> None:
    right = budget.can_charge
    patch.setattr(budget, "can_charge", lambda found, own: right(replace(found, broken=0), own_broken=False))


@planted
def a_lost_host_is_not_bad(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(summary, "BAD", machines.BAD - {A.LOST})


@planted
def a_lost_host_is_waited_for(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(summary.HostView, "is_ended", property(lambda view: view.state in machines.FINAL))


@planted
def a_waiting_host_counts(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(summary.HostView, "is_waiting", property(lambda _: False))


@planted
def no_deadline_while_applying(patch: pytest.MonkeyPatch) -> None:
    right = deadlines.deadline
    patch.setattr(deadlines, "deadline", lambda s, *a, **kw: None if s is A.APPLYING else right(s, *a, **kw))


@planted
def no_deadline_for_an_unused_go(patch: pytest.MonkeyPatch) -> None:
    right = deadlines.deadline
    patch.setattr(deadlines, "deadline", lambda s, *a, **kw: None if s is A.GRANTED else right(s, *a, **kw))


@planted
def silence_on_trial_is_success(patch: pytest.MonkeyPatch) -> None:
    right = deadlines.expiry
    good = deadlines.Expiry(T.COMMIT, Code.NEVER_CAME_BACK, "")
    patch.setattr(deadlines, "expiry", lambda state: good if state is A.PROMOTED else right(state))


@planted
def a_go_is_given_up_while_it_can_be_used(patch: pytest.MonkeyPatch) -> None:
    right = deadlines.expiry
    early = deadlines.Expiry(T.STAGE, Code.HOST_WENT_OFFLINE, "")
    patch.setattr(deadlines, "GRANTED_SECONDS", 1.0)
    patch.setattr(deadlines, "expiry", lambda state: early if state is A.GRANTED else right(state))


@planted
def a_staged_report_frees_a_go(patch: pytest.MonkeyPatch) -> None:
    right = assignments.judge_report

    def wrong(state: AttemptState, reported: AttemptState, **kw: Any) -> assignments.Judgement:
        freed = reported is A.STAGED and state in {A.GRANTED, A.APPLYING, A.LOST}
        return assignments.Step(T.STAGE) if freed else right(state, reported, **kw)

    patch.setattr(assignments, "judge_report", wrong)
    patch.setitem(ATTEMPT_TRANSITIONS[A.APPLYING], T.STAGE, A.STAGED)


@planted
def a_staged_hello_frees_nothing(patch: pytest.MonkeyPatch) -> None:
    right = assignments.judge_hello
    held = assignments.History()
    patch.setattr(assignments, "judge_hello", lambda s, w, **kw: held if w is A.STAGED else right(s, w, **kw))
    patch.setattr(go, "ASKABLE", frozenset({A.STAGED}))


@planted
def what_the_kill_switch_stopped_waits_in_an_ended_rollout(patch: pytest.MonkeyPatch) -> None:
    for name in ("judge_report", "judge_hello"):
        right: Any = getattr(assignments, name)
        patch.setattr(assignments, name, lambda s, w, code, right=right, **_: right(s, w, code=code))


@planted
def a_generation_is_used_twice(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(assignments, "next_generation", lambda stored, highest: max(stored, highest, 1))


@planted
def no_step_takes_an_offer_back(patch: pytest.MonkeyPatch) -> None:
    _without(patch, A.OFFERED, T.WITHDRAW)


@planted
def no_step_requeues(patch: pytest.MonkeyPatch) -> None:
    _without(patch, A.STAGED, T.REQUEUE)
    _without(patch, A.GRANTED, T.REQUEUE)


@planted
def a_lost_host_can_not_come_back(patch: pytest.MonkeyPatch) -> None:
    for trigger in (T.COMMIT, T.ROLL_BACK):
        _without(patch, A.LOST, trigger)


@planted
def a_resume_forgives_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(summary.WaveCounters, "forgive", lambda counters: counters)


@planted
def forgiveness_stays_when_its_host_comes_back(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(summary.WaveCounters, "_forgiveness_left", lambda *_: {})


@planted
def the_gate_sees_nothing_bad(patch: pytest.MonkeyPatch) -> None:
    right: Any = getattr(deciding, "verdict")  # noqa: B009 (what it imported)
    patch.setattr(deciding, "verdict", lambda found, *rest: right(replace(found, bad=0), *rest))


@planted
def the_gate_sees_no_cohorts(patch: pytest.MonkeyPatch) -> None:
    right: Any = getattr(deciding, "verdict")  # noqa: B009 (what it imported)
    patch.setattr(deciding, "verdict", lambda found, _, limits: right(found, [], limits))


@planted
def the_gate_waits_for_nobody(patch: pytest.MonkeyPatch) -> None:
    right: Any = getattr(deciding, "verdict")  # noqa: B009 (what it imported)
    patch.setattr(
        deciding, "verdict", lambda found, *rest: right(replace(found, waiting=found.planned - found.ended), *rest)
    )


@planted
def what_goes_bad_behind_a_wave_is_not_seen(patch: pytest.MonkeyPatch) -> None:
    right = deciding.decide
    patch.setattr(deciding, "decide", lambda found, *rest: right(replace(found, late_bad=0), *rest))


@planted
def a_bake_passes_whatever_its_gate_says(patch: pytest.MonkeyPatch) -> None:
    right = deciding.decide

    def wrong(found: deciding.Summary, *rest: Any) -> deciding.Decision:
        wave = found.wave
        over = wave is not None and wave.state is WaveState.BAKING and wave.bake.seconds >= found.limits.bake_seconds
        if over and wave is not None and found.state is RolloutState.RUNNING:
            return deciding.Decision((deciding.PassWave(wave.number, ""),))
        return right(found, *rest)

    patch.setattr(deciding, "decide", wrong)


@planted
def a_paused_rollout_gives_go(patch: pytest.MonkeyPatch) -> None:
    right = go.judge_go
    patch.setattr(go, "judge_go", lambda facts, now: right(replace(facts, rollout=RolloutState.RUNNING), now))


@planted
def a_quarantined_host_gets_go(patch: pytest.MonkeyPatch) -> None:
    right = go.judge_go
    patch.setattr(go, "judge_go", lambda facts, now: right(replace(facts, quarantined=False), now))


@planted
def waiting_never_ends(patch: pytest.MonkeyPatch) -> None:
    right = deciding.decide
    patch.setattr(deciding, "decide", lambda found, event, now: right(replace(found, not_after=FOR_EVER), event, now))


@pytest.mark.parametrize("name", list(PLANTED))
def test_each_planted_mistake_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    PLANTED[name](monkeypatch)
    if name in SCENES:
        with pytest.raises(FOUND):
            SCENES[name]()
        return
    for seed in range(WALKS):
        try:
            walk(seed, STEPS)
        except FOUND as error:
            print(f"\n{name}: walk {seed}: {type(error).__name__}: {str(error)[:100]}")
            return
    pytest.fail(f"{name}: not found in {WALKS} walks of {STEPS} steps")


def test_there_are_as_many_planted_mistakes_as_are_counted_on() -> None:
    assert len(PLANTED) >= 25
    assert set(SCENES) <= set(PLANTED)
