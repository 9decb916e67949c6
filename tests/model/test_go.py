"""Assignments and Go explored: nobody is past Go uncharged, twice, or long after a stop. What each clause is for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_agent.jobs import events, machine
from fleetroll_agent.jobs.state import Rules
from fleetroll_server.domain import assignments, charges
from fleetroll_server.domain.charges import Holding
from fleetroll_server.domain.states import AttemptState
from tests.model import go_agent
from tests.model.explorer import explore
from tests.model.go_values import LATE, TWICE, UNCHARGED, Bounds, Clauses, canonical
from tests.model.go_world import Model, finished, first, wrong

if TYPE_CHECKING:
    from collections.abc import Callable

    from fleetroll_agent.jobs.state import Result, State
    from fleetroll_agent.jobs.values import Moment
    from tests.model.explorer import Explored
    from tests.model.go_values import World

LIMIT = 150_000
PLAIN = Clauses()


def _explored(bounds: Bounds, clauses: Clauses = PLAIN, goal: Callable[[World], bool] | None = None) -> Explored[World]:
    return explore([canonical(first())], Model(bounds, clauses).steps, wrong=wrong, goal=goal, limit=LIMIT)


def _only(*kinds: str) -> frozenset[str]:
    return frozenset(kinds)


CI = {
    "crashes and racing hellos": Bounds(crashes=True, hellos=2),
    "late reports": Bounds(reports=1, full=True),
    "a cancel": Bounds(people=1, which=_only("cancel")),
    "the kill switch": Bounds(people=1, which=_only("kill")),
}
LARGER = {
    "crashes, racing hellos, late reports, full budgets": Bounds(crashes=True, hellos=2, reports=1, full=True),
    "a pause and a resume": Bounds(people=2, which=_only("pause")),
    "the kill switch, pressed and lifted": Bounds(people=2, which=_only("kill")),
    "the end of the time to start": Bounds(people=1, which=_only("end")),
    "a cancel, also after Go": Bounds(people=1, which=_only("cancel"), after_go=True),
}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", CI)
def test_nobody_is_past_go_uncharged_or_twice_or_long_after_a_stop(name: str) -> None:
    _explored(CI[name]).holds(f"go, {name}")


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "bounds", [Bounds(after_go=True), Bounds(after_go=True, repeats=True)], ids=["once", "sent again"]
)
def test_both_sides_can_always_come_to_an_end(bounds: Bounds) -> None:
    """Whatever was lost: no host waits for ever, and no assignment that comes again starts anything."""
    _explored(bounds, goal=finished).holds("go, to the end")


@pytest.mark.timeout(600)
def test_the_rules_hold_in_wider_bounds(full: bool) -> None:
    """The second tier; the first walks one of them."""
    for name, bounds in LARGER.items() if full else [("after Go", Bounds(after_go=True, crashes=True, deadlines=True))]:
        _explored(bounds).holds(f"go, {name}")


def _handled(monkeypatch: pytest.MonkeyPatch, kind: type, handler: Callable[[State, Any, Moment], Result]) -> None:
    monkeypatch.setattr(machine, "HANDLERS", {**machine.HANDLERS, kind: handler})


def test_without_comparing_the_ask_a_go_of_an_older_one_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """The newer ask said STAGED: the server freed the charge of the Go that is on its way."""
    real = machine.HANDLERS[events.GoGiven]

    def lax(state: State, event: events.GoGiven, moment: Moment) -> Result:
        number = event.ask if state.ask is None else state.ask.number
        return real(state, replace(event, ask=number), moment)

    _handled(monkeypatch, events.GoGiven, lax)
    _explored(Bounds(full=True)).fails("a Go for any ask", UNCHARGED)


def test_without_dropping_the_stream_at_the_hello_its_go_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    _handled(monkeypatch, events.HelloBuilt, lambda state, _event, _moment: (state, ()))
    _explored(Bounds(), Clauses(hello_drops_stream=False)).fails("a Go across a hello", UNCHARGED)


def test_without_the_minute_a_go_is_used_long_after_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(go_agent, "RULES", Rules(go=99, ask_interval=9, retries=(1, 1, 1), arm=1, staging=1))
    _explored(Bounds(people=1, which=_only("pause"))).fails("a Go without an end", LATE)


def test_when_a_report_frees_a_go_a_late_one_leaves_a_host_uncharged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assignments, "judge_report", assignments.judge_hello)
    _explored(Bounds(reports=1)).fails("a report that frees", UNCHARGED)


def test_when_a_cancel_ends_what_was_granted_a_host_is_past_go_uncharged() -> None:
    bounds = Bounds(people=1, which=_only("cancel"))
    _explored(bounds, Clauses(cancel_waits=False)).fails("a cancel that does not wait", UNCHARGED)


def test_when_the_end_of_a_session_frees_a_go_a_silent_host_is_uncharged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(charges._AFTER_GO, AttemptState.LOST, Holding.NOTHING)
    _explored(Bounds()).fails("a lost host that is free", UNCHARGED)


def test_when_an_older_sessions_ask_is_heard_it_frees_the_go_of_the_newest() -> None:
    _explored(Bounds(full=True), Clauses(asks_of_session=False)).fails("an ask of an older session", UNCHARGED)


def test_when_the_highest_generation_starts_again_a_host_applies_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    real = machine.HANDLERS[events.Assigned]

    def again(state: State, event: events.Assigned, moment: Moment) -> Result:
        record = state.record
        if event.version and event.generation == record.highest and record.attempt is None:
            state = replace(state, record=replace(record, highest=record.highest - 1))
        return real(state, event, moment)

    _handled(monkeypatch, events.Assigned, again)
    _explored(Bounds(repeats=True, after_go=True)).fails("a generation that starts again", TWICE)


@pytest.mark.timeout(120)
def test_when_an_end_sets_no_none_a_host_stays_staged_for_ever() -> None:
    bounds = Bounds(people=1, which=_only("end"), after_go=True)
    found = _explored(bounds, Clauses(none_with_end=False), goal=finished)
    found.fails("an end without none", "no goal can be reached")


def _ended_or_past_go(world: World) -> bool:
    """Tell whether both sides are done, or the host is past the point up to which a cancel is free."""
    attempt = world.host.state.record.attempt
    return finished(world) or (attempt is not None and attempt.past_go)


@pytest.mark.timeout(120)
def test_a_none_taken_in_one_write_always_ends_and_taken_in_two_may_leave_a_host_staged_for_ever() -> None:
    """The same generation comes again and is only reported on, and no higher one follows an end."""
    bounds = Bounds(people=1, which=_only("cancel"))
    _explored(bounds, goal=_ended_or_past_go).holds("go, a cancel to its end")
    found = _explored(bounds, Clauses(one_write=False), goal=_ended_or_past_go)
    found.fails("a none in two writes", "no goal can be reached")
