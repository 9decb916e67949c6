"""The machines: every state with every trigger, and the page that documents them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_common.values.codes import Code
from fleetroll_server.domain.states import (
    ATTEMPT_TRANSITIONS,
    BAD,
    BEFORE_GO,
    ENDED_ROLLOUT,
    FINAL,
    PAST_GO,
    ROLLOUT_TRANSITIONS,
    WAVE_TRANSITIONS,
    AttemptState,
    IllegalTransitionError,
    RolloutState,
    RolloutTrigger,
    Trigger,
    WaveState,
    WaveTrigger,
    transition,
)
from tools import states_doc

if TYPE_CHECKING:
    from collections.abc import Mapping
    from enum import StrEnum

A, T = AttemptState, Trigger

ENDS_BEFORE_GO = (
    "fail=failed cancel=cancelled end_by_host=cancelled skip=skipped expire=expired requeue=pending "
    "apply=applying try=trial soak=soaking"
)
HOSTS_WORD = (
    "commit=succeeded fail=failed roll_back=rolled_back roll_back_fail=rollback_failed end_by_host=cancelled "
    "requeue=pending"
)
STAGING = "download=downloading stage=staged"
RUNS = "apply=applying try=trial soak=soaking"
ATTEMPTS = {
    "pending": f"offer=offered {STAGING} {ENDS_BEFORE_GO}",
    "offered": f"withdraw=pending {STAGING} {ENDS_BEFORE_GO}",
    "downloading": f"offer=offered {STAGING} {ENDS_BEFORE_GO}",
    "staged": f"offer=offered {STAGING} grant=granted {ENDS_BEFORE_GO}",
    "granted": f"{STAGING} grant=granted {RUNS} lose=lost {HOSTS_WORD}",
    "applying": f"{RUNS} lose=lost {HOSTS_WORD}",
    "trial": f"try=trial promote=promoted lose=lost {HOSTS_WORD}",
    "promoted": f"try=promoted promote=promoted lose=lost {HOSTS_WORD}",
    "soaking": f"soak=soaking lose=lost {HOSTS_WORD}",
    "lost": f"{STAGING} {RUNS} return=succeeded {HOSTS_WORD}",
    "succeeded": "roll_back=rolled_back lose=lost",
    "failed": "retry=pending",
    "rolled_back": "retry=pending",
    "rollback_failed": "retry=pending",
}
WAVES = {
    "pending": "await=awaiting_approval open=open",
    "awaiting_approval": "open=open",
    "open": "bake=baking pass=passed fail=failed",
    "baking": "pass=passed fail=failed reopen=open",
    "failed": "reopen=open",
}
ROLLOUTS = {
    "draft": "start=running cancel=cancelled",
    "awaiting_approval": "start=running schedule=scheduled cancel=cancelled",
    "scheduled": "start=running pause=paused cancel=cancelled",
    "running": "pause=paused halt=halted complete=completed roll_back=rolling_back cancel=cancelled",
    "paused": ("pause=paused resume=running halt=halted supersede=superseded roll_back=rolling_back cancel=cancelled"),
    "halted": "resume=running supersede=superseded roll_back=rolling_back cancel=cancelled",
    "completed": "roll_back=rolling_back",
    "rolling_back": "back=rolled_back give_up=halted",
}
MACHINES: dict[str, tuple[Any, Any, Any, dict[str, str]]] = {
    "attempt": (ATTEMPT_TRANSITIONS, AttemptState, Trigger, ATTEMPTS),
    "wave": (WAVE_TRANSITIONS, WaveState, WaveTrigger, WAVES),
    "rollout": (ROLLOUT_TRANSITIONS, RolloutState, RolloutTrigger, ROLLOUTS),
}
PAIRS = [
    pytest.param(table, state, trigger, said.get(str(state), ""), id=f"{name}-{state}-{trigger}")
    for name, (table, states, triggers, said) in MACHINES.items()
    for state in states
    for trigger in triggers
]


@pytest.mark.parametrize(("table", "state", "trigger", "said"), PAIRS)
def test_each_state_knows_its_triggers_and_refuses_every_other(
    table: Mapping[StrEnum, Mapping[StrEnum, StrEnum]], state: StrEnum, trigger: StrEnum, said: str
) -> None:
    expected = dict(step.split("=") for step in said.split()).get(str(trigger))
    if expected is not None:
        assert str(transition(table, state, trigger)) == expected
        return
    with pytest.raises(IllegalTransitionError) as caught:
        transition(table, state, trigger)
    assert caught.value.code is Code.ROLLOUT_STATE
    assert (caught.value.state, caught.value.trigger) == (state, trigger)
    assert str(state) in caught.value.message


def test_each_table_speaks_of_every_state() -> None:
    for table, states, _, _ in MACHINES.values():
        assert set(table) == set(states)


def test_an_attempt_is_before_go_past_it_or_ended_and_never_two_of_them() -> None:
    assert sorted([*BEFORE_GO, *PAST_GO, *FINAL]) == sorted(AttemptState)
    assert (BAD - {A.FAILED}) <= PAST_GO | {A.ROLLED_BACK, A.ROLLBACK_FAILED}


def test_the_server_ends_nothing_that_is_past_go() -> None:
    for state in PAST_GO:
        assert not {T.CANCEL, T.SKIP, T.EXPIRE, T.WITHDRAW} & set(ATTEMPT_TRANSITIONS[state])


def test_go_is_given_to_staged_hosts_alone() -> None:
    assert {state for state in A if T.GRANT in ATTEMPT_TRANSITIONS[state]} == {A.STAGED, A.GRANTED}


def test_a_result_stands_but_for_a_kept_version_that_goes_back_late_or_falls_silent() -> None:
    moved = {(state, trigger) for state in FINAL for trigger in ATTEMPT_TRANSITIONS[state] if trigger is not T.RETRY}
    assert moved == {(A.SUCCEEDED, T.ROLL_BACK), (A.SUCCEEDED, T.LOSE)}


def test_a_person_lets_ended_hosts_try_again_that_went_bad_and_no_others() -> None:
    assert {state for state in A if T.RETRY in ATTEMPT_TRANSITIONS[state]} == BAD - {A.LOST}


def test_success_needs_the_hosts_word_that_it_committed() -> None:
    found = {(s, t) for s in A for t, after in ATTEMPT_TRANSITIONS[s].items() if after is A.SUCCEEDED}
    assert {trigger for _, trigger in found} == {T.COMMIT, T.RETURN}
    assert {state for state, trigger in found if trigger is T.COMMIT} == PAST_GO
    assert {state for state, trigger in found if trigger is T.RETURN} == {A.LOST}, "it had said so before"


@pytest.mark.parametrize("state", sorted(set(A) - FINAL))
def test_every_attempt_can_end(state: AttemptState) -> None:
    assert FINAL & set(ATTEMPT_TRANSITIONS[state].values())


@pytest.mark.parametrize("state", sorted(PAST_GO - {A.LOST}))
def test_every_host_past_go_can_be_lost(state: AttemptState) -> None:
    assert ATTEMPT_TRANSITIONS[state][T.LOSE] is A.LOST


def test_a_lost_host_turns_into_any_result_of_a_host_and_back_into_staged_or_applying() -> None:
    after = set(ATTEMPT_TRANSITIONS[A.LOST].values())
    assert after >= {A.SUCCEEDED, A.FAILED, A.ROLLED_BACK, A.ROLLBACK_FAILED, A.CANCELLED, A.STAGED, A.APPLYING}


def test_an_ended_rollout_stays_ended_but_for_a_completed_one_that_is_taken_back() -> None:
    for state in ENDED_ROLLOUT - {RolloutState.COMPLETED}:
        assert not ROLLOUT_TRANSITIONS[state]
    assert set(ROLLOUT_TRANSITIONS[RolloutState.COMPLETED]) == {RolloutTrigger.ROLL_BACK}


def test_the_page_of_states_shows_the_tables() -> None:
    committed = (Path(states_doc.__file__).parents[1] / "docs" / "states.md").read_text("utf-8")
    assert committed == states_doc.page(), "run: make docs"


def test_the_page_names_every_state_and_every_trigger() -> None:
    page = states_doc.page()
    for table, states, _, _ in MACHINES.values():
        for state in states:
            assert f"`{state}`" in page
            for trigger, after in table[state].items():
                assert f"    {state} --> {after}: " in page
                assert str(trigger) in page
