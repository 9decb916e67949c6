"""The launcher's core explored: a kept version always comes up, nothing is kept or tried against the rules of a trial.

Each clause that is removed gives a counterexample again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_agent.launcher import arming, core, steady, timers, trial
from fleetroll_agent.launcher.beginning import begin
from fleetroll_agent.launcher.events import Actions, Arm, Moment, Persist, Promote, Send, Spawn
from tests.model import launcher_world
from tests.model.explorer import explore
from tests.model.launcher_values import (
    ENROLLED,
    EXTENSION,
    FIRST_ATTEMPT,
    NEW,
    OTHER,
    SECOND_ATTEMPT,
    Bounds,
    Rule,
)
from tests.model.launcher_world import Launcher, settled, wrong

if TYPE_CHECKING:
    from collections.abc import Callable

    from fleetroll_agent.launcher.limits import Limits
    from fleetroll_agent.launcher.state import State
    from fleetroll_agent.launcher.state import Step as CoreStep
    from fleetroll_agent.launcher.values import Record
    from tests.model.explorer import Explored
    from tests.model.launcher_values import Host

LIMIT = 300_000
SAME_BYTES = ((FIRST_ATTEMPT, NEW), (SECOND_ATTEMPT, NEW))
OTHER_BYTES = ((FIRST_ATTEMPT, NEW), (SECOND_ATTEMPT, OTHER))


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the tables as small as the bounds say."""
    monkeypatch.setattr(steady, "CRASH_LIMIT", 1)
    monkeypatch.setattr(trial, "MAX_EXTENSION_SECONDS", EXTENSION)


def _explored(bounds: Bounds, goal: Callable[[Host], bool] | None = None) -> Explored[Host]:
    return explore([ENROLLED], Launcher(bounds).steps, wrong=wrong, goal=goal, limit=LIMIT)


CI = {
    "one attempt, stops and reboots": Bounds(),
    "two attempts for the same bytes, reboots": Bounds(arms=SAME_BYTES, stops=False),
    "a second attempt for other bytes": Bounds(arms=OTHER_BYTES, stops=False, reboots=False),
    "one failing write or spawn": Bounds(failures=1, stops=False, reboots=False),
    "recalls, extensions, goodbyes": Bounds(extras=True, stops=False, reboots=False),
}
LARGER = {
    "two attempts for the same bytes, stops and reboots": Bounds(arms=SAME_BYTES),
    "one failing write or spawn, stops and reboots": Bounds(failures=1),
    "two failing writes or spawns": Bounds(failures=2, stops=False, reboots=False),
    "recalls, extensions, goodbyes, stops and reboots": Bounds(extras=True),
}


@pytest.mark.parametrize("name", CI)
def test_the_rules_hold_in_every_state_and_a_kept_version_can_always_come_up(name: str) -> None:
    _explored(CI[name], goal=settled).holds(f"launcher, {name}")


@pytest.mark.timeout(300)
def test_the_rules_hold_in_wider_bounds(full: bool) -> None:
    """The second tier; the first walks a smaller one of them."""
    for name, bounds in LARGER.items() if full else [("failing writes and stops", Bounds(failures=1, reboots=False))]:
        _explored(bounds).holds(f"launcher, {name}")


def test_without_the_try_on_disk_before_the_start_a_trial_is_started_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    real = trial.launch

    def start_first(state: State, moment: Moment) -> CoreStep:
        after, actions = real(state, moment)
        return after, tuple(sorted(actions, key=lambda action: not isinstance(action, Spawn)))

    for module in (trial, core, timers):
        monkeypatch.setattr(module, "launch", start_first)
    monkeypatch.setattr("fleetroll_agent.launcher.beginning.launch", start_first)
    _explored(Bounds(stops=False, reboots=False)).fails("launcher that starts before it writes", Rule.TRIES)


def test_without_a_bound_on_what_is_given_back_a_trial_is_started_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "MAX_GIVES", 99)
    _explored(Bounds(reboots=False)).fails("launcher that gives every try back", Rule.TRIES)


def _promote_taken_when(monkeypatch: pytest.MonkeyPatch, fits: Callable[[State, Promote], bool]) -> None:
    """Compare less than the rule does."""
    real = core.HANDLERS[Promote]

    def lax(state: State, event: Promote, moment: Moment) -> CoreStep:
        on_trial = state.record.trial
        if on_trial is not None and fits(state, event):
            event = Promote(on_trial.attempt, on_trial.slot.digest)
        return real(state, event, moment)

    monkeypatch.setitem(core.HANDLERS, Promote, lax)


