"""Planted mistakes: each one, put into the domain, is found by the walks that judge the domain as a whole."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_server.domain import (
    assignments,
    availability,
    budget,
    charges,
    deadlines,
    excuses,
    generations,
    go,
    summary,
)
from fleetroll_server.domain import decide as deciding
from fleetroll_server.domain import states as machines
from fleetroll_server.domain.charges import Holding
from fleetroll_server.domain.limits import RolloutLimits
from fleetroll_server.domain.states import ATTEMPT_TRANSITIONS, AttemptState, RolloutState, Trigger, WaveState
from tests.faults.rollout_chains import SCENES
from tests.faults.rollout_walk import walk

if TYPE_CHECKING:
    from collections.abc import Callable

    Plant = Callable[[pytest.MonkeyPatch], None]

A, T = AttemptState, Trigger
WALKS, STEPS = 120, 150
FOR_EVER = datetime.max.replace(tzinfo=UTC)
FOUND = (AssertionError, RequestError, ValueError, KeyError)
PLANTED: dict[str, Plant] = {}


def planted(plant: Plant) -> Plant:
    PLANTED[plant.__name__] = plant
    return plant


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
def a_forgiven_host_is_charged_anew(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(charges, "stays_forgiven", lambda _: False)


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
def nobody_misses_a_host_that_succeeded(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(deadlines, "silence_counts", lambda *_: False)


@planted
def a_host_that_succeeded_can_not_come_back(patch: pytest.MonkeyPatch) -> None:
    _without(patch, A.LOST, T.RETURN)


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
    patch.setattr(generations, "next_generation", lambda stored, highest, used: max(stored, highest, 1))


@planted
def a_count_never_begins_anew(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(generations, "is_out_of_reach", lambda stored, highest: False)


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
        assert isinstance(found.limits, RolloutLimits)
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


@planted
def an_outage_excuses_nobody(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(excuses, "is_excused", lambda *_: False)


@planted
def every_way_back_is_excused(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(excuses, "closed_within", lambda *_: [None])


@planted
def an_outage_before_its_go_excuses_a_host(patch: pytest.MonkeyPatch) -> None:
    right: Any = getattr(excuses, "closed_within")  # noqa: B009 (what it imported)
    patch.setattr(excuses, "closed_within", lambda spells, _, now: right(spells, datetime.min.replace(tzinfo=UTC), now))


@planted
def excuses_never_end(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(excuses, "MAX_EXCUSES", 99)


@planted
def a_start_anew_counts_at_once(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(excuses, "MAX_RESTARTS", 0)


@planted
def a_start_anew_never_counts(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(excuses, "MAX_RESTARTS", 99)


@planted
def clocks_run_while_no_hello_is_accepted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(availability, "moved_on", lambda _state, due, *_: due)


@planted
def closed_time_is_time_without_a_move(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(availability, "stood_still", lambda at, *_: at)


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
    assert len(PLANTED) >= 40
    assert set(SCENES) <= set(PLANTED)
