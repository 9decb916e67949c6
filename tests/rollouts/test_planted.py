"""Planted mistakes: each one, put into the running engine, is found by a few walks. What finds it is printed.

Each is what somebody could do by a slip of the pen: a call left out, a condition less. Where two guards stand behind
each other, both are taken away.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_common.values.codes import Code
from fleetroll_server.domain import assignments, deadlines, summary
from fleetroll_server.domain import decide as deciding
from fleetroll_server.domain.charges import Holding
from fleetroll_server.domain.gates import Verdict
from fleetroll_server.domain.states import BAD, AttemptState, RolloutState, Trigger
from fleetroll_server.engine import (
    advance,
    asks,
    book,
    effects,
    hello,
    holdings,
    moves,
    offers,
    reports,
    sweep,
    winding,
)
from fleetroll_server.hosts import decisions
from tests.rollouts.walks import run, run_all

if TYPE_CHECKING:
    from collections.abc import Callable

    Plant = Callable[[pytest.MonkeyPatch], None]

A, T = AttemptState, Trigger
WALKS, STEPS = 40, 250
LONGER = (range(1000, 1040), 450)
"""Of the walks that :mod:`tests.rollouts.volume` takes without a mistake."""
RARE = frozenset({"a_bake_ticks_while_nobody_watches"})
"""What needs a chain of events that short walks rarely have: a bake, and an outage in it."""
PLANTED: dict[str, Plant] = {}


def planted(plant: Plant) -> Plant:
    PLANTED[plant.__name__] = plant
    return plant


async def _nothing(*_: Any, **__: Any) -> Any:
    """Take the place of a step that is left out."""
    return None


def _now(module: Any, name: str) -> Any:
    """Return what a module calls by this name; it need not be its own."""
    return getattr(module, name)


def _hold(patch: pytest.MonkeyPatch, state: AttemptState, held: Holding) -> None:
    right = _now(moves, "holding")
    patch.setattr(moves, "holding", lambda s, **kw: held if s is state else right(s, **kw))


@planted
def a_scope_is_not_charged(patch: pytest.MonkeyPatch) -> None:
    right = _now(book, "scopes_of")
    patch.setattr(book, "scopes_of", lambda *ids: right(*ids)[1:])


@planted
def every_scope_has_room(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(holdings, "can_charge", lambda *_: True)


@planted
def a_lost_host_frees_its_place(patch: pytest.MonkeyPatch) -> None:
    _hold(patch, A.LOST, Holding.NOTHING)


@planted
def a_host_on_trial_frees_its_place(patch: pytest.MonkeyPatch) -> None:
    _hold(patch, A.PROMOTED, Holding.NOTHING)


@planted
def no_deadline_past_go(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(effects, "deadline", lambda *_, **__: None)


@planted
def no_deadline_of_an_offer(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(offers, "deadline", lambda *_, **__: None)


@planted
def no_deadline_of_a_go_whose_host_left(patch: pytest.MonkeyPatch) -> None:
    right = _now(hello, "deadline")
    patch.setattr(hello, "deadline", lambda state, *a, **kw: None if state is A.GRANTED else right(state, *a, **kw))


@planted
def a_go_is_given_up_while_it_can_be_used(patch: pytest.MonkeyPatch) -> None:
    early = deadlines.Expiry(T.STAGE, Code.HOST_WENT_OFFLINE, "")
    right = _now(sweep, "expiry")
    patch.setattr(deadlines, "GRANTED_SECONDS", 1.0)
    patch.setattr(sweep, "expiry", lambda state: early if state is A.GRANTED else right(state))


@planted
def the_gate_ignores_lost_hosts(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(summary, "BAD", BAD - {A.LOST})


@planted
def go_while_stopped(patch: pytest.MonkeyPatch) -> None:
    right = _now(asks, "judge_go")
    free = {"rollout": RolloutState.RUNNING, "suspended": False}
    patch.setattr(asks, "judge_go", lambda facts, now: right(replace(facts, **free), now))


@planted
def go_of_a_release_that_was_taken_back(patch: pytest.MonkeyPatch) -> None:
    right = _now(asks, "judge_go")
    free = {"rollout": RolloutState.RUNNING, "listed": True}
    patch.setattr(asks, "judge_go", lambda facts, now: right(replace(facts, **free), now))


@planted
def go_in_quarantine(patch: pytest.MonkeyPatch) -> None:
    right = _now(asks, "judge_go")
    patch.setattr(asks, "judge_go", lambda facts, now: right(replace(facts, quarantined=False), now))


@planted
def go_out_of_time(patch: pytest.MonkeyPatch) -> None:
    right = _now(asks, "judge_go")
    patch.setattr(asks, "judge_go", lambda facts, now: right(replace(facts, not_after=now + timedelta(days=1)), now))


@planted
def counters_are_not_moved(patch: pytest.MonkeyPatch) -> None:
    right = summary.WaveCounters.moved

    def moved(self: summary.WaveCounters, before: Any, after: Any) -> summary.WaveCounters:
        return self if after.state is A.FAILED else right(self, before, after)

    patch.setattr(summary.WaveCounters, "moved", moved)


@planted
def a_claim_is_not_freed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(moves, "_release_claim", _nothing)


@planted
def two_rollouts_hold_a_host(patch: pytest.MonkeyPatch) -> None:
    async def claimed(*_: Any) -> bool:
        return True

    patch.setattr(offers, "claim", claimed)


@planted
def a_cancel_leaves_what_was_desired(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(winding, "desire", _nothing)


@planted
def an_older_session_is_heard(patch: pytest.MonkeyPatch) -> None:
    right = _now(asks, "speaker_of")

    async def speaker(tx: Any, key: Any) -> Any:
        rows = (await tx.execute(moves.AGENT.select().where(moves.AGENT.c.id == key.agent_id))).mappings()
        return await right(tx, replace(key, epoch=rows.one()["epoch"]))

    patch.setattr(asks, "speaker_of", speaker)
    patch.setattr(reports, "speaker_of", speaker)


@planted
def a_staged_report_frees_a_go(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(reports, "judge_report", assignments.judge_hello)


@planted
def a_wave_passes_while_hosts_are_under_way(patch: pytest.MonkeyPatch) -> None:
    right = _now(deciding, "verdict")

    def verdict(counters: Any, cohorts: Any, limits: Any) -> Any:
        found = right(counters, cohorts, limits)
        passes = found.verdict is Verdict.OPEN and counters.succeeded > 0
        return replace(found, verdict=Verdict.PASS) if passes else found

    patch.setattr(deciding, "verdict", verdict)


@planted
def a_bake_ticks_while_nobody_watches(patch: pytest.MonkeyPatch) -> None:
    right = _now(sweep, "bake")
    patch.setattr(sweep, "bake", lambda tx, found, up: right(tx, found, up=True))
    patch.setattr(advance, "tick", partial(_now(advance, "tick"), max_gap_seconds=86_400.0))


@planted
def a_halt_goes_on_by_itself(patch: pytest.MonkeyPatch) -> None:
    right = deciding._does_not_run
    patch.setattr(
        deciding, "_does_not_run", lambda found, now: right(found, now) if found.wave is None else _opened(found)
    )


def _opened(found: deciding.Summary) -> deciding.Decision:
    count = found.wave.counters.pending if found.wave is not None else 0
    return deciding.Decision((deciding.OfferHosts(1, count),) if count else ())


@planted
def a_hello_is_not_believed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(hello, "_reconcile", _nothing)


@planted
def what_was_forgotten_is_offered_again(patch: pytest.MonkeyPatch) -> None:
    async def ended(*_: Any) -> bool:
        return False

    patch.setattr(hello, "_has_ended", ended)


@planted
def a_revoked_host_keeps_its_turn(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(decisions, "skip_revoked", _nothing)


@pytest.mark.timeout(600)
def test_without_a_mistake_the_same_walks_end_well() -> None:
    done = run_all(range(WALKS), STEPS)
    assert done["walks"] == WALKS


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", list(PLANTED))
def test_each_planted_mistake_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    PLANTED[name](monkeypatch)
    seeds, steps = LONGER if name in RARE else (range(WALKS), STEPS)
    for seed in seeds:
        try:
            run(seed, steps)
        except Exception as error:  # noqa: BLE001 (a mistake may show as anything)
            print(f"\n{name}: walk {seed}: {type(error).__name__}: {str(error)[:110]}")
            return
    pytest.fail(f"{name}: not found in {len(seeds)} walks of {steps} steps")


def test_there_are_as_many_planted_mistakes_as_are_counted_on() -> None:
    assert len(PLANTED) >= 20