def _digest_of_trial(state: State) -> str:
    return "" if state.record.trial is None else state.record.trial.slot.digest


def test_without_comparing_the_attempt_an_older_promote_keeps_a_version(monkeypatch: pytest.MonkeyPatch) -> None:
    _promote_taken_when(monkeypatch, lambda state, event: event.digest == _digest_of_trial(state))
    _explored(Bounds(stops=False, reboots=False)).fails("promote of another attempt", Rule.PROMOTE)


def test_without_comparing_the_digest_a_promote_of_other_bytes_keeps_a_version(monkeypatch: pytest.MonkeyPatch) -> None:
    _promote_taken_when(monkeypatch, lambda _state, event: event.attempt == FIRST_ATTEMPT)
    _explored(Bounds(stops=False, reboots=False)).fails("promote of another digest", Rule.PROMOTE)


def _refusal_without(monkeypatch: pytest.MonkeyPatch, **forgotten: Any) -> None:
    """Let the rule that refuses to arm see a record without these fields."""
    real = arming.refusal

    def lax(state: State, arm: Arm) -> str | None:
        return real(state._replace(record=state.record._replace(**forgotten)), arm)

    monkeypatch.setattr(arming, "refusal", lax)


def test_without_the_newest_attempt_an_ended_one_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    _refusal_without(monkeypatch, highest_server=0)
    _explored(Bounds(stops=False, reboots=False)).fails("arming of an old attempt", Rule.AGAIN)


def test_without_the_list_of_bad_digests_one_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    _refusal_without(monkeypatch, bad=())
    _explored(Bounds(arms=SAME_BYTES, stops=False, reboots=False)).fails("arming of bad bytes", Rule.BAD)


def _commit_as_if(monkeypatch: pytest.MonkeyPatch, **believed: Any) -> None:
    """Let the rule that keeps a version believe more than was shown."""
    real = trial.commit_if_due

    def lax(state: State) -> CoreStep:
        after, actions = real(state._replace(**believed))
        return (after, actions) if actions else (state, ())

    for module in (trial, core, arming):
        monkeypatch.setattr(module, "commit_if_due", lax)


def test_without_the_soak_a_version_is_kept_too_early(monkeypatch: pytest.MonkeyPatch) -> None:
    _commit_as_if(monkeypatch, soak_held=True)
    _explored(Bounds(stops=False, reboots=False)).fails("commit inside the soak", Rule.SOAK)


def test_without_the_hello_a_version_is_kept_that_reaches_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    _commit_as_if(monkeypatch, hello=True)
    _explored(Bounds(stops=False, reboots=False)).fails("commit without hello", Rule.PROMOTE)


def test_without_judging_health_an_unhealthy_version_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    real = trial.on_beat

    def deaf(state: State, beat: Any, moment: Moment) -> CoreStep:
        return real(state, beat._replace(healthy=True), moment)

    monkeypatch.setattr(core, "on_beat", deaf)
    _explored(Bounds(stops=False, reboots=False)).fails("commit of an unhealthy version", Rule.HEALTH)


def test_without_the_way_back_after_hello_a_dying_version_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "on_exit", lambda state, detail, moment: trial._failed_start(state, moment, detail))
    _explored(Bounds(stops=False, reboots=False)).fails("another start after the hello", Rule.AFTER_HELLO)


def test_without_the_boot_id_a_trial_goes_on_after_a_panic(monkeypatch: pytest.MonkeyPatch) -> None:
    def same_boot(record: Record, boot: str, limits: Limits, moment: Moment) -> CoreStep:
        return begin(record._replace(boot_id=boot), boot, limits, moment)

    monkeypatch.setattr(launcher_world, "begin", same_boot)
    _explored(Bounds(stops=False)).fails("trial in another boot", Rule.BOOT)


def test_without_the_end_of_the_trial_restarts_make_it_longer_than_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    real = core.HANDLERS[Arm]

    def endless(state: State, event: Arm, moment: Moment) -> CoreStep:
        after, actions = real(state, event, moment)
        if after.record.trial is None or (actions and isinstance(actions[0], Send)):
            return after, actions
        record = after.record._replace(trial=after.record.trial._replace(trial_end=1e9))
        written: Actions = tuple(
            action._replace(record=record) if isinstance(action, Persist) else action for action in actions
        )
        return after._replace(record=record), written

    monkeypatch.setitem(core.HANDLERS, Arm, endless)
    _explored(Bounds(reboots=False)).fails("trial without an end", Rule.LONG)
